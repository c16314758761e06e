"""Near-duplicates: pairs whose echoprints agree are laid over each other, and their waveforms decide.

Calls of one species, or of one bird, look alike in any coarse picture; only a copy has the same waveform.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
import pandas as pd
from scipy import fft
from scipy.signal import correlate

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.progress import progress
from lib.sound.crops import loudest_start
from lib.sound.duplicates.fingerprint import FRAME_S, Echoprint

SAME, SAME_BRIEFLY = 0.5, 0.6  # of 1: calls of one species, laid over each other, measured up to 0.57 for a moment
_BRIEF_S = 3.0
PAIR_COLUMNS = ["first", "second", "likeness", "offset_s", "overlap_s"]
_BIN_FRAMES = 3
_LEAST_VOTES, _LEAST_SHARE = 3, 3 / 64  # of the landmarks of the sound that has fewer
_BUSIEST = 64  # a number that more landmarks share says nothing, as a stop word says nothing of a text
_OFFSETS, _PARTNERS = 3, 3
_LAG_S, _EXCERPT_S, _DRIFT_SAMPLES = 0.1, 1.0, 16
_SHORTEST_S, _SHORTEST_SHARE = 1.0, 0.8  # less in common is one call, and calls of a species can be as like as that
_LOWEST_HZ, _HIGHEST_HZ = 200, 8000


def near_duplicates(
    names: Sequence[str], prints: Sequence[Echoprint], sound: Callable[[str], np.ndarray]
) -> pd.DataFrame:
    """Pairs of one recording: first, second, likeness, offset_s (where first begins in second), overlap_s."""
    pairs = laid_over(names, candidates(prints), sound)
    return pairs[one_recording(pairs)].reset_index(drop=True)


def one_recording(pairs: pd.DataFrame) -> pd.Series:
    """Whether each pair laid over each other is alike enough: what has little in common must be more alike."""
    return pairs.likeness >= np.where(pairs.overlap_s < _BRIEF_S, SAME_BRIEFLY, SAME)


def laid_over(names: Sequence[str], found: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> pd.DataFrame:
    """All pairs of the candidates and how alike their waveforms are wherever both have sound.

    The likeness of a pair that already differs where it is loudest is 0: the rest is not looked at.
    """
    pairs = [rows for _, rows in found.groupby(["first", "second"], sort=True)]

    def compared(rows: pd.DataFrame) -> tuple:
        first, second = names[rows["first"].iloc[0]], names[rows["second"].iloc[0]]
        ours, theirs = sound(first), sound(second)
        for about_s in rows.offset_s:
            likeness, offset_s = _loudest_alike(ours, theirs, about_s)
            if likeness >= SAME:
                one, other = _overlap(ours, theirs, offset_s)
                return first, second, throughout(one, other), offset_s, len(one) / SAMPLE_RATE
        return first, second, 0.0, 0.0, 0.0

    with ThreadPoolExecutor(cpu_count()) as pool:
        lines = list(progress(pool.map(compared, pairs), "pairs that sound alike", len(pairs)))
    return pd.DataFrame(lines, columns=PAIR_COLUMNS)


def candidates(prints: Sequence[Echoprint]) -> pd.DataFrame:
    """Pairs worth laying over each other, best offset first: first, second (positions), offset_s, votes."""
    table = _hits(prints)
    sizes = np.array([len(one.frames) for one in prints])
    fewer = np.minimum(sizes[table["first"]], sizes[table["second"]])
    enough = table.votes >= np.maximum(_LEAST_VOTES, _LEAST_SHARE * fewer)
    table = table[enough].sort_values("votes", ascending=False, kind="stable")
    table = table.groupby(["first", "second"], sort=False).head(_OFFSETS)
    best = table.drop_duplicates(["first", "second"])
    near = pd.concat([best.groupby(side, sort=False).head(_PARTNERS) for side in ("first", "second")])
    table = table.merge(near[["first", "second"]].drop_duplicates(), on=["first", "second"])
    return table.assign(offset_s=table["bin"] * _BIN_FRAMES * FRAME_S).drop(columns="bin")


def _hits(prints: Sequence[Echoprint]) -> pd.DataFrame:
    """Pairs of sounds by how often landmarks agree at one distance in time: first < second, bin (later), votes."""
    sizes = [len(one.frames) for one in prints]
    if not sum(sizes):
        return pd.DataFrame({"first": [], "second": [], "bin": [], "votes": []}, dtype=int)
    owner = np.repeat(np.arange(len(prints)), sizes)
    frame = np.concatenate([one.frames for one in prints]).astype(np.int64)
    most = frame.max() // _BIN_FRAMES + 1
    span = 2 * most + 1
    keys = [
        (left * len(prints) + right) * span + later + most  # one number a hit: there are many
        for left, right, later in _agreements(owner, frame, np.concatenate([one.numbers for one in prints]))
    ]
    key, votes = np.unique(np.concatenate(keys), return_counts=True)
    pair, later = np.divmod(key, span)
    first, second = np.divmod(pair, len(prints))
    return pd.DataFrame({"first": first, "second": second, "bin": later - most, "votes": votes})


def _agreements(owner: np.ndarray, frame: np.ndarray, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The owners of landmarks that share a number, each pair once, and how many bins the second is later."""
    for number in numbers.T:
        order = np.argsort(number, kind="stable")  # landmarks of one number stay in the order of their owners
        of, at, number = owner[order], frame[order], number[order]
        start, stop = np.searchsorted(number, number), np.searchsorted(number, number, side="right")
        left = np.flatnonzero(stop - start <= _BUSIEST)
        for step in range(1, _BUSIEST):
            left = left[left + step < stop[left]]
            apart = left[of[left] != of[left + step]]
            yield of[apart], of[apart + step], np.round((at[apart + step] - at[apart]) / _BIN_FRAMES).astype(np.int64)


def throughout(first: np.ndarray, second: np.ndarray) -> float:
    """0 to 1: how alike two aligned sounds of one length are, second by second, each second by its loudness."""
    parts = max(1, round(len(first) / SAMPLE_RATE))
    pieces = list(zip(np.array_split(first, parts), np.array_split(second, parts), strict=True))
    alike = [_correlation(one, other, _DRIFT_SAMPLES)[0] for one, other in pieces]
    loudness = [np.sqrt(np.square(one, dtype=np.float64).mean()) for one, _ in pieces]
    return float(np.average(alike, weights=np.maximum(loudness, 1e-12)))


def _loudest_alike(first: np.ndarray, second: np.ndarray, offset_s: float) -> tuple[float, float]:
    """How alike the loudest stretches are, the second taken about `offset_s` later, and the exact offset."""
    one, other = _overlap(first, second, offset_s)
    if len(one) < min(_SHORTEST_S * SAMPLE_RATE, _SHORTEST_SHARE * min(len(first), len(second))):
        return 0.0, offset_s
    samples = int(_EXCERPT_S * SAMPLE_RATE)
    start = loudest_start(one, samples)
    excerpts = one[start : start + samples], other[start : start + samples]
    likeness, lag = _correlation(*excerpts, int(_LAG_S * SAMPLE_RATE))
    return likeness, offset_s + lag / SAMPLE_RATE


def _correlation(first: np.ndarray, second: np.ndarray, most: int) -> tuple[float, int]:
    """The correlation (0 to 1) of two flattened waveforms at their best lag of up to `most` samples, and that lag."""
    length = fft.next_fast_len(len(first) + most, real=True)
    band = slice(int(_LOWEST_HZ * length / SAMPLE_RATE), int(_HIGHEST_HZ * length / SAMPLE_RATE))
    flat = [_flattened(fft.rfft(part, length)[band]) for part in (first, second)]
    together = np.zeros(length // 2 + 1, dtype=np.complex64)
    together[band] = np.conj(flat[0]) * flat[1]
    by_lag = np.abs(fft.irfft(together, length)) * length / 2
    near = np.concatenate([by_lag[-most:], by_lag[: most + 1]])
    own = [float(np.square(np.abs(part)).sum()) for part in flat]  # not vdot: its threads fight with ours
    best = int(near.argmax())
    return float(near[best] / np.sqrt(own[0] * own[1] + 1e-20)), best - most


def _flattened(spectrum: np.ndarray) -> np.ndarray:
    """The spectrum with its loud bins brought down to their fourth root, so that the background speaks too."""
    size = np.abs(spectrum)
    root = np.sqrt(size + 1e-3 * size.max() + 1e-12)
    return spectrum / (root * np.sqrt(root))


def _overlap(first: np.ndarray, second: np.ndarray, offset_s: float) -> tuple[np.ndarray, np.ndarray]:
    """What both have in common where the second is taken `offset_s` later."""
    offset = round(offset_s * SAMPLE_RATE)
    start, stop = max(0, -offset), max(0, -offset, min(len(first), len(second) - offset))
    return first[start:stop], second[start + offset : stop + offset]


_LEAST_SAMPLES = SAMPLE_RATE // 2  # less in common may be alike by chance
_SILENCE = 1e-6  # of the most energy that any overlap has: below it there is nothing to compare
_LENGTH_COUNTS = 0.25  # with this power longer overlaps win: of 40 near copies in real recordings, all lay right


def in_common(one: np.ndarray, other: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Up to so many seconds of what two copies share, where `one` is loudest: as the one has it, and as the other."""
    later = _later(np.diff(one), np.diff(other))  # differences, for a rumble that never ends would outweigh the voices
    start, stop = max(0, -later), min(len(one), len(other) - later)
    samples = min(int(seconds * SAMPLE_RATE), stop - start)
    start += loudest_start(one[start:stop], samples)
    return one[start : start + samples], other[start + later : start + later + samples]


def _later(one: np.ndarray, other: np.ndarray) -> int:
    """How many samples later in `other` the same thing is heard: where both, as far as they overlap, are most alike."""
    later = np.arange(1 - len(one), len(other))
    start, stop = np.maximum(0, -later), np.minimum(len(one), len(other) - later)
    energies = [np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))]) for part in (one, other)]
    shared = (energies[0][stop] - energies[0][start]) * (energies[1][stop + later] - energies[1][start + later])
    alike = np.abs(correlate(other, one, method="fft")) / np.sqrt(np.maximum(shared, _SILENCE * shared.max() + 1e-12))
    enough = stop - start >= min(_LEAST_SAMPLES, len(one), len(other))
    return int(later[np.argmax(np.where(enough, alike * (stop - start) ** _LENGTH_COUNTS, 0.0))])
