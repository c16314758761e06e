"""What 01 shows of single sounds: an example of each animal class, a minute in windows, items to review."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lib.competition.eda.overview import likeness
from lib.competition.row_ids import WINDOW_S, split_row_id, window_ends
from lib.show.audio import Card, gallery, minute_browser, seen_and_heard
from lib.show.pieces import Html
from lib.show.plots import TAXON_COLOURS
from lib.sound.decode import soundscape_windows
from lib.sound.duplicates.alignment import in_common
from lib.sound.excerpt import loudest_stretch

_EXCERPT_S = 6.0
_PER_CHECK = 3


def example_of_each_taxon(clips: pd.DataFrame, taxonomy: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> Html:
    """The best rated clip of the commonest class of each animal class, its loudest seconds, seen and heard."""
    taxon = taxonomy.set_index("primary_label").class_name
    parts = []
    for name in dict.fromkeys(taxonomy.class_name):
        of_taxon = clips[clips.primary_label.map(taxon) == name]
        if len(of_taxon):
            label = of_taxon.primary_label.value_counts().index[0]
            best = of_taxon[of_taxon.primary_label == label].sort_values(["rating", "seconds"], ascending=False).iloc[0]
            excerpt = loudest_stretch(sound(best.filename), _EXCERPT_S)
            title = f"{name}: {best.common_name}, {best.filename}"
            parts.append(seen_and_heard(excerpt, title, TAXON_COLOURS[name]).html)
        else:
            parts.append(f"<p>{name}: no clip.</p>")
    return Html("".join(parts))


def minute_of(stem: str, windows: pd.DataFrame, taxonomy: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> Html:
    """The soundscape's twelve windows, with the names of what was heard in those that are labelled."""
    known = taxonomy.set_index("primary_label")
    names, colours = known.common_name, known.class_name.map(TAXON_COLOURS)
    mine = windows[windows.stem == stem]
    said = {
        row.end_s: [(names[label], colours[label]) for label in row.labels] or [("nothing", "#888")]
        for row in mine.itertuples()
    }
    title = f"{stem}, {len(said)} of {len(window_ends())} windows labelled"
    return minute_browser(sound(stem), said, title, f"minute-{stem}")


def review_gallery(qa: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> Html:
    """Up to three items of each check for a person, each item once; near copies, least alike first, with partners."""
    rows = qa[((qa.action == "review") | (qa.check == "near copy")) & (qa.kind != "class")]
    rows = rows.iloc[likeness(rows).reset_index(drop=True).sort_values(kind="stable").index]
    shown = rows.drop_duplicates(["kind", "item"]).groupby("check", sort=False).head(_PER_CHECK)
    return gallery([Card(row.check, row.detail, _heard(row, sound)) for row in shown.itertuples()])


def _heard(row, sound: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    """The window that the row names, what a clip or soundscape shares with its partner, or its loudest seconds."""
    if row.kind == "window":
        soundscape, end_s = split_row_id(row.item)
        return {row.item: soundscape_windows(sound(soundscape.stem))[end_s // WINDOW_S - 1]}
    if row.partner:
        both = in_common(sound(row.item), sound(row.partner), _EXCERPT_S)
        return dict(zip((row.item, row.partner), both, strict=True))
    return {row.item: loudest_stretch(sound(row.item), _EXCERPT_S)}
