"""Block probe: choose the block of a frozen network to use, by nearest neighbours and without training.

For each block: do a clip's nearest clips, by other recordings, have its species? Many small draws of species and clips,
the same for every block, so that blocks differ by their outputs and not by luck. Each species counts the same, however
many clips it has, as in the competition's metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.core.errors import BadInput, shorten
from lib.core.progress import progress
from lib.judge.bootstrap import few_groups, interval
from lib.judge.compare import compare_all, paired_interval

_REDRAWS = 2000  # of species, for the intervals


@dataclass(frozen=True, eq=False)
class BlockReport:
    """The probe's result: a row a block, in the order given, and the data it rests on."""

    blocks: pd.DataFrame  # block, accuracy, low, high; behind, behind_low, behind_high: how far below the best
    best: str
    rivals: tuple[str, ...]  # blocks not significantly behind the best, all compared at once
    chance: float  # accuracy of random numbers on the same draws
    species: int
    clips: tuple[int, int]  # the fewest and the most of a species in a draw
    left_out: tuple[str, ...]  # species of a single recording, whose clips have no neighbours of their own

    def __str__(self) -> str:
        verdict = f"not separable from {shorten(self.rivals)}" if self.rivals else "ahead of every other"
        top = self.blocks.set_index("block").loc[self.best]
        few, most = self.clips
        return (
            f"{self.best} {top.accuracy:.3f} [{top.low:.3f}, {top.high:.3f}], {verdict}; chance {self.chance:.3f}; "
            f"{self.species} species of {few} to {most} clips, {len(self.left_out)} of one recording left out"
        )


def block_probe(
    vectors: Mapping[str, np.ndarray],
    species: np.ndarray,
    recordings: np.ndarray,
    *,
    neighbours: int = 5,
    n_species: int = 30,
    n_clips: int = 20,
    draws: int = 20,
    seed: int,
) -> BlockReport:
    """The share of clips whose nearest clips vote for their species, for each block's (clips, channels) vectors.

    `recordings` (clips,) names what a clip was cut from, or its author: clips that share it never vote for each other.
    A species with fewer than `n_clips` clips gives what it has.
    """
    _refuse_unequal(vectors, species, recordings)
    names, codes = np.unique(species, return_inverse=True)
    groups = np.unique(recordings, return_inverse=True)[1]
    eligible = np.array([code for code in range(len(names)) if len(np.unique(groups[codes == code])) > 1])
    if len(eligible) < 2:
        raise BadInput(
            "too few species to probe blocks with",
            expected="two, each of two recordings or more",
            got=f"{len(eligible)} of {len(names)}",
            do="add clips of more species, or give each recording a name of its own",
        )
    random = np.random.default_rng(seed)
    hits, counts = np.zeros((len(vectors) + 1, len(names))), np.zeros((draws, len(names)), dtype=np.int64)
    for draw in progress(range(draws), "probing blocks, draws", draws):
        chosen = random.permutation(eligible)[:n_species]
        rows = np.concatenate([_clips_of(code, codes, groups, n_clips, random) for code in chosen])
        counts[draw] = np.bincount(codes[rows], minlength=len(names))
        noise = random.random((len(rows), len(rows)))
        for place, near in enumerate([*(_closeness(block[rows]) for block in vectors.values()), noise]):
            right = _votes(near, codes[rows], groups[rows], neighbours) == codes[rows]
            hits[place] += np.bincount(codes[rows], weights=right, minlength=len(names))
    seen = counts.any(axis=0)
    rates = hits[:, seen] / counts[:, seen].sum(axis=0)
    few, most = counts[counts > 0].min(), counts.max()
    left_out = tuple(np.delete(names, eligible).tolist())
    return _report(list(vectors), rates, (int(few), int(most)), left_out, seed)


def standardise(block: np.ndarray) -> np.ndarray:
    """(clips, channels) float64, each channel about 0 with a spread of 1, or 0 where it is constant.

    Channels differ in scale by orders of magnitude: as they are, the few largest would be all that is compared.
    """
    centred = block - block.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def _refuse_unequal(vectors: Mapping[str, np.ndarray], species: np.ndarray, recordings: np.ndarray) -> None:
    """Refuse blocks that do not have one finite vector a clip."""
    count = len(species)
    fits = {
        name: block.ndim == 2 and len(block) == count and np.isfinite(block).all() for name, block in vectors.items()
    }
    if not vectors or not all(fits.values()) or len(recordings) != count:
        wrong = shorten([name for name, right in fits.items() if not right]) or "none"
        raise BadInput(
            "the blocks' vectors do not fit the clips",
            expected=f"finite vectors (clips, channels) of {count} clips, and the recordings of these",
            got=f"{len(vectors)} blocks, wrong: {wrong}; {len(recordings)} recordings",
            do="embed the same clips with every block",
        )


def _clips_of(code: int, codes: np.ndarray, groups: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """(clips,) up to `most` clips of a species, drawn so that they are of as many recordings as can be."""
    rows = random.permutation(np.flatnonzero(codes == code))
    return rows[np.argsort(_turns(groups[rows]), kind="stable")[:most]]


def _turns(groups: np.ndarray) -> np.ndarray:
    """(rows,) how many rows of the same group come before each."""
    order = np.argsort(groups, kind="stable")
    _, first, counts = np.unique(groups[order], return_index=True, return_counts=True)
    turns = np.empty(len(groups), dtype=np.int64)
    turns[order] = np.arange(len(groups)) - np.repeat(first, counts)
    return turns


def _closeness(block: np.ndarray) -> np.ndarray:
    """(rows, rows) the cosine between clips' standardised vectors: the length of a vector does not count."""
    unit = standardise(block)
    length = np.linalg.norm(unit, axis=1, keepdims=True)
    unit = np.divide(unit, length, out=np.zeros_like(unit), where=length > 0).astype(np.float32)
    return unit @ unit.T


def _votes(near: np.ndarray, codes: np.ndarray, groups: np.ndarray, neighbours: int) -> np.ndarray:
    """(rows,) the species with most votes of each clip's nearest clips of other recordings; ties go to the nearest."""
    near = np.where(groups[:, None] == groups, -np.inf, near)
    rows = np.arange(len(near))
    votes = np.zeros((len(near), codes.max() + 1))
    for place in range(neighbours):
        nearest = near.argmax(axis=1)  # of equals the first, so that a run is reproducible
        votes[rows, codes[nearest]] += np.where(np.isfinite(near[rows, nearest]), 1 + 0.5 ** (place + 1), 0)
        near[rows, nearest] = -np.inf
    return votes.argmax(axis=1)


def _report(
    names: Sequence[str], rates: np.ndarray, clips: tuple[int, int], left_out: tuple[str, ...], seed: int
) -> BlockReport:
    """The report of (blocks and noise, species) accuracies; intervals redraw the species for all blocks at once."""
    count = rates.shape[1]
    scored = dict(zip(names, rates.mean(axis=1).tolist(), strict=False))
    best = max(scored, key=scored.__getitem__)
    shares = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_REDRAWS) / count
    noise = few_groups(count) * (rates - rates.mean(axis=1, keepdims=True)) @ shares.T
    drawn = {name: scored[name] + off for name, off in zip(names, noise, strict=False)}
    rows = []
    for name in names:
        own, ahead = interval(scored[name], drawn[name]), paired_interval(scored, drawn, best, name)
        rows.append((name, scored[name], own.low, own.high, scored[best] - scored[name], ahead.low, ahead.high))
    others = compare_all(scored, drawn, best) if len(names) > 1 else {}
    return BlockReport(
        blocks=pd.DataFrame(rows, columns=["block", "accuracy", "low", "high", "behind", "behind_low", "behind_high"]),
        best=best,
        rivals=tuple(name for name, other in others.items() if other.adjusted.high >= 0),
        chance=float(rates[-1].mean()),
        species=count,
        clips=clips,
        left_out=left_out,
    )
