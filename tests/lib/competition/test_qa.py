"""QA actions are obeyed, and checks without sound find what was planted in small tables and nothing in clean ones."""

import numpy as np
import pandas as pd
import pytest

from lib.competition.qa import (
    cluster_sizes,
    drop_excluded,
    excluded_items,
    pairs_across_folds,
    provenance,
    qa_rows,
    qa_summary,
    qa_table,
    read_qa,
    refuse_excluded,
    related_pairs,
    report_qa,
    save_qa,
)
from lib.competition.qa_checks import check_cooccurrence, check_joins, check_label_map, check_ratings, mirror_groups
from lib.competition.scores import Labels
from lib.competition.tables import Findings, read_clips, read_taxonomy, read_windows
from lib.core.errors import BadInput

CLIPS = pd.DataFrame({"filename": ["a/1.ogg", "a/2.ogg", "b/3.ogg"]})
WINDOWS = pd.DataFrame({"stem": ["s1", "s1", "s2", "s3"], "row_id": ["s1_5", "s1_10", "s2_5", "s3_5"]})


def a_table(*rows):
    return qa_table(qa_rows(a_table, kind, "planted", action, [row]) for kind, action, row in rows)


def test_exclude_and_nothing_else_leaves_the_tables():
    qa = a_table(
        ("clip", "exclude", ("a/1.ogg", "", "")),
        ("clip", "review", ("a/2.ogg", "", "")),
        ("clip", "group", ("a/2.ogg", "b/3.ogg", "")),
        ("clip", "none", ("b/3.ogg", "", "")),
        ("soundscape", "exclude", ("s3", "", "")),
        ("soundscape", "review", ("s2", "", "")),
        ("window", "exclude", ("s1_10", "", "")),
        ("window", "review", ("s1_5", "", "")),
    )
    findings = Findings()
    clips, windows = drop_excluded(CLIPS, WINDOWS, qa, findings)
    assert clips.filename.tolist() == ["a/2.ogg", "b/3.ogg"]
    assert windows.row_id.tolist() == ["s1_5", "s2_5"]
    assert [line.count for line in findings.lines] == [2]
    refuse_excluded(clips, windows, qa)


@pytest.mark.parametrize(("kind", "item"), [("clip", "a/2.ogg"), ("soundscape", "s2"), ("window", "s1_5")])
def test_tables_that_still_hold_an_excluded_item_are_refused(kind, item):
    with pytest.raises(BadInput, match=item):
        refuse_excluded(CLIPS, WINDOWS, a_table((kind, "exclude", (item, "", ""))))


def test_only_group_relates_and_only_its_own_kind_is_excluded():
    qa = a_table(
        ("clip", "group", ("x", "y", "")), ("clip", "review", ("x", "z", "")), ("clip", "exclude", ("w", "y", ""))
    )
    assert related_pairs(qa) == [("x", "y")]
    assert excluded_items(qa, "clip") == {"w"}
    assert excluded_items(qa, "soundscape") == set()


def test_pairs_that_lie_in_two_folds_cross():
    pairs = [("a", "b"), ("b", "c"), ("c", "elsewhere")]
    assert pairs_across_folds(pairs, {"a": 0, "b": 0, "c": 1}) == [("b", "c")]


def test_clusters_are_counted_by_size():
    assert cluster_sizes([("a", "b"), ("b", "c"), ("x", "y"), ("p", "q")]).to_dict() == {2: 2, 3: 1}


def test_each_line_names_the_function_that_found_it_and_the_version_of_its_file():
    by, _, version = provenance(related_pairs).partition(" @ ")
    assert by == "lib.competition.qa.related_pairs"
    assert len(version) == 16


def test_unknown_kinds_and_actions_are_refused():
    for kind, action in (("file", "review"), ("clip", "delete")):
        with pytest.raises(BadInput, match="QA row"):
            qa_rows(a_table, kind, "x", action, [])


def test_the_table_is_read_back_as_it_was(tmp_path):
    qa = a_table(
        ("clip", "group", ("0123/1.ogg", "a,b.ogg", 'says "so", and 1.0')), ("class", "none", ("47158", "", "NA"))
    )
    save_qa(tmp_path, qa)
    first = (tmp_path / "qa.csv").read_bytes()
    assert read_qa(tmp_path).equals(qa)
    save_qa(tmp_path, read_qa(tmp_path))
    assert (tmp_path / "qa.csv").read_bytes() == first
    save_qa(tmp_path, qa_table([]))
    assert len(read_qa(tmp_path)) == 0


def test_a_repeated_line_is_kept_once():
    assert len(a_table(("clip", "none", ("a", "", "")), ("clip", "none", ("a", "", "")))) == 1


def test_the_summary_counts_items_and_the_report_names_the_actions():
    qa = a_table(
        ("clip", "group", ("a", "b", "")), ("clip", "group", ("a", "c", "")), ("window", "review", ("w", "", ""))
    )
    table = qa_summary(qa)
    assert table["items"].tolist() == [1, 1]
    assert table.action.tolist() == ["group", "review"]
    findings = Findings()
    report_qa(pd.concat([qa, qa_rows(a_table, "clip", "bad sound", "exclude", [("z", "", "")])]), findings)
    assert [line.action for line in findings.lines] == ["kept in one fold", "to be reviewed"]


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
