"""Planted copies: what a second upload does to a recording, done on purpose, to see how many copies are found."""

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import resample_poly

from lib.competition.folds import clusters
from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.duplicates.fingerprint import Echoprint, echoprint
from lib.sound.duplicates.match import candidates, laid_over, one_recording

_NOISE_DB = 20.0  # below the recording
_OTHER_RATE = 22_050
_MOST = 500
_BLOCK = 8_000  # libsndfile's Vorbis encoder keeps a whole write on its stack


def louder_or_softer(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio 12 dB up or down."""
    return (audio * 10 ** (rng.choice([-12, 12]) / 20)).astype(np.float32)


def encoded_again(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio after Vorbis at its lowest quality."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, format="OGG", subtype="VORBIS", compression_level=1.0) as out:
        for start in range(0, len(audio), _BLOCK):
            out.write(audio[start : start + _BLOCK])
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def resampled(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio after a life at 22.05 kHz."""
    step = np.gcd(SAMPLE_RATE, _OTHER_RATE)
    there, back = _OTHER_RATE // step, SAMPLE_RATE // step
    return resample_poly(resample_poly(audio, there, back), back, there).astype(np.float32)


def trimmed_copy(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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
    return encoded_again(noised(louder_or_softer(trimmed_copy(audio, rng), rng), rng), rng)


CASES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "12 dB louder or softer": louder_or_softer,
    "Vorbis, lowest quality": encoded_again,
    "through 22.05 kHz": resampled,
    "10–40 % trimmed": trimmed_copy,
    "noise 20 dB below": noised,
    "all at once": all_at_once,
}


def sampled_trial(
    clip_sounds: pd.DataFrame, sound: Callable[[str], np.ndarray], planted: int, known: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """The trial among up to 500 usable clips of an inventory, evenly taken, with so many of them planted."""
    pool = clip_sounds.iloc[:: -(-len(clip_sounds) // _MOST)]
    names = pool.name.tolist()
    return trial(names, pool.echoprint.tolist(), sound, names[:: -(-len(names) // planted)], known)


def trial(
    names: Sequence[str],
    prints: Sequence[Echoprint],
    sound: Callable[[str], np.ndarray],
    planted: Sequence[str],
    known: Iterable[tuple[str, str]],
) -> pd.DataFrame:
    """One row a case: copies planted among all sounds and found, and other sounds mistaken for the original.

    `least_alike` is the copy found that is least like its original, `stranger` the other sound that is most like one.
    `known` are the near-duplicates among the names already: to find them, or theirs, is no mistake.
    """
    cluster = clusters(known)
    rows = []
    for case, change in CASES.items():
        rng = np.random.default_rng(1)
        copies = {f"{name} ({case})": change(sound(name), rng) for name in planted}
        found = candidates([*prints, *map(echoprint, copies.values())])
        found = found[(found["first"] < len(names)) & (found.second >= len(names))]

        def heard(name: str, copies=copies) -> np.ndarray:
            return copies[name] if name in copies else sound(name)

        pairs = laid_over([*names, *copies], found, heard)
        original = pairs.second.map(dict(zip(copies, planted, strict=True)))
        family, other = (side.map(lambda name: cluster.get(name, name)) for side in (pairs["first"], original))
        copy, stranger, same = pairs["first"] == original, family != other, one_recording(pairs)
        hits, false = int((copy & same).sum()), int((stranger & same).sum())
        least, most = pairs.likeness[copy & same].min(), pairs.likeness[stranger].max()
        rows.append((case, len(planted), hits, hits / len(planted), false, least, most))
    return pd.DataFrame(rows, columns=["case", "planted", "found", "recall", "mistaken", "least_alike", "stranger"])
