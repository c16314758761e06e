"""Paired differences of scores, adjusted for multiple comparisons, and the minimum detectable effect.

All rest on one bootstrap of all scores over the same redrawn recordings, so that noise which two scores share cancels.
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
from lib.judge.subgroups import Subgroup, subgroup_labels, subgroup_scores

SAME_MODEL_CORRELATION = 0.9  # typical correlation, over redrawn recordings, of two variants of one model
_HALF = norm.ppf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Difference:
    """The gain of `name` over `reference`, with its own interval and one adjusted for all that were compared."""

    name: str
    reference: str
    gain: float
    interval: Interval
    adjusted: Interval  # holds for all compared at once
    by_chance: float  # expected number of those compared with such a gain, were none better than the reference

    def __str__(self) -> str:
        return f"{self.name} - {self.reference}: {self.gain:+.4f} {self.interval}, adjusted {self.adjusted}"


def paired_interval(
    scored: Mapping[Name, float], drawn: Mapping[Name, np.ndarray], name: Name, reference: Name
) -> Interval:
    """The interval of the difference of two scores over the same draws."""
    return interval(scored[name] - scored[reference], drawn[name] - drawn[reference])


def compare_all(scored: Mapping[str, float], drawn: Mapping[str, np.ndarray], reference: str) -> dict[str, Difference]:
    """The difference of each other score to the reference; adjusted intervals hold together (largest |t| a draw)."""
    names = [name for name in drawn if name != reference]
    if reference not in drawn or not names:
        raise BadInput(
            "nothing to compare",
            expected="a reference and others",
            got=f"{reference} of {list(drawn)}",
            do="name a reference and at least one other member",
        )
    differences = np.stack([drawn[name] - drawn[reference] for name in names])
    differences = differences[:, np.isfinite(differences).all(axis=0)]
    noise = differences - differences.mean(axis=1, keepdims=True)
    spread = noise.std(axis=1, keepdims=True)
    t_values = np.divide(noise, spread, out=np.zeros_like(noise), where=spread > 0)  # (others, draws)
    reach = float(np.quantile(np.abs(t_values).max(axis=0), LEVEL))
    found = {}
    for name, width in zip(names, spread[:, 0], strict=True):
        gain = scored[name] - scored[reference]
        height = gain / width if width > 0 else 0.0
        found[name] = Difference(
            name=name,
            reference=reference,
            gain=gain,
            interval=paired_interval(scored, drawn, name, reference),
            adjusted=Interval(float(gain - reach * width), float(gain + reach * width)),
            by_chance=float((t_values >= height).mean(axis=1).sum()),
        )
    return found


@dataclass(frozen=True)
class SubgroupGain:
    """The gain over the reference within one subgroup."""

    grouping: str
    subgroup: str
    gain: float
    interval: Interval


@dataclass(frozen=True)
class MinimumEffect:
    """The half-width of a paired interval on the present data: a smaller gain cannot be distinguished from none."""

    these_scores: float  # for two scores as correlated as those compared
    correlation: float  # of those over the draws, the median pair
    same_model: float  # for two variants of one model, correlated by SAME_MODEL_CORRELATION

    def __str__(self) -> str:
        return (
            f"minimum detectable gain: {self.these_scores:.3f} between scores as correlated as these (correlation "
            f"{self.correlation:.2f}), {self.same_model:.3f} between variants of one model "
            f"(correlation {SAME_MODEL_CORRELATION})"
        )


def minimum_effect(drawn: Mapping[str, np.ndarray]) -> MinimumEffect:
    """The smallest gain that the labelled recordings can show, from the spread of the scores over the draws."""
    spread = float(np.median([np.nanstd(values) for values in drawn.values()]))
    correlations = [_correlation(drawn[a], drawn[b]) for a, b in combinations(drawn, 2)]
    correlation = float(np.median(correlations)) if correlations else SAME_MODEL_CORRELATION

    def half(share: float) -> float:
        return float(_HALF * spread * np.sqrt(2 * (1 - share)))

    return MinimumEffect(half(correlation), correlation, half(SAME_MODEL_CORRELATION))


def gains_by_subgroup(
    labels: Labels, named: Mapping[str, Scores], reference: str, subgroups: list[Subgroup], *, seed: int
) -> dict[str, list[SubgroupGain]]:
    """The gains of each over the reference, in every subgroup that can be scored."""
    found: dict[str, list[SubgroupGain]] = {name: [] for name in named}
    for subgroup in subgroups:
        truth = subgroup_labels(labels, subgroup)
        parts = {name: subgroup_scores(labels, scores, subgroup) for name, scores in named.items()}
        scored = {name: _macro(truth, scores) for name, scores in parts.items()}
        if np.isfinite(scored[reference]):  # whether a subgroup can be scored depends on the labels, the same for all
            drawn = bootstrap(truth, parts, seed=seed)
            for name, gains in found.items():
                gain, sure = scored[name] - scored[reference], paired_interval(scored, drawn, name, reference)
                gains.append(SubgroupGain(subgroup.grouping, subgroup.name, gain, sure))
    return found


def _macro(labels: Labels, scores: Scores) -> float:
    """The macro score, NaN where no class can be scored."""
    auc = class_auc(labels.values, scores.values, labels.strata)
    return float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two scores over the draws; 1 where either is constant."""
    both = np.isfinite(one) & np.isfinite(other)
    if np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
        return 1.0
    return float(np.corrcoef(one[both], other[both])[0, 1])


def rank_correlation(labels: Labels, one: Scores, other: Scores) -> float:
    """The mean Spearman correlation of two scores within each fold and class, over those in which both vary."""
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
