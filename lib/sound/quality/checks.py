"""Checks that need sound: unusable files, copies, near copies, clips unlike their class, silence with labels."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lib.competition.qa import qa_rows
from lib.competition.row_ids import WINDOW_S
from lib.sound.duplicates.match import near_duplicates

_ODD = 4.0  # of the class's own spread, robustly measured
_LEAST_OF_CLASS = 8
_CLIPPED, _SILENT, _OFF_CENTRE = 0.01, 0.9, 0.5
_SOFTER_DB, _NARROWER = 30.0, 0.3  # than what is usual: where that is 16 kHz, a telephone is too narrow
_SILENT_DB, _BELOW_SITE_DB = -70.0, 25.0


def bad_sound(kind: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """The inventory's unusable files, excluded; a file that is not there is found by the joins."""
    bad = inventory[(inventory.problem != "") & (inventory.problem != "no such file")]
    rows = [(name, "", problem) for name, problem in zip(bad.name, bad.problem, strict=True)]
    return qa_rows(bad_sound, kind, "bad sound", "exclude", rows)


def exact_copies(kind: str, inventory: pd.DataFrame, label_of: dict[str, str]) -> pd.DataFrame:
    """Files of the same bytes, or the same samples. A copy with its original's labels is excluded.

    Copies with other labels are both kept, in one fold, and shown to a person. An item without an entry in `label_of`
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
    """Pairs of one recording among all sounds. Two clips, or two soundscapes, must share a fold.

    `kind_of` says clip or soundscape of each name. A clip within a soundscape is shown to a person: their folds are
    made apart.
    """
    pairs = near_duplicates(inventory.name.tolist(), inventory.echoprint.tolist(), sound)
    kinds = pairs["first"].map(kind_of), pairs.second.map(kind_of)
    detail = [
        f"{overlap_s:.1f} s in common, likeness {likeness:.2f}"
        for overlap_s, likeness in zip(pairs.overlap_s, pairs.likeness, strict=True)
    ]
    rows = pd.DataFrame({"first": pairs["first"], "second": pairs.second, "detail": detail})
    alike = kinds[0] == kinds[1]
    parts = [
        qa_rows(near_copies, kind, "near copy", action, rows[(kinds[0] == kind) & chosen].itertuples(index=False))
        for action, chosen in (("group", alike), ("review", ~alike))
        for kind in ("clip", "soundscape")
    ]
    return pd.concat(parts, ignore_index=True)


def odd_ones(inventory: pd.DataFrame, label_of: dict[str, str]) -> pd.DataFrame:
    """Clips whose mean picture lies far from their class's, by the class's own spread; small classes are left out."""
    profiles = np.stack([one.profile for one in inventory.echoprint])
    profiles = (profiles - profiles.mean(axis=0)) / (profiles.std(axis=0) + 1e-6)
    labels = inventory.name.map(label_of).to_numpy()
    found = []
    for label in dict.fromkeys(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < _LEAST_OF_CLASS:
            continue
        away = np.sqrt(np.square(profiles[members] - np.median(profiles[members], axis=0)).mean(axis=1))
        spread = 1.4826 * np.median(np.abs(away - np.median(away))) + 1e-6
        odd = (away - np.median(away)) / spread
        found += [(float(odd[n]), inventory.name.iloc[members[n]], label) for n in np.flatnonzero(odd > _ODD)]
    rows = [(name, "", f"{odd:.1f} spreads from the middle of {label}") for odd, name, label in sorted(found)[::-1]]
    return qa_rows(odd_ones, "clip", "unlike its class", "review", rows)


def poor_sound(kind: str, inventory: pd.DataFrame) -> pd.DataFrame:
    """Sounds that are clipped, mostly silent or off centre; or far softer or narrower than is usual in this inventory.

    What is usual decides where no number is right for all: a whole set of recordings may end at 8 kHz.
    """
    usable = inventory[inventory.problem == ""]
    level_db, edge_hz = 20 * np.log10(usable.rms), usable.edge_hz
    offset = usable.dc.abs() / usable.rms
    softer_db, usual_hz = level_db.median() - level_db, edge_hz.median()
    said = [
        (usable.clipped > _CLIPPED, usable.clipped.map("{:.0%} clipped".format)),
        (usable.silent > _SILENT, usable.silent.map("{:.0%} silent".format)),
        (offset > _OFF_CENTRE, offset.map("off centre by {:.0%} of its loudness".format)),
        (softer_db > _SOFTER_DB, softer_db.map("{:.0f} dB softer than usual".format)),
        (edge_hz < _NARROWER * usual_hz, edge_hz.map(f"nothing above {{:.0f}} Hz, usual is {usual_hz:.0f}".format)),
    ]
    rows = []
    for place, name in enumerate(usable.name):
        if reasons := [text.iloc[place] for wrong, text in said if wrong.iloc[place]]:
            rows.append((name, "", ", ".join(reasons)))
    return qa_rows(poor_sound, kind, "poor recording", "review", rows)


def silent_windows(windows: pd.DataFrame, inventory: pd.DataFrame) -> pd.DataFrame:
    """Windows with a label and next to no sound: below -70 dB of full scale, or 25 dB below their site's usual."""
    levels = dict(zip(inventory.name, inventory.levels_db, strict=True))
    heard = windows[windows.stem.isin(levels) & (windows.labels.str.len() > 0)]
    positions = heard.end_s // WINDOW_S - 1
    level = [
        levels[stem][at % max(1, len(levels[stem]))] if len(levels[stem]) else -120.0
        for stem, at in zip(heard.stem, positions, strict=True)
    ]
    heard = heard.assign(level_db=level)
    usual = heard.groupby("site").level_db.transform("median")
    silent = heard[(heard.level_db < _SILENT_DB) | (heard.level_db < usual - _BELOW_SITE_DB)]
    rows = [(row.row_id, "", f"{row.level_db:.0f} dB, labelled {';'.join(row.labels)}") for row in silent.itertuples()]
    return qa_rows(silent_windows, "window", "silent window with labels", "review", rows)
