"""Each risk is named when it is planted, with its number, and is absent from the clean control."""

import pandas as pd
import pytest

from lib.competition.eda.risks import risks
from lib.competition.folds import Folds
from tests.support.tinymemo import CLASSES, CLIPS, PREPARED, labelled, prepared, qa_line, sounds

SITES, DAYS = 5, 16
STEMS = [
    f"BC2026_Train_{site}{day:02d}_S{site:02d}_202501{day + 1:02d}_050000"
    for site in range(SITES)
    for day in range(DAYS)
]
EVERYTHING = labelled(
    *(
        (stem, end_s, labels)
        for stem in STEMS
        for end_s, labels in ((5, ("a", "b")), (10, ("c", "d")), (15, ("a",)), (20, ("b",)), (25, ("c",)))
    )
)
CLEAN_CLIPS = pd.concat(
    [
        CLIPS.iloc[[0]].assign(filename=f"{label}/{n}.ogg", primary_label=label, author=f"author {n}", rating=4.0)
        for label in CLASSES.labels
        for n in range(12)
    ],
    ignore_index=True,
)


def folds_of(windows, fold_of=lambda stem: int(stem[-9:-7]) % 2) -> Folds:
    stems = windows.drop_duplicates("stem")
    return Folds(
        pd.DataFrame(
            {
                "item": stems.stem,
                "kind": "soundscape",
                "group": stems.group,
                "fold": stems.stem.map(fold_of),
            }
        )
    )


CLEAN = prepared(clips=CLEAN_CLIPS, windows=EVERYTHING, folds=folds_of(EVERYTHING))
CLIP_SOUNDS = sounds(CLEAN_CLIPS.filename.tolist())
SCENE_SOUNDS = sounds([f"{stem}.ogg" for stem in STEMS])


def evidence(found: pd.DataFrame) -> dict[str, str]:
    return dict(zip(found.risk, found.evidence, strict=True))


def with_windows(windows) -> dict:
    return {"windows": windows, "folds": folds_of(windows)}


def with_clips(**columns) -> dict:
    return {"clips": CLEAN_CLIPS.assign(**columns)}


def without(labels: tuple[str, ...], where=lambda table: slice(None)):
    table = EVERYTHING.copy()
    table.loc[where(table), "labels"] = table.loc[where(table), "labels"].map(
        lambda present: tuple(label for label in present if label not in labels)
    )
    return table


def copies(*lines: dict) -> dict:
    return {"qa": pd.DataFrame(lines)}


def test_the_clean_control_has_no_risk():
    assert evidence(risks(CLEAN, CLIP_SOUNDS, SCENE_SOUNDS)) == {}


EVEN = EVERYTHING.stem.str[-9:-7].astype(int) % 2 == 0
FEW = EVERYTHING.date < "20250111"
PLANTED = {
    "one site dominates": (
        with_windows(EVERYTHING[(EVERYTHING.site == "S01") | (EVERYTHING.end_s <= 10)]),
        "S01 has 38% of the labelled windows",
    ),
    "classes that cannot be evaluated": (with_windows(without(("d",))), "1 of 4 classes are in no labelled window"),
    "classes evaluated by one fold": (
        with_windows(without(("d",), lambda table: EVEN)),
        "1 of 4 classes with labelled windows are in one fold only",
    ),
    "few recordings": (
        with_windows(EVERYTHING[FEW]),
        "250 labelled windows come from 50 recording groups (site and day)",
    ),
    "a long tail": (
        {"clips": CLEAN_CLIPS.iloc[: 2 * 12 + 4].assign(author="")},
        "1 classes have no clip, 1 have 1 to 4",
    ),
    "one author's recorder": (
        with_clips(author=["Ana" if n % 4 == 0 else f"author {n}" for n in range(48)]),
        "Ana made 25% of the clips",
    ),
    "clips shorter than a window": (with_clips(seconds=[4.9] * 12 + [5.0] * 36), "25% of the clips"),
    "clips without a rating": (with_clips(rating=[0.0] * 24 + [1.0] * 24), "50% of the clips"),
    "copies across folds": (
        copies(
            qa_line("a/1.ogg", "clip", "near copy", "group", "a/2.ogg"),
            qa_line("a/2.ogg", "clip", "near copy", "group", "a/3.ogg"),
            qa_line("b/1.ogg", "clip", "near copy", "group", "b/2.ogg"),
            qa_line("c/1.ogg", "clip", "near copy", "review", "c/2.ogg"),
        ),
        "3 pairs of one recording, in 2 clusters",
    ),
    "mirrored classes": (
        copies(qa_line("a", "class", "mirrored classes", "none", "b")),
        "1 labelled in exactly the same windows as another",
    ),
}


@pytest.mark.parametrize("risk", PLANTED)
def test_a_planted_risk_is_named_with_its_number_and_alone(risk):
    changes, found = PLANTED[risk]
    tables = {"clips": CLEAN.clips, "windows": CLEAN.windows, "folds": CLEAN.folds, **changes}
    assert evidence(risks(prepared(**tables), CLIP_SOUNDS, SCENE_SOUNDS)) == {risk: found}


def test_sites_and_hours_without_labels_are_named():
    strange = ["BC2026_Train_9_S77_20250101_130000.ogg", "BC2026_Train_9_S01_20250101_210000.ogg"]
    found = evidence(risks(CLEAN, CLIP_SOUNDS, sounds([*SCENE_SOUNDS.name, *strange])))
    assert found == {
        "sites without labels": "S77: soundscapes, and no label",
        "hours without labels": "no label at 13, 21 h UTC, where there are soundscapes",
    }


@pytest.mark.parametrize(("clip_db", "expected"), [(12.9, False), (13.1, True), (6.9, True)])
def test_clips_are_not_soundscapes_where_their_medians_differ(clip_db, expected):
    names = [*CLIP_SOUNDS.name, *(f"bad{n}.ogg" for n in range(60))]
    loud = sounds(names, snr_db=[clip_db] * 48 + [10.0] * 60, problem=[""] * 48 + ["no samples"] * 60)
    assert ("clips are not soundscapes" in evidence(risks(CLEAN, loud, SCENE_SOUNDS))) == expected


def test_an_unnamed_author_is_no_author():
    nameless = prepared(clips=CLEAN_CLIPS.assign(author=""), windows=CLEAN.windows, folds=CLEAN.folds)
    assert evidence(risks(nameless, CLIP_SOUNDS, SCENE_SOUNDS)) == {}


def test_every_risk_has_a_mitigation():
    found = risks(PREPARED, CLIP_SOUNDS, SCENE_SOUNDS)
    assert len(found) > 3
    assert found.mitigation.str.len().min() > 10
