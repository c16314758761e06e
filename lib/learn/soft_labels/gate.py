"""Gates of soft labels: which crops a teacher is sure enough about to teach with, and what it then says of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from lib.core.errors import BadInput

_OFF = "off"
_TARGETS = ("soft", "hard", "argmax")


@dataclass(frozen=True)
class LabelGateSettings:
    """When a class counts as heard in a crop, and what the crop's targets become. Other gates' numbers are not read."""

    gate: str = "absolute"  # none: every class in every crop; absolute, percentile, top_k: as below
    gate_threshold: float = 0.5  # absolute: heard if the chance is at least this
    percentile: float = 95.0  # percentile: heard in the surest (100 - percentile) % of crops
    top_k: int = 20  # top_k: heard in so many crops, the surest
    by_taxon: str = ""  # "Amphibia=0.3,Insecta=off": the gate's number for a taxon, or none of it is taught
    targets: str = "soft"  # soft: the chances; hard: heard or not; argmax: the likeliest class alone
    soft_power: float = 1.0  # of soft targets (2nd place: 1.0, 1.54, 1.82, 1.67 by round)

    def __post_init__(self):
        """Refuse what opens no gate."""
        kind = _KINDS.get(self.gate)
        known = kind is not None and self.targets in _TARGETS and (self.gate, self.targets) != ("none", "hard")
        if not known or self.soft_power <= 0 or (kind.setting and not kind.takes(getattr(self, kind.setting))):
            raise BadInput(
                "gate settings",
                expected=f"a gate of {tuple(_KINDS)}, targets of {_TARGETS} (not none and"
                " hard), gate_threshold from 0 to 1, percentile from 0 to 100, top_k from 0, soft_power above 0",
                got=self,
                do="change the setting",
            )


@dataclass(frozen=True, eq=False)
class GatedLabels:
    """What passed: the crops' places (kept,), and of each its targets, weights and heard classes (kept, classes)."""

    kept: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # 0 where a taxon is off, else 1
    heard: np.ndarray


def apply_gate(chances: np.ndarray, settings: LabelGateSettings, taxa: Sequence[str]) -> GatedLabels:
    """The crops in which any class is heard, by (crops, classes) chances and each class's taxon.

    A chance of 0 passes no gate. A gate that nothing passes, or that keeps nothing out, is an error.
    """
    chances = np.asarray(chances)
    if not (chances.size and chances.min() >= 0 and chances.max() <= 1):  # NaN is neither
        raise BadInput(
            "a gate needs chances",
            expected="crops of numbers from 0 to 1",
            got=f"shape {chances.shape}, from {np.min(chances, initial=1)} to {np.max(chances, initial=0)}",
            do="make the soft labels anew",
        )
    numbers = _numbers(settings, taxa)
    heard = np.zeros(chances.shape, dtype=bool)
    for column, number in enumerate(numbers):
        if number is not None:
            heard[:, column] = _KINDS[settings.gate].passes(chances[:, column], number)
    kept = np.flatnonzero(heard.any(axis=1))
    if not len(kept) or (len(kept) == len(chances) and settings.gate != "none"):
        raise _useless(chances, settings, bool(len(kept)))
    taught = np.array([number is not None for number in numbers])
    targets = _targets(chances[kept].astype(np.float32), heard[kept], taught, settings)
    weights = np.broadcast_to(taught.astype(np.float32), targets.shape).copy()
    return GatedLabels(kept, targets, weights, heard[kept])


def gate_table(gated: GatedLabels, chances: np.ndarray, labels: Sequence[str], taxa: Sequence[str]) -> pd.DataFrame:
    """One row a class: primary_label, taxon, gate (open, empty, off), passed crops, their share of all, the class's
    mean chance in all crops, and the lowest chance that passed (NaN where none did)."""
    passed = gated.heard.sum(axis=0)
    low = np.where(gated.heard, chances[gated.kept].astype(np.float64), np.inf).min(axis=0)
    taught = gated.weights.any(axis=0)
    return pd.DataFrame(
        {
            "primary_label": list(labels),
            "taxon": list(taxa),
            "gate": np.where(~taught, _OFF, np.where(passed > 0, "open", "empty")),
            "passed": passed,
            "share": passed / len(chances),
            "mean_probability": chances.mean(axis=0, dtype=np.float64),
            "lowest": np.where(passed > 0, low, np.nan),
        }
    )


def _everything(chances: np.ndarray, number: float) -> np.ndarray:
    return np.ones(len(chances), dtype=bool)


def _reaches(chances: np.ndarray, least: float) -> np.ndarray:
    return (chances > 0) & (chances >= chances.dtype.type(least))  # the number is rounded as the chances were


def _surest(chances: np.ndarray, count: float) -> np.ndarray:
    """(crops,) so many of the surest. Of equals the earlier: together they would open the gate wide, where a teacher
    says the same of all crops."""
    passed = np.zeros(len(chances), dtype=bool)
    passed[np.argsort(-chances, kind="stable")[: int(count)]] = True
    return passed & (chances > 0)


def _surest_share(chances: np.ndarray, percentile: float) -> np.ndarray:
    return _surest(chances, ceil(round(len(chances) * (100 - percentile) / 100, 6)))


@dataclass(frozen=True)
class _Kind:
    """A kind of gate: which crops pass by a class's chances and a number, the setting that holds it, and its range."""

    passes: Callable[[np.ndarray, float], np.ndarray]
    setting: str = ""
    most: float = 0.0
    stricter: str = ""
    looser: str = ""

    def takes(self, number: float) -> bool:
        """Whether the number means anything."""
        return bool(self.setting) and 0 <= number <= self.most


_KINDS = {
    "none": _Kind(_everything),
    "absolute": _Kind(_reaches, "gate_threshold", 1, "raise", "lower"),
    "percentile": _Kind(_surest_share, "percentile", 100, "raise", "lower"),
    "top_k": _Kind(_surest, "top_k", float("inf"), "lower", "raise"),
}


def _numbers(settings: LabelGateSettings, taxa: Sequence[str]) -> list[float | None]:
    """The gate's number for each class; None where its taxon is off."""
    kind = _KINDS[settings.gate]
    said: dict[str, float | None] = {}
    for pair in filter(str.strip, settings.by_taxon.split(",")):
        taxon, _, text = (each.strip() for each in pair.partition("="))
        number = None if text == _OFF else _number(text)
        if taxon not in taxa or (number is not None and not kind.takes(number)):
            raise BadInput(
                f"by_taxon {pair.strip()!r} of a gate {settings.gate!r}",
                got=settings.by_taxon,
                expected=f'a taxon of {sorted(set(taxa))}, and "{_OFF}"'
                + (f" or a number from 0 to {kind.most:g}" if kind.setting else ""),
                do='write it as "Amphibia=0.3,Insecta=off"',
            )
        said[taxon] = number
    usual = getattr(settings, kind.setting) if kind.setting else 0.0
    return [said.get(taxon, usual) for taxon in taxa]


def _number(text: str) -> float:
    """The number in a text; NaN, which is in no range, where there is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _targets(chances: np.ndarray, heard: np.ndarray, taught: np.ndarray, settings: LabelGateSettings) -> np.ndarray:
    """(kept, classes) float32 targets, by the settings; the likeliest class is one that is taught."""
    if settings.targets == "soft":
        return chances**settings.soft_power
    if settings.targets == "hard":
        return heard.astype(np.float32)
    targets = np.zeros_like(chances)
    targets[np.arange(len(chances)), np.where(taught, chances, -1).argmax(axis=1)] = 1
    return targets


def _useless(chances: np.ndarray, settings: LabelGateSettings, all_passed: bool) -> BadInput:
    """The error of a gate that chooses nothing: what the crops' chances are like, and which way to turn it."""
    kind = _KINDS[settings.gate]
    surest = np.quantile(chances.max(axis=1).astype(np.float64), (0, 0.5, 0.9, 0.99, 1))
    of_each = dict(zip(("lowest", "half", "90 %", "99 %", "highest"), surest.round(3).tolist(), strict=True))
    turn = kind.stricter if all_passed else kind.looser
    return BadInput(
        "the gate keeps nothing out" if all_passed else "nothing passes the gate",
        expected="some crops in which a class is heard, and some in which none is",
        got=f"{'all' if all_passed else 'none'} of {len(chances)} crops by {settings}; of the crops' surest"
        f" chances, {of_each}",
        do=f"{turn} {kind.setting}" if kind.setting else "turn a taxon on",
    )
