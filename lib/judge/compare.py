"""Comparisons: paired differences, many at once without fooling oneself, and the smallest effect worth believing.

All rest on one bootstrap of all scores over the same redrawn recordings, so that luck which two scores share cancels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm, rankdata

from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.judge.bootstrap import LEVEL, Interval, Name, bootstrap, interval
from lib.judge.metric import class_auc
from lib.judge.subgroups import Slice, cut_scores, cut_slice

SIBLINGS = 0.9  # how two variants of one model typically go up and down together over redrawn recordings
_HALF = norm.ppf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Difference:
    """How much `name` scores above `reference`: alone, and seen as one of many that were tried."""

    name: str
    reference: str
    gain: float
    interval: Interval
    adjusted: Interval  # holds for all compared at once
    lucky: float  # how many of those compared would show this gain, were none better than the reference

    def __str__(self) -> str:
        return f"{self.name} - {self.reference}: {self.gain:+.4f} {self.interval}, all at once {self.adjusted}"


def paired(scored: Mapping[Name, float], drawn: Mapping[Name, np.ndarray], name: Name, reference: Name) -> Interval:
    """The interval of the difference of two scores over the same draws."""
    return interval(scored[name] - scored[reference], drawn[name] - drawn[reference])


def compare_all(scored: Mapping[str, float], drawn: Mapping[str, np.ndarray], reference: str) -> dict[str, Difference]:
    """Each other score against the reference; the adjusted intervals hold together, by the largest |t| of each draw."""
    names = [name for name in drawn if name != reference]
    if reference not in drawn or not names:
        raise BadInput(
            "nothing to compare",
            expected="a reference and others",
            got=f"{reference} of {list(drawn)}",
            do="name two members or more",
        )
    differences = np.stack([drawn[name] - drawn[reference] for name in names])
    differences = differences[:, np.isfinite(differences).all(axis=0)]
    noise = differences - differences.mean(axis=1, keepdims=True)
    spread = noise.std(axis=1, keepdims=True)
    luck = np.divide(noise, spread, out=np.zeros_like(noise), where=spread > 0)  # (others, draws)
    reach = float(np.quantile(np.abs(luck).max(axis=0), LEVEL))
    found = {}
    for name, width in zip(names, spread[:, 0], strict=True):
        gain = scored[name] - scored[reference]
        height = gain / width if width > 0 else 0.0
        found[name] = Difference(
            name=name,
            reference=reference,
            gain=gain,
            interval=paired(scored, drawn, name, reference),
            adjusted=Interval(float(gain - reach * width), float(gain + reach * width)),
            lucky=float((luck >= height).mean(axis=1).sum()),
        )
    return found


@dataclass(frozen=True)
class PartGain:
    """The gain over the reference within one part of a view."""

    view: str
    part: str
    gain: float
    interval: Interval


@dataclass(frozen=True)
class MinimumEffect:
    """The half-width of a paired interval on the present data: a smaller gain cannot be told from none."""

    at_hand: float  # for two scores as alike as those at hand
    correlation: float  # how alike those are over the draws, the median pair
    siblings: float  # for two variants of one model, correlated by SIBLINGS

    def __str__(self) -> str:
        return (
            f"a gain worth believing: {self.at_hand:.3f} between scores as alike as these (correlation "
            f"{self.correlation:.2f}), {self.siblings:.3f} between variants of one model (correlation {SIBLINGS})"
        )


def minimum_effect(drawn: Mapping[str, np.ndarray]) -> MinimumEffect:
    """The smallest gain that the labelled recordings can show, from the scores' own spread over the draws."""
    spread = float(np.median([np.nanstd(values) for values in drawn.values()]))
    alike = [_correlation(drawn[a], drawn[b]) for a, b in combinations(drawn, 2)]
    correlation = float(np.median(alike)) if alike else SIBLINGS

    def half(share: float) -> float:
        return float(_HALF * spread * np.sqrt(2 * (1 - share)))

    return MinimumEffect(half(correlation), correlation, half(SIBLINGS))


def gains_by_part(
    labels: Labels, named: Mapping[str, Scores], reference: str, parts: list[Slice], *, seed: int
) -> dict[str, list[PartGain]]:
    """How much each gains over the reference in each part that can be scored."""
    found: dict[str, list[PartGain]] = {name: [] for name in named}
    for part in parts:
        truth, sliced = (
            cut_slice(labels, part),
            {name: cut_scores(labels, scores, part) for name, scores in named.items()},
        )
        scored = {name: _macro(truth, scores) for name, scores in sliced.items()}
        if np.isfinite(scored[reference]):  # whether a part can be scored is the labels' doing, the same for all
            drawn = bootstrap(truth, sliced, seed=seed)
            for name, gains in found.items():
                gain = scored[name] - scored[reference]
                gains.append(PartGain(part.view, part.part, gain, paired(scored, drawn, name, reference)))
    return found


def _macro(labels: Labels, scores: Scores) -> float:
    """The macro score, NaN where no class can be scored."""
    auc = class_auc(labels.values, scores.values, labels.strata)
    return float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """How two scores go up and down together over the draws; 1 where either never moves."""
    both = np.isfinite(one) & np.isfinite(other)
    if np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
        return 1.0
    return float(np.corrcoef(one[both], other[both])[0, 1])


def rank_correlation(labels: Labels, one: Scores, other: Scores) -> float:
    """How alike two scores rank the windows: Spearman within each fold and class, the mean over those that vary."""
    found = []
    for stratum in np.unique(labels.strata):
        rows = [row for row, there in zip(labels.row_ids, labels.strata, strict=True) if there == stratum]
        ranks = [rankdata(scores.take(rows).values, axis=0) for scores in (one, other)]
        centred = [table - table.mean(axis=0) for table in ranks]
        size = [np.sqrt(np.square(table).sum(axis=0)) for table in centred]
        vary = (size[0] > 0) & (size[1] > 0)
        found += ((centred[0] * centred[1]).sum(axis=0)[vary] / (size[0] * size[1])[vary]).tolist()
    return float(np.mean(found)) if found else 0.0


def seed_spread(scores_by_config: Mapping[str, list[float]]) -> dict[str, float]:
    """The standard deviation over seeds of each configuration that was fitted with more than one."""
    return {config: float(np.std(found, ddof=1)) for config, found in scores_by_config.items() if len(found) > 1}
