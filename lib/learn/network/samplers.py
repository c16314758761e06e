"""Samplers: which rows a batch is made of, said of any batch without those before it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lib.core.errors import BadInput
from lib.learn.soft_labels.crops import PseudoSettings


@dataclass(frozen=True)
class SamplerSettings:
    """How batches are composed. The caps hold a pass, as an epoch of clips is called; then `clips` orders the pass."""

    batch_size: int = 64
    soundscape_share: float = 0.1  # of a batch, to the nearest whole row
    clips: str = "uniform"  # each once a pass; "weighted": by rarity; "class-aware": each class equally often
    power: float = 0.5  # weighted: a class of n clips is drawn n ** -power as often, clip by clip
    most_per_class: int = 0  # clips of a class heard a pass, others the next; 0: no cap
    least_per_class: int = 0  # rarer classes are repeated up to it

    def __post_init__(self):
        """Refuse what composes no batch."""
        capped = not self.most_per_class or self.least_per_class <= self.most_per_class
        if self.clips not in _ORDERS or not 0 <= self.soundscape_share <= 1 or self.batch_size < 1 or not capped:
            raise BadInput(
                "sampler settings",
                expected=f"one of {tuple(_ORDERS)}, a share from 0 to 1, a batch size,"
                " least_per_class <= most_per_class",
                got=self,
                do="change the setting",
            )

    @property
    def soundscapes(self) -> int:
        """How many rows of a batch are cut from labelled soundscapes."""
        return round(self.soundscape_share * self.batch_size)


class Sampler:
    """The rows of every batch of a run: a pure function of seed and batch number."""

    def __init__(
        self,
        primary: np.ndarray,
        n_soundscapes: int,
        settings: SamplerSettings,
        seed: int,
        heard: np.ndarray | None = None,
        pseudo: PseudoSettings | None = None,
    ):
        """`heard` (pseudo-labelled crops, classes) tells which classes passed the gate; None: nobody teaches."""
        self._primary, self._heard, self._pseudo, self._seed = primary, heard, pseudo or PseudoSettings(), seed
        n_pseudo = 0 if heard is None else len(heard)
        self._of_clips = settings.batch_size - settings.soundscapes
        self._of_pseudo = _pseudo_rows(settings, self._pseudo) if n_pseudo else 0
        self._of_soundscapes = settings.soundscapes - self._of_pseudo
        order = _ORDERS[settings.clips]
        counts = np.bincount(primary)
        most = settings.most_per_class or len(primary)
        length = int(np.maximum(np.minimum(counts[counts > 0], most), settings.least_per_class).sum())
        self._clips = _Stream(
            lambda rng: order(_pool(primary, settings, rng), primary, settings, rng), length, [seed, 0]
        )
        self._soundscapes = _Stream(lambda rng: rng.permutation(n_soundscapes), n_soundscapes, [seed, 1])
        self._taught = _Stream(lambda rng: rng.permutation(n_pseudo), n_pseudo, [seed, 3])
        for what, wanted, there in (
            ("clips", self._of_clips, length),
            ("labelled soundscapes", self._of_soundscapes, n_soundscapes),
        ):
            if wanted and not there:
                raise BadInput(
                    f"a batch wants {what}",
                    expected=f"some to draw {wanted} from",
                    got="none",
                    do="change soundscape_share",
                )
        rows, drawn = (length, self._of_clips) if self._of_clips else (n_soundscapes, self._of_soundscapes)
        self.batches_per_pass = -(-rows // drawn)

    def rows(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of clips, of soundscapes and of pseudo-labelled crops in batch `number`."""
        clips = self._clips.rows(number * self._of_clips, self._of_clips)
        soundscapes = self._soundscapes.rows(number * self._of_soundscapes, self._of_soundscapes)
        if self._heard is not None and self._pseudo.pseudo_mode == "substitute":
            clips, taught = self._substituted(clips, number)
        else:
            taught = self._taught.rows(number * self._of_pseudo, self._of_pseudo)
        return clips, soundscapes, taught

    def _substituted(self, clips: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The clips that stay, and for each other one a crop in which its class was heard."""
        rng = np.random.default_rng([self._seed, 4, number])
        leaves = (rng.random(len(clips)) < self._pseudo.pseudo_ratio) & self._heard.any(axis=0)[self._primary[clips]]
        having = [np.flatnonzero(self._heard[:, of]) for of in self._primary[clips[leaves]]]
        return clips[~leaves], np.array([rng.choice(rows) for rows in having], dtype=int)


def _pseudo_rows(settings: SamplerSettings, pseudo: PseudoSettings) -> int:
    """How many of a batch's soundscape rows are pseudo-labelled, as the ratio says; those of labelled ones remain."""
    if not pseudo.pseudo_ratio or pseudo.pseudo_mode == "substitute":
        return 0
    rows = round(settings.soundscapes * pseudo.pseudo_ratio / (1 + pseudo.pseudo_ratio))
    if not 0 < rows < settings.soundscapes:
        raise BadInput(
            f"a batch's soundscape rows cannot be divided by pseudo_ratio {pseudo.pseudo_ratio}",
            expected="at least one pseudo-labelled and one labelled row",
            got=f"{rows} and {settings.soundscapes - rows} of {settings.batch_size} rows",
            do="raise soundscape_share or batch_size, or bring the ratio nearer to 1",
        )
    return rows


class _Stream:
    """An endless sequence of rows made of passes, each drawn from its own random numbers."""

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


_ORDERS = {"uniform": _uniform, "weighted": _weighted, "class-aware": _by_class}
