"""Samplers: the rows of any batch of a run, without drawing those before it."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from lib.core.errors import BadInput
from lib.learn.network.settings import SAMPLERS, SamplerSettings
from lib.learn.soft_labels.settings import PseudoSettings


class Sampler:
    """The rows of every batch of a run: a pure function of seed and batch number."""

    def __init__(
        self,
        primary: np.ndarray,
        n_soundscapes: int,
        settings: SamplerSettings,
        seed: int,
        passed_gate: np.ndarray | None = None,
        pseudo: PseudoSettings | None = None,
    ):
        """`passed_gate` (pseudo-labelled crops, classes) marks the classes above the gate; None: no pseudo-labels."""
        self._primary, self._settings, self._seed = primary, pseudo or PseudoSettings(), seed
        substitutes = passed_gate is not None and self._settings.pseudo_mode == "substitute"
        self._substitutes = passed_gate if substitutes else None
        n_pseudo = 0 if passed_gate is None else len(passed_gate)
        self._n_clips = settings.batch_size - settings.soundscapes
        self._n_pseudo = _pseudo_rows(settings, self._settings) if n_pseudo else 0
        self._n_soundscapes = settings.soundscapes - self._n_pseudo
        order = _ORDERS[settings.clips]
        counts = np.bincount(primary)
        most = settings.most_per_class or len(primary)
        length = int(np.maximum(np.minimum(counts[counts > 0], most), settings.least_per_class).sum())
        self._clips = _Stream(
            lambda rng: order(_pool(primary, settings, rng), primary, settings, rng), length, [seed, 0]
        )
        self._soundscapes = _Stream(lambda rng: rng.permutation(n_soundscapes), n_soundscapes, [seed, 1])
        self._pseudo = _Stream(lambda rng: rng.permutation(n_pseudo), n_pseudo, [seed, 3])
        for what, count, available in (
            ("clips", self._n_clips, length),
            ("labelled soundscapes", self._n_soundscapes, n_soundscapes),
        ):
            if count and not available:
                raise BadInput(
                    f"there are no {what} for a batch",
                    expected=f"some to draw {count} from",
                    got="none",
                    do="set soundscape_share=0 without labelled soundscapes, soundscape_share=1 without clips",
                )
        rows, drawn = (length, self._n_clips) if self._n_clips else (n_soundscapes, self._n_soundscapes)
        self.batches_per_pass = -(-rows // drawn)

    def rows(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of clips, of soundscapes and of pseudo-labelled crops in batch `number`."""
        clips = self._clips.rows(number * self._n_clips, self._n_clips)
        soundscapes = self._soundscapes.rows(number * self._n_soundscapes, self._n_soundscapes)
        if self._substitutes is not None:
            clips, pseudo = self._substitute(clips, self._substitutes, number)
        else:
            pseudo = self._pseudo.rows(number * self._n_pseudo, self._n_pseudo)
        return clips, soundscapes, pseudo

    def _substitute(self, clips: np.ndarray, passed_gate: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The clips that stay, and for each other one a pseudo-labelled crop of its class."""
        rng = np.random.default_rng([self._seed, 4, number])
        possible = np.logical_or.reduce(passed_gate, axis=0)[self._primary[clips]]
        leaves = (rng.random(len(clips)) < self._settings.pseudo_ratio) & possible
        candidates = [np.flatnonzero(passed_gate[:, label]) for label in self._primary[clips[leaves]]]
        return clips[~leaves], np.array([rng.choice(rows) for rows in candidates], dtype=int)


def _pseudo_rows(settings: SamplerSettings, pseudo: PseudoSettings) -> int:
    """The number of a batch's soundscape rows that are pseudo-labelled, by the ratio; the others are labelled."""
    if not pseudo.pseudo_ratio or pseudo.pseudo_mode == "substitute":
        return 0
    rows = round(settings.soundscapes * pseudo.pseudo_ratio / (1 + pseudo.pseudo_ratio))
    if not 0 < rows < settings.soundscapes:
        raise BadInput(
            f"a batch's soundscape rows cannot be divided by pseudo_ratio {pseudo.pseudo_ratio}",
            expected="at least one pseudo-labelled and one labelled row",
            got=f"{rows} and {settings.soundscapes - rows} of {settings.batch_size} rows",
            do="raise soundscape_share or batch_size, or set pseudo_ratio nearer to 1",
        )
    return rows


class _Stream:
    """An endless sequence of rows made of passes, each drawn from random numbers of its own."""

    def __init__(self, draw: Callable[[np.random.Generator], np.ndarray], length: int, seed: list[int]):
        self._length = length
        # remembered, since neighbouring batches come from one pass
        self._pass = lru_cache(maxsize=4)(lambda number: draw(np.random.default_rng([*seed, number])))

    def rows(self, first: int, count: int) -> np.ndarray:
        """(count,) the rows from place `first` on."""
        parts, end = [np.zeros(0, dtype=int)], first + count
        while first < end:
            number, place = divmod(first, self._length)
            parts.append(self._pass(number)[place : place + end - first])
            first += len(parts[-1])
        return np.concatenate(parts)


def _pool(primary: np.ndarray, settings: SamplerSettings, rng: np.random.Generator) -> np.ndarray:
    """The rows of one pass, class by class: frequent classes cut to a random part, rare ones repeated."""
    rows = np.argsort(primary, kind="stable")
    pool = []
    for own in np.split(rows, np.flatnonzero(np.diff(primary[rows])) + 1):
        most = settings.most_per_class or len(own)
        own = rng.permutation(own)
        pool.append(np.resize(own, max(settings.least_per_class, min(len(own), most))))
    return np.concatenate(pool)


def _uniform(pool: np.ndarray, primary: np.ndarray, settings: SamplerSettings, rng: np.random.Generator) -> np.ndarray:
    """The pool, shuffled."""
    return rng.permutation(pool)


def _weighted(pool: np.ndarray, primary: np.ndarray, settings: SamplerSettings, rng: np.random.Generator) -> np.ndarray:
    """As many rows, drawn with replacement, those of rare classes more often."""
    weight = np.bincount(primary[pool])[primary[pool]] ** -float(settings.power)
    return rng.choice(pool, len(pool), p=weight / weight.sum())


def _by_class(pool: np.ndarray, primary: np.ndarray, settings: SamplerSettings, rng: np.random.Generator) -> np.ndarray:
    """As many rows: first a class, each as often as any other, then one of its rows, each once before any twice."""
    classes = np.unique(primary[pool])
    rounds = -(-len(pool) // len(classes))
    order = np.concatenate([rng.permutation(classes) for _ in range(rounds)])[: len(pool)]
    rows = np.empty(len(pool), dtype=int)
    for number in classes:
        own = rng.permutation(pool[primary[pool] == number])
        rows[order == number] = np.resize(own, (order == number).sum())
    return rows


_ORDERS = dict(zip(SAMPLERS, (_uniform, _weighted, _by_class), strict=True))
