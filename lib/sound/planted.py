"""Planted copies: what a second upload does to a recording, done on purpose, to see how many copies are found."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import soundfile

from lib.competition.names import SAMPLE_RATE
from lib.competition.related import clusters
from lib.sound.echoprint import Echoprint, echoprint
from lib.sound.twins import candidates, confirmed, near_duplicates

_NOISE_DB = 20.0  # below the recording


def louder_or_softer(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio 12 dB up or down."""
    return (audio * 10 ** (rng.choice([-12, 12]) / 20)).astype(np.float32)


def encoded_again(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio after Vorbis at its lowest quality."""
    file = io.BytesIO()
    soundfile.write(file, audio, SAMPLE_RATE, format="OGG", subtype="VORBIS", compression_level=1.0)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def trimmed(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio without 10 to 40 % of its length, taken from both ends."""
    length = int(len(audio) * (1 - rng.uniform(0.1, 0.4)))
    start = rng.integers(0, len(audio) - length + 1)
    return audio[start : start + length]


def noised(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio with white noise 20 dB below it."""
    size = np.sqrt(np.square(audio, dtype=np.float64).mean()) * 10 ** (-_NOISE_DB / 20)
    return (audio + rng.normal(0.0, size, len(audio))).astype(np.float32)


def all_at_once(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio trimmed, another level, noised, and encoded again."""
    return encoded_again(noised(louder_or_softer(trimmed(audio, rng), rng), rng), rng)


CASES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "12 dB louder or softer": louder_or_softer,
    "Vorbis, lowest quality": encoded_again,
    "10–40 % trimmed": trimmed,
    "noise 20 dB below": noised,
    "all at once": all_at_once,
}


def trial(
    names: Sequence[str], prints: Sequence[Echoprint], sound: Callable[[str], np.ndarray], planted: Sequence[str]
) -> pd.DataFrame:
    """One row a case: copies planted among all sounds and found, and other sounds mistaken for the original.

    Who is a near-duplicate of the original already is no mistake, nor is a near-duplicate of that one.
    """
    known = clusters(near_duplicates(names, prints, sound))
    rows = []
    for case, change in CASES.items():
        rng = np.random.default_rng(1)
        copies = {f"{name} ({case})": change(sound(name), rng) for name in planted}
        pool = [*names, *copies]
        found = candidates([*prints, *map(echoprint, copies.values())])
        found = found[(found["first"] < len(names)) & (found.second >= len(names))]
        pairs = confirmed(pool, found, lambda name, copies=copies: copies[name] if name in copies else sound(name))
        originals = dict(zip(copies, planted, strict=True))
        pairs = [(one, originals[copy]) for one, copy in zip(pairs["first"], pairs.second, strict=True)]
        hits = sum(one == original for one, original in pairs)
        false = sum(known.get(one, one) != known.get(original, original) for one, original in pairs)
        rows.append((case, len(planted), hits, hits / len(planted), false, len(planted) * (len(names) - 1)))
    return pd.DataFrame(rows, columns=["case", "planted", "found", "recall", "mistaken", "of_other_pairs"])
