"""Families of folds keep together what they say they keep together; the shadow split holds out whole sites."""

import pandas as pd
import pytest

from lib.competition.fold_families import FAMILIES, fold_of_rows, shadow_split
from lib.competition.folds import make_folds
from lib.competition.prepared import load_prepared
from lib.core.errors import BadInput

KEPT_TOGETHER = {
    "random windows": "row_id",
    "random": "stem",
    "site and day": "group",
    "hybrid": "group",
    "date blocks": "date",
    "site": "site",
}


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


def made(family, prepared, windows=None):
    windows = prepared.windows if windows is None else windows
    return FAMILIES[family](prepared.clips, windows, prepared.classes, n_folds=3, seed=1)


def windows_of(recordings):
    """One window a recording, given as (site, date, labels)."""
    rows = [
        {
            "row_id": f"BC2026_Train_{n:04d}_{site}_{date}_050000_5",
            "stem": f"BC2026_Train_{n:04d}_{site}_{date}_050000",
            "site": site,
            "date": date,
            "group": f"{site}_{date}",
            "labels": tuple(labels),
        }
        for n, (site, date, labels) in enumerate(recordings)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_its_groups_whole_and_holds_out_each_row_and_clip_once(family, prepared):
    folds, windows = made(family, prepared), prepared.windows
    fold = pd.Series(fold_of_rows(folds, windows))
    assert fold.notna().all()
    assert fold.nunique() > 1
    assert fold.groupby(windows[KEPT_TOGETHER[family]]).nunique().max() == 1
    clips = prepared.clips.assign(fold=prepared.clips.filename.map(folds.of("clip")))
    assert clips.fold.notna().all()
    assert clips[clips.author != ""].groupby("author").fold.nunique().max() == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_the_same_for_the_same_seed(family, prepared):
    assert made(family, prepared).version == made(family, prepared).version


def test_windows_at_random_split_soundscapes_and_no_other_family_does(prepared):
    for family in FAMILIES:
        fold = pd.Series(fold_of_rows(made(family, prepared), prepared.windows))
        assert (fold.groupby(prepared.windows.stem).nunique().max() > 1) == (family == "random windows")


def test_the_hybrid_family_is_what_01_freezes(prepared):
    frozen = make_folds(prepared.clips, prepared.windows, prepared.classes, n_folds=3, seed=1)
    assert made("hybrid", prepared).version == frozen.version


def test_date_blocks_follow_the_calendar_in_equal_stretches(prepared):
    windows = windows_of([("S01", f"202501{day:02d}", ()) for day in range(1, 10)])
    assert fold_of_rows(made("date blocks", prepared, windows), windows).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_date_that_fills_two_blocks_leaves_no_fold_without_rows(prepared):
    windows = windows_of([("S01", "20250101", ())] * 8 + [("S01", "20250102", ())])
    assert sorted(set(fold_of_rows(made("date blocks", prepared, windows), windows))) == [0, 1]


def test_fewer_sites_than_folds_make_fewer_folds(prepared):
    windows = windows_of([("S01", "20250101", ()), ("S02", "20250101", ()), ("S02", "20250102", ())])
    folds = made("site", prepared, windows)
    assert folds.numbers == [0, 1]


def test_the_shadow_holds_out_whole_sites_whose_classes_occur_elsewhere(prepared):
    windows = windows_of(
        [("S01", f"202501{day:02d}", ("a", "b")) for day in range(1, 8)]  # the dominant site: too large
        + [("S02", "20250101", ("c",)), ("S03", "20250101", ("a",)), ("S04", "20250102", ("a", "b"))]
    )
    held = fold_of_rows(shadow_split(prepared.clips, windows), windows) == 0
    assert set(windows.site[held]) == {"S04"}
    assert shadow_split(prepared.clips, windows).of("clip") == dict.fromkeys(prepared.clips.filename, 1)


def test_on_the_miniature_no_site_is_split_by_the_shadow(prepared):
    held = fold_of_rows(shadow_split(prepared.clips, prepared.windows), prepared.windows) == 0
    assert 0 < prepared.windows.stem[held].nunique() <= 0.3 * prepared.windows.stem.nunique()
    assert not set(prepared.windows.site[held]) & set(prepared.windows.site[~held])


def test_one_site_alone_cannot_be_a_shadow(prepared):
    with pytest.raises(BadInput, match="no site can be held out"):
        shadow_split(prepared.clips, windows_of([("S01", "20250101", ()), ("S01", "20250102", ())]))
