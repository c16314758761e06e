"""Pages with sound: a player is a part of a page like a figure or a table."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.competition.records import write_text
from lib.show.pages import write_page
from lib.sound.encode import ogg


@dataclass(frozen=True)
class Player:
    """A sound to listen to, inside the page."""

    html: str


def player(audio: np.ndarray) -> Player:
    """A player of 32 kHz audio, as 16 kHz Ogg Vorbis in the page itself."""
    coded = base64.b64encode(ogg(audio)).decode()
    return Player(f'<audio controls preload="none" src="data:audio/ogg;base64,{coded}"></audio>')


def write_sound_page(path: Path, title: str, parts: list[str | pd.DataFrame | Figure | Player]) -> None:
    """Write a page whose parts may be players too."""
    marks = {f"player {n} goes here": part for n, part in enumerate(parts) if isinstance(part, Player)}
    of_part = {id(part): mark for mark, part in marks.items()}
    write_page(path, title, [of_part.get(id(part), part) for part in parts])
    page = path.read_text()
    for mark, part in marks.items():
        page = page.replace(f"<p>{mark}</p>", part.html)
    write_text(path, page)
