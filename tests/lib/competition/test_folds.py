"""Folds keep groups and clusters of copies whole, spread rare classes, and cannot be changed unnoticed."""

import json

import numpy as np
import pandas as pd
import pytest

from lib.competition.folds import (
    Folds,
    assign_folds,
    clusters,
    make_folds,
    merge_related_groups,
    move_related_items,
    read_folds,
)
from lib.competition.tables import Findings, read_clips, read_windows
from lib.core.errors import BadInput


@pytest.fixture(scope="module")
def folds(public, classes):
    clips, windows = read_clips(public, classes, Findings()), read_windows(public, classes, Findings())
    return make_folds(clips, windows, classes, n_folds=4, seed=1), clips, windows


def test_a_recording_group_and_an_author_lie_in_one_fold(folds):
    made, clips, windows = folds
    assert windows.assign(fold=windows.stem.map(made.of("soundscape"))).groupby("group").fold.nunique().max() == 1
    assert clips.assign(fold=clips.filename.map(made.of("clip"))).groupby("author").fold.nunique().max() == 1
    assert set(made.of("soundscape")) == set(windows.stem)
    assert set(made.of("clip")) == set(clips.filename)


def test_three_soundscapes_of_one_second_stay_together(mini, folds):
    trio = json.loads((mini / "miniature.json").read_text())["quirks"]["same_site_and_second_soundscape"]
    of = folds[0].of("soundscape")
    assert len({of[name.removesuffix(".ogg")] for name in trio}) == 1


def test_every_fold_is_used_and_a_class_in_as_many_groups_as_folds_is_in_every_fold():
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 3), dtype=bool)
    labels[:, 0] = True
    labels[:5, 1] = True  # five groups hold the rare class
    labels[:, 2] = rng.random(60) < 0.5
    fold = assign_folds([f"g{n}" for n in range(60)], labels, n_folds=5, seed=0)
    assert sorted(fold[:5]) == [0, 1, 2, 3, 4]
    assert np.bincount(fold).min() >= 9


def test_the_same_seed_gives_the_same_folds_and_the_version_differs_for_others(folds, public, classes):
    made, clips, windows = folds
    assert make_folds(clips, windows, classes, n_folds=4, seed=1).version == made.version
    assert make_folds(clips, windows, classes, n_folds=3, seed=1).version != made.version


def test_a_changed_table_is_found_out(folds, tmp_path):
    made = folds[0]
    path = tmp_path / "folds.csv"
    made.save(path)
    assert read_folds(path, made.version).version == made.version
    moved = made.table.copy()
    moved.loc[moved.kind == "soundscape", "fold"] = 0
    Folds(moved).save(path)
    with pytest.raises(BadInput, match="changed after they were frozen"):
        read_folds(path, made.version)


def test_a_split_group_is_refused():
    table = pd.DataFrame({"item": ["a", "b"], "kind": "clip", "group": "one", "fold": [0, 1]})
    with pytest.raises(BadInput, match="split over folds"):
        Folds(table)


def test_too_few_groups_is_an_error():
    with pytest.raises(BadInput, match="too few groups"):
        assign_folds(["a", "b"], np.ones((2, 1), dtype=bool), n_folds=5, seed=0)


def test_clips_without_an_author_are_not_one_group(folds, classes):
    _, clips, windows = folds
    made = make_folds(clips.assign(author=""), windows, classes, n_folds=4, seed=1)
    assert made.table[made.table.kind == "clip"].group.nunique() == len(clips)


def test_soundscapes_of_two_days_that_share_a_recording_lie_in_one_fold_with_their_whole_days(folds, classes):
    made, clips, windows = folds
    of = made.of("soundscape")
    one = windows.stem[0]
    other = next(stem for stem in windows.stem if of[stem] != of[one])
    again = make_folds(clips, windows, classes, n_folds=4, seed=1, related=[(other, "unlabelled"), ("unlabelled", one)])
    group_of = dict(zip(windows.stem, windows.group, strict=True))
    days = [stem for stem in of if group_of[stem] in (group_of[one], group_of[other])]
    assert len({again.of("soundscape")[stem] for stem in days}) == 1
    assert len(set(again.of("soundscape").values())) == 4


def test_a_copied_clip_lies_in_its_originals_fold_and_its_authors_other_clips_stay(folds, classes):
    made, clips, windows = folds
    table = made.table[made.table.kind == "clip"].set_index("item")
    several = table.groupby("group").filter(lambda rows: len(rows) > 1)
    copy = several.index[0]
    original = table.index[table.group != table.group[copy]][0]
    again = make_folds(clips, windows, classes, n_folds=4, seed=1, related=[(copy, original)]).table.set_index("item")
    assert again.fold[copy] == again.fold[original]
    pair = {copy, original}
    moved = [item for item in table.index if again.group[item] != table.group[item]]
    assert len(moved) == 1
    assert set(moved) < pair


def test_a_cluster_has_the_first_of_its_names():
    pairs = [("c", "d"), ("b", "c"), ("e", "f"), ("a", "b")]
    assert clusters(pairs) == dict.fromkeys("abcd", "a") | {"e": "e", "f": "e"}
    assert clusters([]) == {}


def test_a_copy_moves_to_its_original_and_the_rest_of_its_group_stays():
    assert move_related_items(["a", "b", "c"], ["x", "y", "y"], [("b", "a")]) == ["x", "x", "y"]


def test_groups_that_share_a_recording_become_one_with_all_they_hold():
    items, groups = ["a", "b", "c", "d"], ["x", "y", "y", "z"]
    assert merge_related_groups(items, groups, [("a", "b")]) == ["x", "x", "x", "z"]
    assert merge_related_groups(items, groups, []) == groups


def test_items_are_related_through_one_that_is_not_listed():
    through = [("a", "elsewhere"), ("elsewhere", "d")]
    items, groups = ["a", "b", "d"], ["x", "y", "z"]
    assert merge_related_groups(items, groups, through) == ["x", "y", "x"]
    assert move_related_items(items, groups, through) == ["x", "y", "x"]
