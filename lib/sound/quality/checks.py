"""Quality checks of sounds: unusable files, copies, near copies, outliers of a class, silence with labels."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lib.competition.qa import qa_rows
from lib.competition.row_ids import WINDOW_S
from lib.sound.duplicates.match import near_duplicates

_ODD = 4.0  # of the class's own spread, robustly measured
_LEAST_OF_CLASS = 8
_CLIPPED, _SILENT, _OFF_CENTRE = 0.01, 0.9, 0.5
_SOFTER_DB, _NARROWER = 30.0, 0.3  # than usual: where that is 16 kHz, a telephone is too narrow
_SILENT_DB, _BELOW_SITE_DB = -70.0, 25.0


def unusable_files(kind: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """The inventory's unusable files, excluded; a file that is not there is found by the joins."""
    bad = inventory[(inventory.problem != "") & (inventory.problem != "no such file")]
    rows = [(name, "", problem) for name, problem in zip(bad.name, bad.problem, strict=True)]
    return qa_rows(unusable_files, kind, "bad sound", "exclude", rows)


def damaged_files(kind: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """Usable files that are not what they state: pages lost, an end that is missing, another stream behind."""
    bad = inventory[(inventory.problem == "") & (inventory.damage != "")]
    rows = [(name, "", damage) for name, damage in zip(bad.name, bad.damage, strict=True)]
    return qa_rows(damaged_files, kind, "damaged file", "review", rows)


def exact_copies(kind: str, inventory: pd.DataFrame, label_of: dict[str, str]) -> pd.DataFrame:
    """Files of the same bytes, or the same samples. A copy with its original's labels is excluded.

    Copies with other labels are both kept, in one fold, and sent to review. An item without an entry in `label_of`
    (an unlabelled soundscape) is a copy of any other.
    """
    usable = inventory[inventory.problem == ""]
    usable = usable.assign(unlabelled=~usable.name.isin(label_of)).sort_values("unlabelled", kind="stable")
    copies, conflicts = [], []
    for column, what in (("file_hash", "the same bytes"), ("sound_hash", "the same samples")):
        for _, same in usable.groupby(column, sort=False):
            first, *others = same.name
            for other in others:
                if label_of.get(other, label_of.get(first)) == label_of.get(first):
                    copies.append((other, first, what))
                else:
                    conflicts.append((other, first, f"{what}, labelled {label_of[other]} and {label_of[first]}"))
        usable = usable[~usable.name.isin({other for other, _, _ in copies + conflicts})]
    return pd.concat(
        [
            qa_rows(exact_copies, kind, "exact copy", "exclude", copies),
            qa_rows(exact_copies, kind, "exact copy", "group", conflicts),
            qa_rows(exact_copies, kind, "copies labelled differently", "review", conflicts),
        ]
    )


def near_copies(inventory: pd.DataFrame, kind_of: dict[str, str], sound: Callable[[str], np.ndarray]) -> pd.DataFrame:
    """Pairs of the same recording among all sounds. Two clips, or two soundscapes, must share a fold.

    `kind_of` is "clip" or "soundscape" for each name. A clip within a soundscape is sent to review: their folds are
    made separately.
    """
    pairs = near_duplicates(inventory.name.tolist(), inventory.echoprint.tolist(), sound)
    kinds = pairs["first"].map(kind_of), pairs.second.map(kind_of)
    detail = [
        f"{overlap_s:.1f} s in common, similarity {similarity:.2f}"
        for overlap_s, similarity in zip(pairs.overlap_s, pairs.similarity, strict=True)
    ]
    rows = pd.DataFrame({"first": pairs["first"], "second": pairs.second, "detail": detail})
    same_kind = kinds[0] == kinds[1]
    parts = [
        qa_rows(near_copies, kind, "near copy", action, rows[(kinds[0] == kind) & chosen].itertuples(index=False))
        for action, chosen in (("group", same_kind), ("review", ~same_kind))
        for kind in ("clip", "soundscape")
    ]
    return pd.concat(parts, ignore_index=True)


def class_outliers(inventory: pd.DataFrame, label_of: dict[str, str]) -> pd.DataFrame:
    """Clips whose mean spectrum lies far from their class's, in units of its spread; small classes are left out."""
    profiles = np.stack([one.profile for one in inventory.echoprint])
    profiles = (profiles - profiles.mean(axis=0)) / (profiles.std(axis=0) + 1e-6)
    labels = inventory.name.map(label_of).to_numpy()
    found = []
    for label in dict.fromkeys(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < _LEAST_OF_CLASS:
            continue
        distance = np.sqrt(np.square(profiles[members] - np.median(profiles[members], axis=0)).mean(axis=1))
        spread = 1.4826 * np.median(np.abs(distance - np.median(distance))) + 1e-6
        odd = (distance - np.median(distance)) / spread
        found += [(float(odd[n]), inventory.name.iloc[members[n]], label) for n in np.flatnonzero(odd > _ODD)]
    rows = [(name, "", f"{odd:.1f} spreads from the median of {label}") for odd, name, label in sorted(found)[::-1]]
    return qa_rows(class_outliers, "clip", "unlike its class", "review", rows)


def poor_recordings(kind: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """Sounds that are clipped, mostly silent or off centre; or far softer or narrower than is usual in this inventory.

    Level and bandwidth are compared with the median because no fixed number fits: a whole set of recordings may end at
    8 kHz.
    """
    usable = inventory[inventory.problem == ""]
    level_db, edge_hz = 20 * np.log10(usable.rms), usable.edge_hz
    offset = usable.dc.abs() / usable.rms
    softer_db, usual_hz = level_db.median() - level_db, edge_hz.median()
    reasons = [
        (usable.clipped > _CLIPPED, usable.clipped.map("{:.0%} clipped".format)),
        (usable.silent > _SILENT, usable.silent.map("{:.0%} silent".format)),
        (offset > _OFF_CENTRE, offset.map("off centre by {:.0%} of its loudness".format)),
        (softer_db > _SOFTER_DB, softer_db.map("{:.0f} dB softer than usual".format)),
        (edge_hz < _NARROWER * usual_hz, edge_hz.map(f"nothing above {{:.0f}} Hz, usual is {usual_hz:.0f}".format)),
    ]
    rows = []
    for position, name in enumerate(usable.name):
        if found := [str(text.iloc[position]) for wrong, text in reasons if wrong.iloc[position]]:
            rows.append((name, "", ", ".join(found)))
    return qa_rows(poor_recordings, kind, "poor recording", "review", rows)


def silent_windows(windows: pd.DataFrame, inventory: pd.DataFrame) -> pd.DataFrame:
    """Windows with a label and almost no sound: below -70 dB of full scale, or 25 dB below their site's median."""
    levels = dict(zip(inventory.name, inventory.levels_db, strict=True))
    labelled = windows[windows.stem.isin(levels) & (windows.labels.str.len() > 0)]
    positions = labelled.end_s // WINDOW_S - 1
    level = [
        levels[stem][at % max(1, len(levels[stem]))] if len(levels[stem]) else -120.0
        for stem, at in zip(labelled.stem, positions, strict=True)
    ]
    labelled = labelled.assign(level_db=level)
    usual = labelled.groupby("site").level_db.transform("median")
    silent = labelled[(labelled.level_db < _SILENT_DB) | (labelled.level_db < usual - _BELOW_SITE_DB)]
    rows = [
        (row_id, "", f"{level_db:.0f} dB, labelled {';'.join(labels)}")
        for row_id, level_db, labels in zip(silent.row_id, silent.level_db, silent.labels, strict=True)
    ]
    return qa_rows(silent_windows, "window", "silent window with labels", "review", rows)
