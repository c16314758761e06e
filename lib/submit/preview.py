"""A preview of one scored window: mel spectrogram and five likeliest species, as HTML without a plot library."""

import base64
import html
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.blend.recipe import Recipe
from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.sound.decode import read_soundscape, soundscape_windows
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms
from lib.submit.stream import StreamResult

FIRST_CLASSES = 5
_COLOURS = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]])  # dark to bright


@dataclass(frozen=True, repr=False)
class WindowPreview:
    """The preview as a notebook displays it; `text` names the window and its first class, or why there is no figure."""

    text: str
    html: str = ""

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html or f"<p>{html.escape(self.text)}</p>"


def preview_window(
    result: StreamResult, recipe: Recipe, soundscapes: Mapping[str, Path], competition: Path
) -> WindowPreview:
    """The preview of a scored soundscape's window; it never raises, since the submission is already written.

    `soundscapes` maps stems to files. The window is the one of the first scored soundscape with the highest
    probability, by the recipe's weighted mean of the members' probabilities.
    """
    try:
        return _preview(result, recipe, soundscapes, competition)
    except Exception as error:  # a figure must not cost a submission
        return WindowPreview(f"no figure: {type(error).__name__}: {' '.join(f'{error}'.split())}")


def _preview(result: StreamResult, recipe: Recipe, soundscapes: Mapping[str, Path], competition: Path) -> WindowPreview:
    rows = next(iter(result.member_scores.values())).row_ids[:WINDOWS_PER_SOUNDSCAPE]
    if not rows:
        return WindowPreview("no figure: no soundscape was scored")
    probabilities = _mean_probabilities(result, recipe)
    window = int(probabilities.max(axis=1).argmax())
    first = np.argsort(-probabilities[window], kind="stable")[:FIRST_CLASSES]
    stem, _, end = rows[window].rpartition("_")
    names = pd.read_csv(competition / "taxonomy.csv", dtype=str).set_index("primary_label").common_name
    labels = [result.prior.classes[column] for column in first]
    likeliest = [
        (label, names.get(label, label), float(probabilities[window, column]))
        for label, column in zip(labels, first, strict=True)
    ]
    audio = soundscape_windows(read_soundscape(soundscapes[stem]).audio)[window]
    title = f"{stem}, seconds {int(end) - WINDOW_S} to {end}"
    text = f"{title}: " + ", ".join(f"{name} {probability:.2f}" for _, name, probability in likeliest)
    return WindowPreview(text, _figure(title, spectrogram_png(audio), likeliest))


def _mean_probabilities(result: StreamResult, recipe: Recipe) -> np.ndarray:
    """(12, classes) the members' mean on the first scored soundscape, by their weights in the recipe."""
    names = list(result.member_scores)
    weights = np.array([recipe.weights.get(name, 0.0) for name in names])
    tables = np.stack([result.member_scores[name].values[:WINDOWS_PER_SOUNDSCAPE] for name in names])
    return np.average(tables, axis=0, weights=weights if weights.sum() > 0 else None)


def spectrogram_png(audio: np.ndarray) -> bytes:
    """A colour PNG of the audio's mel spectrogram, 80 dB from dark to bright, low frequencies at the bottom."""
    front_end = FrontEnd()
    decibels = spectrograms(audio[None], front_end)[0]
    level = np.clip((decibels - decibels.max()) / front_end.top_db + 1.0, 0.0, 1.0)[::-1]
    steps = np.linspace(0.0, 1.0, len(_COLOURS))
    return _png(np.stack([np.interp(level, steps, channel) for channel in _COLOURS.T], axis=2).astype(np.uint8))


def _png(pixels: np.ndarray) -> bytes:
    """The PNG file of (height, width, 3) bytes."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # each row begins with its filter: none
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits a channel, RGB
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _figure(title: str, png: bytes, likeliest: list[tuple[str, str, float]]) -> str:
    """The image above a table of the likeliest classes with bars."""
    bar = "<div style='background:#2a6f97;height:0.7em;width:{width:.0f}px'></div>"
    lines = "".join(
        f"<tr><td>{html.escape(label)}</td><td style='text-align:left'>{html.escape(str(name))}</td>"
        f"<td>{probability:.3f}</td><td>{bar.format(width=200 * probability)}</td></tr>"
        for label, name, probability in likeliest
    )
    image = base64.b64encode(png).decode("ascii")
    return (
        f"<figure style='margin:0'><figcaption>{html.escape(title)}; mel spectrogram, 20 Hz to 16 kHz</figcaption>"
        f"<img alt='mel spectrogram of {html.escape(title)}' src='data:image/png;base64,{image}' "
        f"style='width:640px;height:220px'/><table>{lines}</table></figure>"
    )
