"""Recall of the near-duplicate search, measured with planted copies altered as a second upload alters a recording."""

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import resample_poly

from lib.competition.folds import clusters
from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.duplicates.fingerprint import Echoprint, echoprint
from lib.sound.duplicates.match import align_pairs, candidate_pairs, same_recording

_NOISE_DB = 20.0  # below the recording
_OTHER_RATE = 22_050
_MOST = 500
_BLOCK = 8_000  # libsndfile's Vorbis encoder keeps a whole write on its stack


def change_level(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio 12 dB up or down."""
    return (audio * 10 ** (rng.choice([-12, 12]) / 20)).astype(np.float32)


def reencode(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio after Vorbis at its lowest quality."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, format="OGG", subtype="VORBIS", compression_level=1.0) as out:
        for start in range(0, len(audio), _BLOCK):
            out.write(audio[start : start + _BLOCK])
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def resample_twice(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio resampled to 22.05 kHz and back."""
    step = np.gcd(SAMPLE_RATE, _OTHER_RATE)
    there, back = _OTHER_RATE // step, SAMPLE_RATE // step
    return resample_poly(resample_poly(audio, there, back), back, there).astype(np.float32)


def trim(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio without 10 to 40 % of its length, taken from both ends."""
    length = int(len(audio) * (1 - rng.uniform(0.1, 0.4)))
    start = rng.integers(0, len(audio) - length + 1)
    return audio[start : start + length]


def add_white_noise(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio with white noise 20 dB below it."""
    size = np.sqrt(np.square(audio, dtype=np.float64).mean()) * 10 ** (-_NOISE_DB / 20)
    return (audio + rng.normal(0.0, size, len(audio))).astype(np.float32)


def apply_all(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The audio trimmed, with another level, with noise, and re-encoded."""
    return reencode(add_white_noise(change_level(trim(audio, rng), rng), rng), rng)


CASES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "12 dB louder or softer": change_level,
    "Vorbis, lowest quality": reencode,
    "through 22.05 kHz": resample_twice,
    "10–40 % trimmed": trim,
    "noise 20 dB below": add_white_noise,
    "all at once": apply_all,
}


def sampled_recall_table(
    clip_sounds: pd.DataFrame, sound: Callable[[str], np.ndarray], planted: int, known: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """The recall table for up to 500 clips of an inventory, evenly sampled, with `planted` of them copied."""
    pool = clip_sounds.iloc[:: -(-len(clip_sounds) // _MOST)]
    names = pool.name.tolist()
    return recall_table(names, pool.echoprint.tolist(), sound, names[:: -(-len(names) // planted)], known)


def recall_table(
    names: Sequence[str],
    prints: Sequence[Echoprint],
    sound: Callable[[str], np.ndarray],
    planted: Sequence[str],
    known: Iterable[tuple[str, str]],
) -> pd.DataFrame:
    """One row a case: copies planted among all sounds and found, and other sounds mistaken for the original.

    `lowest_copy` is the similarity of the found copy that is least similar to its original, `highest_other` that of
    the other sound that is most similar to one. `known` are the near-duplicates among the names: pairs within their
    clusters are no mistakes.
    """
    cluster = clusters(known)
    rows = []
    for case, change in CASES.items():
        rng = np.random.default_rng(1)
        copies = {f"{name} ({case})": change(sound(name), rng) for name in planted}
        found = candidate_pairs([*prints, *map(echoprint, copies.values())])
        found = found[(found["first"] < len(names)) & (found.second >= len(names))]

        def load(name: str, copies: dict[str, np.ndarray] = copies) -> np.ndarray:
            return copies[name] if name in copies else sound(name)

        pairs = align_pairs([*names, *copies], found, load)
        original = pairs.second.map(dict(zip(copies, planted, strict=True)))
        family, other = (side.map(lambda name: cluster.get(name, name)) for side in (pairs["first"], original))
        copy, unrelated, same = pairs["first"] == original, family != other, same_recording(pairs)
        hits, false = int((copy & same).sum()), int((unrelated & same).sum())
        lowest, highest = pairs.similarity[copy & same].min(), pairs.similarity[unrelated].max()
        rows.append((case, len(planted), hits, hits / len(planted), false, lowest, highest))
    columns = ["case", "planted", "found", "recall", "mistaken", "lowest_copy", "highest_other"]
    return pd.DataFrame(rows, columns=columns)
