"""Checks without sound find what was planted in small tables, and nothing in clean ones."""

import numpy as np
import pandas as pd

from lib.competition.qa import check_cooccurrence, check_joins, check_label_map, check_ratings, mirror_groups
from lib.competition.scores import Labels
from lib.competition.tables import Findings, read_clips, read_taxonomy, read_windows


def items(qa, check, action):
    return qa["item"][(qa.check == check) & (qa.action == action)].tolist()


def test_the_miniatures_tables_agree_with_each_other(public, classes):
    findings = Findings()
    clips, taxonomy = read_clips(public, classes, findings), read_taxonomy(public, classes, findings)
    windows = read_windows(public, classes, findings)
    assert len(check_label_map(clips, taxonomy)) == 0
    assert len(check_joins(clips, windows, clips.filename.tolist(), windows.stem.tolist())) == 0


def test_a_clip_in_a_strange_folder_or_under_a_strange_name_is_shown(public, classes):
    findings = Findings()
    clips, taxonomy = read_clips(public, classes, findings), read_taxonomy(public, classes, findings)
    clips.loc[0, "filename"] = f"elsewhere/{clips.filename[0].split('/')[1]}"
    clips.loc[2, "scientific_name"] = "Nemo nemo"
    taxonomy.loc[[0, 1], "scientific_name"] = "Duo duo"
    clips = clips[~clips.primary_label.isin(taxonomy.primary_label[:2]) | clips.index.isin([0, 2])]
    qa = check_label_map(clips, taxonomy)
    assert {clips.filename[0], clips.filename[2]} <= set(qa["item"][qa.kind == "clip"])
    assert qa["item"][qa.kind == "class"].tolist() == taxonomy.primary_label[:2].tolist()
    assert (qa.action == "review").all()


def test_corrupt_joins_are_found_on_both_sides():
    clips = pd.DataFrame({"filename": ["a/1.ogg", "a/2.ogg"]})
    windows = pd.DataFrame({"stem": ["s1", "s2", "s2"]})
    qa = check_joins(clips, windows, ["a/2.ogg", "a/3.ogg"], ["s1", "s9"])
    assert items(qa, "row without file", "exclude") == ["a/1.ogg"]
    assert items(qa, "file without row", "none") == ["a/3.ogg"]
    assert items(qa, "labels without file", "exclude") == ["s2"]


def test_a_rating_of_nought_is_no_rating():
    clips = pd.DataFrame({"filename": list("abc"), "rating": [0.0, 1.0, 4.5]})
    assert check_ratings(clips)["item"].tolist() == ["b"]


def labels_of(columns):
    values = np.array(columns, dtype=bool).T
    rows = tuple(f"BC2026_Train_{n:04d}_S01_20250101_000000_5" for n in range(len(values)))
    return Labels(values, rows, tuple(f"c{n}" for n in range(len(columns)))), list(range(len(values)))


def test_classes_that_are_always_together_mirror_each_other():
    labels, stems = labels_of([[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert mirror_groups(labels) == [["c0", "c1"]]
    found = check_cooccurrence(labels, stems)
    assert found[["item", "partner", "action"]].to_numpy().tolist() == [["c0", "c1", "none"]]


def test_two_common_classes_that_cooccur_once_are_listed_and_two_that_do_so_by_chance_are_not():
    one, other = np.arange(60) < 31, np.arange(60) >= 30
    labels, stems = labels_of([one, other])
    assert items(check_cooccurrence(labels, stems), "improbable co-occurrence", "review") == [labels.row_ids[30]]
    labels, stems = labels_of([one, np.arange(60) % 2 == 0])
    assert items(check_cooccurrence(labels, stems), "improbable co-occurrence", "review") == []
