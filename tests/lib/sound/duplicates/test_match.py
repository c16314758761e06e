"""Near-duplicates are found with their offset, calls of one species are no copies, common stretches are aligned."""

import numpy as np
import pandas as pd
import pytest

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.duplicates.fingerprint import echoprint
from lib.sound.duplicates.match import (
    align_pairs,
    candidate_pairs,
    common_excerpt,
    mean_similarity,
    near_duplicates,
    same_recording,
)


def found_among(sounds):
    return near_duplicates(list(sounds), [echoprint(audio) for audio in sounds.values()], sounds.get)


def test_no_two_clips_of_one_species_are_one_recording(flock):
    assert len(candidate_pairs([echoprint(audio) for audio in flock.values()])) > 0  # their coarse spectrograms agree
    assert len(found_among(flock)) == 0


def test_a_trimmed_softer_copy_is_found_with_its_offset(flock):
    cut = round(1.7 * SAMPLE_RATE)
    copy = 0.3 * flock["rubthr1/XC3.ogg"][cut:]
    found = found_among(flock | {"other/XC99.ogg": copy})
    assert found[["first", "second"]].to_numpy().tolist() == [["rubthr1/XC3.ogg", "other/XC99.ogg"]]
    row = found.iloc[0]
    assert row.similarity == pytest.approx(1, abs=0.01)
    assert row.offset_s == pytest.approx(-1.7, abs=1 / SAMPLE_RATE)
    assert row.overlap_s == pytest.approx(len(copy) / SAMPLE_RATE, abs=1 / SAMPLE_RATE)


def test_all_copies_of_one_recording_are_paired(flock):
    audio = flock["grekis/XC5.ogg"]
    found = found_among(flock | {"a/1.ogg": audio[8000:], "a/2.ogg": audio[:-9000]})
    pairs = {frozenset(pair) for pair in found[["first", "second"]].to_numpy()}
    trio = ["grekis/XC5.ogg", "a/1.ogg", "a/2.ogg"]
    assert pairs == {frozenset(pair) for pair in ((trio[0], trio[1]), (trio[0], trio[2]), (trio[1], trio[2]))}


def test_a_clip_inside_a_minute_is_found_at_its_offset(flock):
    rng = np.random.default_rng(0)
    minute = 0.001 * rng.normal(size=30 * SAMPLE_RATE).astype(np.float32)
    clip = flock["rubthr1/XC2.ogg"]
    minute[11 * SAMPLE_RATE : 11 * SAMPLE_RATE + len(clip)] += clip
    found = found_among(flock | {"minute": minute})
    assert found[["first", "second"]].to_numpy().tolist() == [["rubthr1/XC2.ogg", "minute"]]
    assert found.offset_s[0] == pytest.approx(11, abs=1 / SAMPLE_RATE)


def test_less_than_a_second_in_common_is_one_call_and_no_copy(flock):
    one, other = flock["grekis/XC0.ogg"], flock["grekis/XC1.ogg"]
    at = pd.DataFrame({"first": [0], "second": [1], "offset_s": [-len(one) / SAMPLE_RATE]})
    for seconds, similarity in ((0.9, 0.0), (1.2, 1.0)):
        common = flock["rubthr1/XC0.ogg"][SAMPLE_RATE : round((1 + seconds) * SAMPLE_RATE)]
        joined = {"a": np.concatenate([one, common]), "b": np.concatenate([common, other])}
        assert align_pairs(list(joined), at, joined.get).similarity[0] == pytest.approx(similarity, abs=1e-3)


def test_similarity_is_one_for_a_copy_and_near_nothing_for_noise(flock):
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 3 * SAMPLE_RATE)).astype(np.float32)
    assert mean_similarity(one, -2 * one) == pytest.approx(1, abs=1e-3)
    assert mean_similarity(one, other) < 0.1
    half = np.concatenate([one[: len(one) // 3], other[len(one) // 3 :]])
    assert mean_similarity(one, half) == pytest.approx(1 / 3, abs=0.1)


def test_pairs_that_differ_are_aligned_too_and_have_a_similarity_below_the_threshold(flock):
    prints = [echoprint(audio) for audio in flock.values()]
    table = align_pairs(list(flock), candidate_pairs(prints), flock.get)
    assert len(table) == candidate_pairs(prints).groupby(["first", "second"]).ngroups
    assert not same_recording(table).any()


def test_what_has_little_in_common_must_be_more_alike():
    pairs = pd.DataFrame({"similarity": [0.49, 0.55, 0.55, 0.65], "overlap_s": [9.0, 9.0, 2.0, 2.0]})
    assert same_recording(pairs).tolist() == [False, True, False, True]


def test_a_number_that_every_sound_shares_proposes_no_pair():
    rng = np.random.default_rng(0)
    call = rng.normal(size=3 * SAMPLE_RATE).astype(np.float32)
    few, many = [echoprint(call)] * 3, [echoprint(call)] * 80
    assert len(candidate_pairs(few)) > 0
    assert len(candidate_pairs(many)) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_sounds_without_landmarks_pair_with_nothing(count):
    silent = {f"s{n}": np.zeros(SAMPLE_RATE, np.float32) for n in range(count)}
    assert len(found_among(silent)) == 0


RNG = np.random.default_rng(0)
SHARED = RNG.normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
SHARED[2 * SAMPLE_RATE : 3 * SAMPLE_RATE] *= 5


def noise(seconds: float) -> np.ndarray:
    return RNG.normal(0, 0.01, int(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize(("before", "after"), [((0, 0), (7, 2)), ((3, 1), (0, 0)), ((1.5, 0), (4, 3))])
def test_the_loudest_second_of_what_is_shared_is_taken_from_both(before, after):
    one = np.concatenate([noise(before[0]), SHARED, noise(before[1])])
    other = np.concatenate([noise(after[0]), -0.2 * SHARED, noise(after[1])])
    ours, theirs = common_excerpt(one, other, 1.0)
    loudest = SHARED[2 * SAMPLE_RATE : 3 * SAMPLE_RATE]
    np.testing.assert_array_equal(ours, loudest)
    np.testing.assert_allclose(theirs, -0.2 * loudest, rtol=1e-6)


def test_a_rumble_in_both_does_not_decide():
    hum = np.sin(2 * np.pi * 20 * np.arange(14 * SAMPLE_RATE) / SAMPLE_RATE)
    one, other = SHARED + 3 * hum[: len(SHARED)], np.concatenate([noise(10), SHARED]) - 3 * hum
    ours, theirs = common_excerpt(one, other, 10.0)
    assert len(ours) == len(theirs) == len(SHARED)
    np.testing.assert_allclose(theirs, other[10 * SAMPLE_RATE :])


def test_what_the_second_lacks_is_not_taken():
    ours, theirs = common_excerpt(SHARED, SHARED[SAMPLE_RATE : 3 * SAMPLE_RATE], 10.0)
    np.testing.assert_array_equal(ours, SHARED[SAMPLE_RATE : 3 * SAMPLE_RATE])
    np.testing.assert_array_equal(ours, theirs)


def test_loud_passages_that_are_strangers_do_not_decide():
    one, other = np.concatenate([SHARED / 10, 100 * noise(6)]), np.concatenate([100 * noise(6), SHARED / 10])
    ours, theirs = common_excerpt(one, other, 1.0)
    np.testing.assert_array_equal(ours, theirs)


def test_an_instant_that_is_alike_is_not_taken_for_the_recording():
    click = np.tile(np.array([1, -1], np.float32), 500)
    one, other = np.concatenate([SHARED, click]), np.concatenate([click, SHARED / 10 + 13 * noise(4)])
    ours, theirs = common_excerpt(one, other, 1.0)
    np.testing.assert_array_equal(ours, SHARED[2 * SAMPLE_RATE : 3 * SAMPLE_RATE])
    np.testing.assert_array_equal(theirs, other[len(click) + 2 * SAMPLE_RATE :][:SAMPLE_RATE])
