"""Heads learn from whole soundscapes, unlabelled windows masked, and from clips without what may be silent in them."""

import numpy as np
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, parse_soundscape
from lib.learn.head.data import load_head_data


def tokens_of(item):
    """Tokens that tell whose they are: a number of the item, then the row."""
    rows = WINDOWS_PER_SOUNDSCAPE if "/" not in item else 1 + len(item) % 3
    table = np.stack([np.full(rows, sum(item.encode())), np.arange(rows)], axis=1).astype(np.float32)
    return {"embedding": table, "logits": -table, "more": table}


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def lesson(prepared):
    return load_head_data(prepared, tokens_of, ["embedding", "logits"])


def test_a_soundscape_is_whole_and_only_its_labelled_windows_are_known(prepared, lesson):
    heard = lesson.sequences
    assert set(heard.stems) == set(prepared.windows.stem)
    assert (~heard.known).sum() > 0  # the miniature has partly labelled files
    seen = set()
    for stem, end_s, labels in zip(prepared.windows.stem, prepared.windows.end_s, prepared.windows.labels, strict=True):
        place = heard.stems.index(stem), end_s // 5 - 1
        assert heard.known[place]
        assert {prepared.classes.labels[n] for n in np.flatnonzero(heard.truth[place])} == set(labels)
        seen.add(place)
    assert heard.known.sum() == len(seen)
    assert not heard.truth[~heard.known].any()


def test_tokens_lie_beside_their_own_truth_and_no_more_are_kept_than_were_named(lesson):
    assert set(lesson.sequences.tokens) == set(lesson.clips.tokens) == {"embedding", "logits"}
    for row, stem in enumerate(lesson.sequences.stems):
        np.testing.assert_array_equal(lesson.sequences.tokens["logits"][row], tokens_of(stem)["logits"])
    for row, clip in enumerate(lesson.clips.clip_of_row):
        assert lesson.clips.tokens["embedding"][row, 0] == sum(lesson.clips.names[clip].encode())
    windows = lesson.sequences.windows("embedding")
    assert windows.shape == (lesson.sequences.known.sum(), 2)
    places = np.nonzero(lesson.sequences.known)[1]
    np.testing.assert_array_equal(windows[:, 1], places)


def test_sites_are_numbered_from_one_in_the_order_of_their_names_and_hours_are_those_of_the_file_name(lesson):
    for stem, site, hour in zip(lesson.sequences.stems, lesson.sequences.sites, lesson.sequences.hours, strict=True):
        assert lesson.site_names[site - 1] == parse_soundscape(stem).site
        assert hour == int(stem[-6:-4])
    assert list(lesson.site_names) == sorted(lesson.site_names)


def test_what_a_clip_may_hold_besides_its_label_does_not_count(prepared, lesson):
    by_name = prepared.clips.set_index("filename")
    index, some = prepared.classes.index, 0
    for truth, cells, clip in zip(lesson.clips.truth, lesson.clips.cells, lesson.clips.clip_of_row, strict=True):
        row = by_name.loc[lesson.clips.names[clip]]
        assert np.flatnonzero(truth).tolist() == [index[row.primary_label]]
        assert set(np.flatnonzero(cells == 0)) == {index[label] for label in row.secondary}
        some += len(row.secondary)
    assert some


def test_a_part_has_the_chosen_files_and_clips_with_all_that_belongs_to_them(lesson):
    files, clips = (np.arange(len(of)) % 2 == 1 for of in (lesson.sequences.stems, lesson.clips.names))
    part = lesson.only(files, clips)
    assert part.sequences.stems == lesson.sequences.stems[1::2]
    assert part.clips.names == lesson.clips.names[1::2]
    assert part.site_names == lesson.site_names
    for name, of in ((n, lesson.sequences) for n in ("truth", "known", "sites", "hours")):
        np.testing.assert_array_equal(getattr(part.sequences, name), getattr(of, name)[1::2])
    for row, clip in enumerate(part.clips.clip_of_row):
        assert part.clips.tokens["embedding"][row, 0] == sum(part.clips.names[clip].encode())
    rows = np.isin(lesson.clips.clip_of_row, np.flatnonzero(clips))
    np.testing.assert_array_equal(part.clips.truth, lesson.clips.truth[rows])
    np.testing.assert_array_equal(part.clips.cells, lesson.clips.cells[rows])


def test_windows_in_another_order_take_their_truth_along(lesson):
    order = np.roll(np.arange(12), 5)
    turned = lesson.sequences.ordered(order)
    for name in ("truth", "known"):
        np.testing.assert_array_equal(getattr(turned, name)[:, 5], getattr(lesson.sequences, name)[:, 0])
    assert turned.tokens["embedding"][0, 5, 1] == 0


def test_a_recording_group_is_a_site_and_a_day(lesson):
    for stem, group in zip(lesson.sequences.stems, lesson.sequences.groups, strict=True):
        assert group == f"{stem.split('_')[3]}_{stem.split('_')[4]}"
