"""Gates of soft labels: select the crops in which a teacher is sure of some class, and make their targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from lib.core.errors import BadInput
from lib.learn.soft_labels.settings import GATES, LabelGateSettings

_OFF = "off"


@dataclass(frozen=True, eq=False)
class GatedLabels:
    """The crops that passed: their rows (kept,), and their targets, weights and passed classes (kept, classes)."""

    kept: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # 0 where a taxon is off, else 1
    passed_gate: np.ndarray


def apply_gate(probabilities: np.ndarray, settings: LabelGateSettings, taxa: Sequence[str]) -> GatedLabels:
    """Select the crops in which any class passes, by (crops, classes) probabilities and each class's taxon.

    A probability of 0 passes no gate. A gate that nothing passes, or that rejects nothing, is an error.
    """
    probabilities = np.asarray(probabilities)
    if not (probabilities.size and probabilities.min() >= 0 and probabilities.max() <= 1):  # NaN is neither
        raise BadInput(
            "a gate needs probabilities",
            expected="crops of numbers from 0 to 1",
            got=f"shape {probabilities.shape},"
            f" from {np.min(probabilities, initial=1)} to {np.max(probabilities, initial=0)}",
            do="run 04_pseudo_labels again to make the soft labels anew",
        )
    numbers = _numbers(settings, taxa)
    passed = np.zeros(probabilities.shape, dtype=bool)
    for column, number in enumerate(numbers):
        if number is not None:
            passed[:, column] = _KINDS[settings.gate].passes(probabilities[:, column], number)
    kept = np.flatnonzero(passed.any(axis=1))
    if not len(kept) or (len(kept) == len(probabilities) and settings.gate != "none"):
        raise _gate_error(probabilities, settings, bool(len(kept)))
    enabled = np.array([number is not None for number in numbers])
    targets = _targets(probabilities[kept].astype(np.float32), passed[kept], enabled, settings)
    weights = np.broadcast_to(enabled.astype(np.float32), targets.shape).copy()
    return GatedLabels(kept, targets, weights, passed[kept])


def gate_table(
    gated: GatedLabels, probabilities: np.ndarray, labels: Sequence[str], taxa: Sequence[str]
) -> pd.DataFrame:
    """A table with a row a class: primary_label, taxon, gate (open, empty, off), passed crops, their share of all, the
    class's mean probability in all crops, and the lowest that passed (NaN where none did)."""
    passed = gated.passed_gate.sum(axis=0)
    low = np.where(gated.passed_gate, probabilities[gated.kept].astype(np.float64), np.inf).min(axis=0)
    enabled = gated.weights.any(axis=0)
    return pd.DataFrame(
        {
            "primary_label": list(labels),
            "taxon": list(taxa),
            "gate": np.where(~enabled, _OFF, np.where(passed > 0, "open", "empty")),
            "passed": passed,
            "share": passed / len(probabilities),
            "mean_probability": probabilities.mean(axis=0, dtype=np.float64),
            "lowest": np.where(passed > 0, low, np.nan),
        }
    )


def _all(probabilities: np.ndarray, number: float) -> np.ndarray:
    return np.ones(len(probabilities), dtype=bool)


def _at_least(probabilities: np.ndarray, least: float) -> np.ndarray:
    rounded = probabilities.dtype.type(least)  # as the probabilities were
    return (probabilities > 0) & (probabilities >= rounded)


def _top_k(probabilities: np.ndarray, count: float) -> np.ndarray:
    """(crops,) mask of the `count` highest. Of equals the earlier: together they would open the gate wide, where a
    teacher predicts the same for all crops."""
    passed = np.zeros(len(probabilities), dtype=bool)
    passed[np.argsort(-probabilities, kind="stable")[: int(count)]] = True
    return passed & (probabilities > 0)


def _top_share(probabilities: np.ndarray, percentile: float) -> np.ndarray:
    return _top_k(probabilities, ceil(round(len(probabilities) * (100 - percentile) / 100, 6)))


@dataclass(frozen=True)
class _GateKind:
    """A kind of gate: its rule on a class's probabilities and a number, the setting that holds it, and its range."""

    passes: Callable[[np.ndarray, float], np.ndarray]
    setting: str
    most: float
    stricter: str = ""
    looser: str = ""

    def accepts(self, number: float) -> bool:
        """True if the number is in the setting's range."""
        return bool(self.setting) and 0 <= number <= self.most


_KINDS = {
    "none": _GateKind(_all, *GATES["none"]),
    "absolute": _GateKind(_at_least, *GATES["absolute"], "raise", "lower"),
    "percentile": _GateKind(_top_share, *GATES["percentile"], "raise", "lower"),
    "top_k": _GateKind(_top_k, *GATES["top_k"], "lower", "raise"),
}


def _numbers(settings: LabelGateSettings, taxa: Sequence[str]) -> list[float | None]:
    """The gate's number for each class; None where its taxon is off."""
    kind = _KINDS[settings.gate]
    by_taxon: dict[str, float | None] = {}
    for pair in filter(str.strip, settings.by_taxon.split(",")):
        taxon, _, text = (each.strip() for each in pair.partition("="))
        number = None if text == _OFF else _number(text)
        if taxon not in taxa or (number is not None and not kind.accepts(number)):
            raise BadInput(
                f"by_taxon {pair.strip()!r} of a gate {settings.gate!r}",
                got=settings.by_taxon,
                expected=f'a taxon of {sorted(set(taxa))}, and "{_OFF}"'
                + (f" or a number from 0 to {kind.most:g}" if kind.setting else ""),
                do='write it as "Amphibia=0.3,Insecta=off"',
            )
        by_taxon[taxon] = number
    default = getattr(settings, kind.setting) if kind.setting else 0.0
    return [by_taxon.get(taxon, default) for taxon in taxa]


def _number(text: str) -> float:
    """The number in a text; NaN, which is in no range, where there is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _targets(
    probabilities: np.ndarray, passed: np.ndarray, enabled: np.ndarray, settings: LabelGateSettings
) -> np.ndarray:
    """(kept, classes) float32 targets, by the settings; the likeliest class is sought among the enabled ones."""
    if settings.targets == "soft":
        return probabilities**settings.soft_power
    if settings.targets == "hard":
        return passed.astype(np.float32)
    targets = np.zeros_like(probabilities)
    targets[np.arange(len(probabilities)), np.where(enabled, probabilities, -1).argmax(axis=1)] = 1
    return targets


def _gate_error(probabilities: np.ndarray, settings: LabelGateSettings, all_passed: bool) -> BadInput:
    """The error of a gate that selects nothing or everything: how likely crops are, and how to change the setting."""
    kind = _KINDS[settings.gate]
    highest = np.quantile(probabilities.max(axis=1).astype(np.float64), (0, 0.5, 0.9, 0.99, 1))
    of_each = dict(zip(("lowest", "half", "90 %", "99 %", "highest"), highest.round(3).tolist(), strict=True))
    change = kind.stricter if all_passed else kind.looser
    return BadInput(
        "the gate rejects nothing" if all_passed else "nothing passes the gate",
        expected="some crops in which a class passes, and some in which none does",
        got=f"{'all' if all_passed else 'none'} of {len(probabilities)} crops by {settings}; of the crops' highest"
        f" probabilities, {of_each}",
        do=f"{change} {kind.setting}" if kind.setting else "turn a taxon on",
    )
