"""Samplers draw each class as often as set, and give any batch without those before it."""

from collections import Counter

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.learn.network.samplers import Sampler
from lib.learn.network.settings import SamplerSettings
from lib.learn.soft_labels.settings import PseudoSettings

PRIMARY = np.repeat([0, 1, 3], [12, 4, 2])  # no clip of class 2


def drawn(batches, primary=PRIMARY, seed=0, n_soundscapes=0, **settings):
    settings = {"batch_size": 6, "soundscape_share": 0.0, **settings}
    sampler = Sampler(primary, n_soundscapes, SamplerSettings(**settings), seed)
    return [sampler.rows(number) for number in range(batches)], sampler


def clips_of(rows):
    return np.concatenate([clips for clips, *_ in rows])


def class_counts(rows):
    return Counter(PRIMARY[clips_of(rows)].tolist())


def test_uniform_shows_every_clip_once_a_pass_in_another_order_each_pass():
    rows, sampler = drawn(6)
    assert sampler.batches_per_pass == 3
    first, second = clips_of(rows[:3]), clips_of(rows[3:])
    assert sorted(first) == sorted(second) == list(range(18))
    assert first.tolist() != second.tolist()


def test_batches_that_do_not_fit_a_pass_go_on_into_the_next_without_losing_a_clip():
    rows, sampler = drawn(18, batch_size=5)
    assert sampler.batches_per_pass == 4
    assert Counter(clips_of(rows).tolist()) == dict.fromkeys(range(18), 5)


def test_a_batch_larger_than_a_pass_is_full():
    rows, _ = drawn(1, batch_size=40)
    assert len(rows[0][0]) == 40


def test_a_cap_takes_so_many_clips_of_a_class_a_pass_and_others_the_next():
    rows, sampler = drawn(200, batch_size=8, most_per_class=3)
    assert sampler.batches_per_pass == 1
    assert all(class_counts([batch]) == {0: 3, 1: 3, 3: 2} for batch in rows)
    assert set(clips_of(rows)) == set(range(18))
    assert set(clips_of(rows[:1])) != set(clips_of(rows[1:2]))


def test_rare_classes_are_repeated_up_to_the_floor_each_clip_as_often():
    rows, _ = drawn(1, batch_size=12 + 5 + 5, least_per_class=5)
    assert class_counts(rows) == {0: 12, 1: 5, 3: 5}
    times = Counter(clips_of(rows).tolist())
    assert sorted(times[row] for row in (16, 17)) == [2, 3]
    assert sorted(times[row] for row in (12, 13, 14, 15)) == [1, 1, 1, 2]


def test_a_floor_above_the_number_of_clips_holds():
    rows, sampler = drawn(4, primary=np.zeros(3, dtype=int), batch_size=5, least_per_class=20)
    assert sampler.batches_per_pass == 4
    assert sorted(Counter(clips_of(rows).tolist()).values()) == [6, 7, 7]


def test_cap_and_floor_make_classes_equal():
    rows, _ = drawn(1, batch_size=18, least_per_class=6, most_per_class=6)
    assert class_counts(rows) == {0: 6, 1: 6, 3: 6}


def test_weighted_draws_clips_by_a_power_of_how_rare_their_class_is():
    rows, _ = drawn(6000, clips="weighted", power=0.5)
    counts, total = class_counts(rows), 12**0.5 + 4**0.5 + 2**0.5
    for number, of_class in ((0, 12), (1, 4), (3, 2)):
        assert counts[number] / 36000 == pytest.approx(of_class**0.5 / total, abs=0.01)
    flat, _ = drawn(6000, clips="weighted", power=1.0)
    assert [class_counts(flat)[number] / 36000 for number in (0, 1, 3)] == pytest.approx([1 / 3] * 3, abs=0.01)


def test_class_aware_draws_each_class_equally_often_and_each_of_its_clips_before_any_again():
    rows, _ = drawn(3, clips="class-aware")
    assert class_counts(rows) == {0: 6, 1: 6, 3: 6}
    for batch, *_ in rows:
        assert Counter(PRIMARY[batch].tolist()) == {0: 2, 1: 2, 3: 2}
    times = Counter(clips_of(rows).tolist())
    assert max(times[row] for row in range(12)) == 1
    assert [times[row] for row in (16, 17)] == [3, 3]


def test_a_share_of_each_batch_is_soundscapes_each_once_a_pass():
    rows, _ = drawn(10, n_soundscapes=4, soundscape_share=0.3)
    assert {(len(clips), len(soundscapes)) for clips, soundscapes, _ in rows} == {(4, 2)}
    assert Counter(np.concatenate([soundscapes for _, soundscapes, _ in rows]).tolist()) == dict.fromkeys(range(4), 5)


def test_batches_may_be_soundscapes_alone():
    rows, sampler = drawn(2, primary=np.zeros(0, dtype=int), n_soundscapes=9, soundscape_share=1.0)
    assert sampler.batches_per_pass == 2
    assert [(len(clips), len(soundscapes)) for clips, soundscapes, _ in rows] == [(0, 6), (0, 6)]


@pytest.mark.parametrize("clips", ["uniform", "weighted", "class-aware"])
def test_a_batch_is_the_same_whether_or_not_those_before_it_were_made(clips):
    settings = {"clips": clips, "n_soundscapes": 5, "soundscape_share": 0.5, "least_per_class": 3}
    rows, _ = drawn(40, **settings)
    _, fresh = drawn(0, **settings)
    for number in (37, 3, 20):
        for one, other in zip(fresh.rows(number), rows[number], strict=True):
            assert one.tolist() == other.tolist()
    other_seed, _ = drawn(40, seed=1, **settings)
    assert clips_of(other_seed).tolist() != clips_of(rows).tolist()


def test_a_batch_that_wants_what_is_not_there_is_refused():
    with pytest.raises(BadInput, match="no labelled soundscapes for a batch"):
        drawn(1, soundscape_share=0.5)
    with pytest.raises(BadInput, match="no clips for a batch"):
        drawn(1, primary=np.zeros(0, dtype=int))


@pytest.mark.parametrize(
    "wrong",
    [{"clips": "odd"}, {"soundscape_share": 1.5}, {"batch_size": 0}, {"most_per_class": 3, "least_per_class": 4}],
)
def test_settings_that_compose_no_batch_are_refused(wrong):
    with pytest.raises(BadInput, match="sampler settings"):
        SamplerSettings(**wrong)


PASSED_GATE = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]], dtype=bool
)  # crops 0 and 2 have class 0; none class 3


def pseudo_batches(batches, passed_gate=PASSED_GATE, seed=0, **settings):
    composed = SamplerSettings(batch_size=8, soundscape_share=0.5)
    sampler = Sampler(PRIMARY, 5, composed, seed, passed_gate, PseudoSettings(**settings))
    return [sampler.rows(number) for number in range(batches)], sampler


@pytest.mark.parametrize(("ratio", "labelled", "pseudo"), [(1.0, 2, 2), (3.0, 1, 3), (0.34, 3, 1)])
@pytest.mark.parametrize("mode", ["rows", "mixup"])
def test_the_soundscape_rows_of_every_batch_are_divided_by_the_ratio_and_each_crop_comes_as_often(
    mode, ratio, labelled, pseudo
):
    rows, sampler = pseudo_batches(30, pseudo_ratio=ratio, pseudo_mode=mode)
    assert {tuple(map(len, batch)) for batch in rows} == {(4, labelled, pseudo)}
    assert Counter(np.concatenate([batch[2] for batch in rows]).tolist()) == dict.fromkeys(range(3), 10 * pseudo)
    assert sampler.batches_per_pass == 5


def test_clips_of_a_class_with_pseudo_labels_are_replaced_at_random_by_crops_that_have_it():
    plain, _ = pseudo_batches(400, passed_gate=None)
    rows, _ = pseudo_batches(400, pseudo_ratio=0.25, pseudo_mode="substitute")
    replaced = Counter()
    for (clips, soundscapes, crops), (all_clips, same, nothing) in zip(rows, plain, strict=True):
        assert len(clips) + len(crops) == 4
        assert soundscapes.tolist() == same.tolist()
        assert len(nothing) == 0
        gone = sorted((Counter(PRIMARY[all_clips].tolist()) - Counter(PRIMARY[clips].tolist())).elements())
        assert len(gone) == len(crops)
        assert all(any(PASSED_GATE[crop, of] for crop in crops) for of in gone)
        replaced.update(gone)
    drawn = Counter(PRIMARY[np.concatenate([batch[0] for batch in plain])].tolist())
    assert {of: replaced[of] / drawn[of] for of in (0, 1)} == pytest.approx({0: 0.25, 1: 0.25}, abs=0.04)
    assert replaced[3] == 0
    assert {len(crops) for *_, crops in rows} >= {0, 1, 2}  # another draw in every batch
    everyone, _ = pseudo_batches(20, pseudo_ratio=1.0, pseudo_mode="substitute")
    assert {of for clips, *_ in everyone for of in PRIMARY[clips]} <= {3}


@pytest.mark.parametrize("mode", ["rows", "substitute"])
def test_pseudo_labelled_rows_too_are_the_same_without_those_before(mode):
    rows, _ = pseudo_batches(20, pseudo_ratio=1.0, pseudo_mode=mode)
    _, fresh = pseudo_batches(0, pseudo_ratio=1.0, pseudo_mode=mode)
    for number in (13, 2):
        assert [part.tolist() for part in fresh.rows(number)] == [part.tolist() for part in rows[number]]


def test_no_pseudo_labels_leave_the_batches_as_they_are():
    plain, _ = pseudo_batches(3, passed_gate=None, pseudo_ratio=1.0)
    assert {tuple(map(len, batch)) for batch in plain} == {(4, 4, 0)}


@pytest.mark.parametrize("ratio", [0.1, 20.0])
def test_a_ratio_that_leaves_no_row_to_either_is_refused(ratio):
    with pytest.raises(BadInput, match=r"cannot be divided(.|\n)*of 8 rows"):
        pseudo_batches(1, pseudo_ratio=ratio)
