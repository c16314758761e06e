"""Heads train on whole soundscapes, unlabelled windows masked, and on clips without labels that may be silent."""

import numpy as np
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE, parse_soundscape
from lib.learn.head.data import load_head_data


def embeddings_of(item):
    """Embeddings that identify their item and row."""
    rows = WINDOWS_PER_SOUNDSCAPE if "/" not in item else 1 + len(item) % 3
    table = np.stack([np.full(rows, sum(item.encode())), np.arange(rows)], axis=1).astype(np.float32)
    return {"embedding": table, "logits": -table, "more": table}


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def data(prepared):
    return load_head_data(prepared, embeddings_of, ["embedding", "logits"])


def test_a_soundscape_is_whole_and_only_its_labelled_windows_are_known(prepared, data):
    sequences = data.sequences
    assert set(sequences.stems) == set(prepared.windows.stem)
    assert (~sequences.known).sum() > 0  # the miniature has partly labelled files
    seen = set()
    for stem, end_s, labels in zip(prepared.windows.stem, prepared.windows.end_s, prepared.windows.labels, strict=True):
        place = sequences.stems.index(stem), end_s // 5 - 1
        assert sequences.known[place]
        assert {prepared.classes.labels[n] for n in np.flatnonzero(sequences.truth[place])} == set(labels)
        seen.add(place)
    assert sequences.known.sum() == len(seen)
    assert not sequences.truth[~sequences.known].any()


def test_embeddings_lie_beside_their_own_truth_and_only_the_named_ones_are_kept(data):
    assert set(data.sequences.embeddings) == set(data.clips.embeddings) == {"embedding", "logits"}
    for row, stem in enumerate(data.sequences.stems):
        np.testing.assert_array_equal(data.sequences.embeddings["logits"][row], embeddings_of(stem)["logits"])
    for row, clip in enumerate(data.clips.clip_of_row):
        assert data.clips.embeddings["embedding"][row, 0] == sum(data.clips.names[clip].encode())
    windows = data.sequences.windows("embedding")
    assert windows.shape == (data.sequences.known.sum(), 2)
    places = np.nonzero(data.sequences.known)[1]
    np.testing.assert_array_equal(windows[:, 1], places)


def test_sites_are_numbered_from_one_in_the_order_of_their_names_and_hours_are_those_of_the_file_name(data):
    for stem, site, hour in zip(data.sequences.stems, data.sequences.sites, data.sequences.hours, strict=True):
        assert data.site_names[site - 1] == parse_soundscape(stem).site
        assert hour == int(stem[-6:-4])
    assert list(data.site_names) == sorted(data.site_names)


def test_secondary_labels_of_a_clip_have_no_weight(prepared, data):
    by_name = prepared.clips.set_index("filename")
    index, some = prepared.classes.index, 0
    for truth, cells, clip in zip(data.clips.truth, data.clips.cells, data.clips.clip_of_row, strict=True):
        row = by_name.loc[data.clips.names[clip]]
        assert np.flatnonzero(truth).tolist() == [index[row.primary_label]]
        assert set(np.flatnonzero(cells == 0)) == {index[label] for label in row.secondary}
        some += len(row.secondary)
    assert some


def test_a_part_has_the_chosen_files_and_clips_with_all_that_belongs_to_them(data):
    files, clips = (np.arange(len(of)) % 2 == 1 for of in (data.sequences.stems, data.clips.names))
    part = data.subset(files, clips)
    assert part.sequences.stems == data.sequences.stems[1::2]
    assert part.clips.names == data.clips.names[1::2]
    assert part.site_names == data.site_names
    for name, of in ((n, data.sequences) for n in ("truth", "known", "sites", "hours")):
        np.testing.assert_array_equal(getattr(part.sequences, name), getattr(of, name)[1::2])
    for row, clip in enumerate(part.clips.clip_of_row):
        assert part.clips.embeddings["embedding"][row, 0] == sum(part.clips.names[clip].encode())
    rows = np.isin(data.clips.clip_of_row, np.flatnonzero(clips))
    np.testing.assert_array_equal(part.clips.truth, data.clips.truth[rows])
    np.testing.assert_array_equal(part.clips.cells, data.clips.cells[rows])


def test_windows_in_another_order_take_their_truth_along(data):
    order = np.roll(np.arange(12), 5)
    turned = data.sequences.reorder(order)
    for name in ("truth", "known"):
        np.testing.assert_array_equal(getattr(turned, name)[:, 5], getattr(data.sequences, name)[:, 0])
    assert turned.embeddings["embedding"][0, 5, 1] == 0


def test_a_recording_group_is_a_site_and_a_day(data):
    for stem, group in zip(data.sequences.stems, data.sequences.groups, strict=True):
        assert group == f"{stem.split('_')[3]}_{stem.split('_')[4]}"
