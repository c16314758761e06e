"""The memo's tables count what is there: files, classes, folds, sites and company, by hand on four windows."""

import pandas as pd
import pytest

from lib.competition.eda import overview as memo
from tests.support.tinymemo import ONE, PREPARED, TAXONOMY, THREE, TWO, WINDOWS, labelled, prepared, qa_line

NAMES = TAXONOMY.set_index("primary_label").common_name


def rows_of(table: pd.DataFrame) -> list[tuple]:
    return list(table.itertuples(index=False, name=None))


def test_the_inventory_weighs_files_and_names_columns(tables):
    (tables / "train_audio" / "a").mkdir(parents=True)
    (tables / "train_audio" / "a" / "1.ogg").write_bytes(b"x" * 2_500_000)
    (tables / "train_audio" / "a" / "note.txt").write_bytes(b"x" * 9_000_000)
    found = memo.file_inventory(tables, {"train_audio": 0.125}).set_index("what")
    assert found.loc["train_audio/"].tolist() == ["1 sounds", "2.50", "0.12", ""]
    assert found.loc["test_soundscapes/"].tolist() == ["0 sounds", "0.00", "", ""]
    labels = pd.read_csv(tables / "train_soundscapes_labels.csv", dtype=str)
    assert found.holds["train_soundscapes_labels.csv"] == f"{len(labels)} rows × 4 columns"
    assert found["columns"]["train_soundscapes_labels.csv"] == "filename, start, end, primary_label"


def test_a_wide_table_names_its_first_two_columns(tables):
    names = ["row_id", *(f"class{n}" for n in range(20))]
    pd.DataFrame([[0] * 21], columns=names).to_csv(tables / "sample_submission.csv", index=False)
    found = memo.file_inventory(tables, {}).set_index("what")
    assert found["columns"]["sample_submission.csv"] == "row_id, class0 … and 19 more"


def test_each_class_is_counted_in_clips_and_in_soundscapes():
    table = memo.class_overview(PREPARED, TAXONOMY)
    assert list(table.columns) == [
        "label",
        "name",
        "animal class",
        "clips",
        "minutes",
        "authors",
        "labelled windows",
        "soundscapes",
        "sites",
    ]
    assert rows_of(table) == [
        ("a", "Ani", "Aves", 3, 0.4, 2, 2, 1, 1),
        ("c", "Chorus frog", "Amphibia", 1, 0.5, 1, 2, 2, 1),
        ("b", "Bananaquit", "Aves", 1, 1.0, 1, 1, 1, 1),
        ("d", "Dog-day cicada", "Insecta", 0, 0.0, 0, 0, 0, 0),
    ]


def test_coverage_counts_the_classes_of_each_fold():
    table = memo.label_sources(PREPARED, TAXONOMY)
    assert list(table.columns) == [
        "animal class",
        "classes",
        "with clips",
        "with labelled windows",
        "fold 0",
        "fold 1",
        "in one fold only",
    ]
    assert rows_of(table) == [
        ("Amphibia", 1, 1, 1, 1, 1, 0),
        ("Aves", 2, 2, 2, 1, 1, 2),
        ("Insecta", 1, 0, 0, 0, 0, 0),
        ("all", 4, 3, 3, 2, 2, 2),
    ]


def test_sites_are_counted_with_labels_and_without():
    stray = ["BC2026_Train_8_S01_20250105_050000.ogg", "BC2026_Train_9_S03_20250105_070000.ogg"]
    table = memo.site_table(WINDOWS, [f"{ONE}.ogg", f"{TWO}.ogg", f"{THREE}.ogg", *stray]).set_index("site")
    assert table.loc["S01"].tolist() == [2, 2, 1, 3, 2, 1.3, 1, 0]
    assert table.loc["S02"].tolist() == [1, 1, 1, 1, 1, 1.0, 0, 0]
    assert table.loc["S03"].drop("labels per window").tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert pd.isna(table["labels per window"]["S03"])


def test_cooccurrence_is_ranked_by_how_far_it_is_beyond_chance():
    rows = [
        (ONE, 5, ("a", "b")),
        (TWO, 5, ("a", "b")),
        (TWO, 10, ("a", "b", "c")),
        (ONE, 10, ("c",)),
        (ONE, 15, ("c",)),
    ]
    table = memo.cooccurring_pairs(prepared(windows=labelled(*rows)).labels, NAMES, 2)
    assert rows_of(table)[0] == ("Ani (a)", "Bananaquit (b)", 3, 1.8, 1.7, "100%", 2)
    assert rows_of(table)[1] == ("Ani (a)", "Chorus frog (c)", 1, 1.8, 0.6, "33%", 1)
    assert len(table) == 2


def test_the_similarity_is_read_from_the_detail():
    qa = pd.DataFrame(
        [
            qa_line("a/1.ogg", "clip", "near copy", "group", "a/2.ogg", "5.9 s in common, similarity 0.55"),
            qa_line("a/3.ogg", "clip", "poor recording", "review", detail="2 % clipped"),
        ]
    )
    found = memo.similarity(qa)
    assert found[0] == 0.55
    assert pd.isna(found[1])


@pytest.mark.parametrize("most", [0, 1])
def test_no_more_pairs_than_requested(most):
    assert len(memo.cooccurring_pairs(PREPARED.labels, NAMES, most)) == most
