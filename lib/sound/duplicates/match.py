"""Near-duplicate sounds: pairs whose echoprints agree are aligned, and the correlation of their waveforms decides.

Calls of one species, or of one bird, look alike in any coarse spectrogram; only a copy has the same waveform.
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

SAME, SAME_BRIEFLY = 0.5, 0.6  # of 1: aligned calls of one species measured up to 0.57 over a short stretch
_BRIEF_S = 3.0
PAIR_COLUMNS = ["first", "second", "similarity", "offset_s", "overlap_s"]
_BIN_FRAMES = 3
_LEAST_VOTES, _LEAST_SHARE = 3, 3 / 64  # of the landmarks of the sound that has fewer
_BUSIEST = 64  # a number that more landmarks share carries no information, like a stop word in a text
_OFFSETS, _PARTNERS = 3, 3
_LAG_S, _EXCERPT_S, _DRIFT_SAMPLES = 0.1, 1.0, 16
_SHORTEST_S, _SHORTEST_SHARE = 1.0, 0.8  # less in common is one call, and calls of a species can be that similar
_LOWEST_HZ, _HIGHEST_HZ = 200, 8000


def near_duplicates(
    names: Sequence[str], prints: Sequence[Echoprint], sound: Callable[[str], np.ndarray]
) -> pd.DataFrame:
    """Pairs of the same recording: first, second, similarity, offset_s (where first begins in second), overlap_s."""
    pairs = align_pairs(names, candidate_pairs(prints), sound)
    return pairs[same_recording(pairs)].reset_index(drop=True)


def same_recording(pairs: pd.DataFrame) -> pd.Series:
    """(pairs,) booleans: the aligned pair is similar enough; a short overlap must be more similar."""
    return pairs.similarity >= np.where(pairs.overlap_s < _BRIEF_S, SAME_BRIEFLY, SAME)


def align_pairs(names: Sequence[str], found: pd.DataFrame, sound: Callable[[str], np.ndarray]) -> pd.DataFrame:
    """All candidate pairs with the similarity of their waveforms over the whole overlap.

    The similarity of a pair that already differs where it is loudest is 0: the rest is not compared.
    """
    pairs = [rows for _, rows in found.groupby(["first", "second"], sort=True)]

    def compare(rows: pd.DataFrame) -> tuple:
        first, second = names[rows["first"].iloc[0]], names[rows["second"].iloc[0]]
        ours, theirs = sound(first), sound(second)
        for about_s in rows.offset_s:
            similarity, offset_s = _loudest_similarity(ours, theirs, about_s)
            if similarity >= SAME:
                one, other = _overlap(ours, theirs, offset_s)
                return first, second, mean_similarity(one, other), offset_s, len(one) / SAMPLE_RATE
        return first, second, 0.0, 0.0, 0.0

    with ThreadPoolExecutor(cpu_count()) as pool:
        lines = list(progress(pool.map(compare, pairs), "near-duplicate candidates", len(pairs)))
    return pd.DataFrame(lines, columns=PAIR_COLUMNS)


def candidate_pairs(prints: Sequence[Echoprint]) -> pd.DataFrame:
    """Pairs worth aligning, best offset first: first, second (positions), offset_s, votes."""
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
    """Votes of agreeing landmarks for each pair of sounds and distance in time: first < second, bin (later), votes."""
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
    """Yield the owners of landmarks that share a number, each pair once, and by how many bins the second is later."""
    for number in progress(numbers.T, "searching for near-duplicates, tables", numbers.shape[1]):
        order = np.argsort(number, kind="stable")  # landmarks of one number stay in the order of their owners
        of, at, number = owner[order], frame[order], number[order]
        start, stop = np.searchsorted(number, number), np.searchsorted(number, number, side="right")
        left = np.flatnonzero(stop - start <= _BUSIEST)
        for step in range(1, _BUSIEST):
            left = left[left + step < stop[left]]
            apart = left[of[left] != of[left + step]]
            yield of[apart], of[apart + step], np.round((at[apart + step] - at[apart]) / _BIN_FRAMES).astype(np.int64)


def mean_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The similarity (0 to 1) of two aligned sounds of one length: mean over seconds, weighted by their loudness."""
    parts = max(1, round(len(first) / SAMPLE_RATE))
    pieces = list(zip(np.array_split(first, parts), np.array_split(second, parts), strict=True))
    similarities = [_correlation(one, other, _DRIFT_SAMPLES)[0] for one, other in pieces]
    loudness = [np.sqrt(np.square(one, dtype=np.float64).mean()) for one, _ in pieces]
    return float(np.average(similarities, weights=np.maximum(loudness, 1e-12)))


def _loudest_similarity(first: np.ndarray, second: np.ndarray, offset_s: float) -> tuple[float, float]:
    """The similarity of the loudest stretches, the second taken about `offset_s` later, and the exact offset."""
    one, other = _overlap(first, second, offset_s)
    if len(one) < min(_SHORTEST_S * SAMPLE_RATE, _SHORTEST_SHARE * min(len(first), len(second))):
        return 0.0, offset_s
    samples = int(_EXCERPT_S * SAMPLE_RATE)
    start = loudest_start(one, samples)
    excerpts = one[start : start + samples], other[start : start + samples]
    similarity, lag = _correlation(*excerpts, int(_LAG_S * SAMPLE_RATE))
    return similarity, offset_s + lag / SAMPLE_RATE


def _correlation(first: np.ndarray, second: np.ndarray, most: int) -> tuple[float, int]:
    """The correlation (0 to 1) of two whitened waveforms at their best lag of up to `most` samples, and that lag."""
    length = fft.next_fast_len(len(first) + most, real=True)
    band = slice(int(_LOWEST_HZ * length / SAMPLE_RATE), int(_HIGHEST_HZ * length / SAMPLE_RATE))
    flat = [_whiten(fft.rfft(part, length)[band]) for part in (first, second)]
    together = np.zeros(length // 2 + 1, dtype=np.complex64)
    together[band] = np.conj(flat[0]) * flat[1]
    by_lag = np.abs(fft.irfft(together, length)) * length / 2
    near = np.concatenate([by_lag[-most:], by_lag[: most + 1]])
    own = [float(np.square(np.abs(part)).sum()) for part in flat]  # not vdot: its threads compete with ours
    best = int(near.argmax())
    return float(near[best] / np.sqrt(own[0] * own[1] + 1e-20)), best - most


def _whiten(spectrum: np.ndarray) -> np.ndarray:
    """The spectrum with its loud bins reduced to their fourth root, so that the background counts too."""
    size = np.abs(spectrum)
    root = np.sqrt(size + 1e-3 * size.max() + 1e-12)
    return spectrum / (root * np.sqrt(root))


def _overlap(first: np.ndarray, second: np.ndarray, offset_s: float) -> tuple[np.ndarray, np.ndarray]:
    """The stretches that both have in common where the second is taken `offset_s` later."""
    offset = round(offset_s * SAMPLE_RATE)
    start, stop = max(0, -offset), max(0, -offset, min(len(first), len(second) - offset))
    return first[start:stop], second[start + offset : stop + offset]


_LEAST_SAMPLES = SAMPLE_RATE // 2  # a shorter overlap may be similar by chance
_SILENCE = 1e-6  # of the most energy that any overlap has: below it there is nothing to compare
_LENGTH_COUNTS = 0.25  # with this power longer overlaps win: of 40 near copies in real recordings, all aligned right


def common_excerpt(one: np.ndarray, other: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The same stretch of up to `seconds` from two copies, where `one` is loudest."""
    later = _offset(np.diff(one), np.diff(other))  # differences, for a constant rumble would outweigh the calls
    start, stop = max(0, -later), min(len(one), len(other) - later)
    samples = min(int(seconds * SAMPLE_RATE), stop - start)
    start += loudest_start(one[start:stop], samples)
    return one[start : start + samples], other[start + later : start + later + samples]


def _offset(one: np.ndarray, other: np.ndarray) -> int:
    """The offset in samples at which `other` has the same sound: where the overlap's correlation is highest."""
    later = np.arange(1 - len(one), len(other))
    start, stop = np.maximum(0, -later), np.minimum(len(one), len(other) - later)
    energies = [np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))]) for part in (one, other)]
    shared = (energies[0][stop] - energies[0][start]) * (energies[1][stop + later] - energies[1][start + later])
    floor = np.maximum(shared, _SILENCE * shared.max() + 1e-12)
    similarity = np.abs(correlate(other, one, method="fft")) / np.sqrt(floor)
    enough = stop - start >= min(_LEAST_SAMPLES, len(one), len(other))
    return int(later[np.argmax(np.where(enough, similarity * (stop - start) ** _LENGTH_COUNTS, 0.0))])
