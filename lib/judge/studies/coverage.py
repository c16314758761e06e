"""Simulated competitions whose true scores are known, to measure how often an interval covers the truth.

A simulation draws what real labels do: classes from common to rare, present in some recordings and then in many of
their windows; and scores that carry signal, noise, and a disturbance shared by a whole recording.
"""

from dataclasses import dataclass

import numpy as np

from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.judge.bootstrap import interval, scores_with_intervals
from lib.judge.metric import class_auc

_TRUTH_GROUPS = 4000  # recordings of the large draw that stands for the truth


@dataclass(frozen=True, eq=False)
class SimulatedCompetition:
    """The parameters of a simulation: how common each class is, and how well two models detect it."""

    common: np.ndarray
    skill: np.ndarray  # (2, classes)


def simulate_competition(rng: np.random.Generator, classes: int) -> SimulatedCompetition:
    """Simulate a competition with its own rare and easy classes; the second model is a little better."""
    skill = rng.gamma(2.0, 0.6, (2, classes)) * [[1.0], [1.05]]
    return SimulatedCompetition(np.clip(2.2 * np.exp(rng.normal(-2.3, 1.1, classes)), 0.0, 0.8), skill)


def draw_competition(
    simulation: SimulatedCompetition, rng: np.random.Generator, recordings: int
) -> tuple[Labels, dict[str, Scores]]:
    """Draw labels of that many recordings, and the scores of models a and b."""
    classes = tuple(f"c{n}" for n in range(len(simulation.common)))
    stems = [f"BC2026_Test_{n:04d}_S01_{20000101 + n}_000000" for n in range(recordings)]
    rows = tuple(row for stem in stems for row in row_ids(stem))
    of = np.repeat(np.arange(recordings), 12)
    shape = (recordings, len(classes))
    present = rng.random(shape) < simulation.common
    truth = rng.random((len(rows), len(classes))) < np.where(present, rng.beta(1.2, 1.5, shape), 0.0)[of]
    shared = (0.7 * rng.normal(size=shape) + 0.4 * present)[of] + 0.7 * rng.normal(size=truth.shape)
    named = {}
    for name, skill in zip("ab", simulation.skill, strict=True):
        own = 0.7 * rng.normal(size=truth.shape) + 0.3 * rng.normal(size=shape)[of]
        named[name] = Scores(skill * truth + shared + own, rows, classes, "logit")
    return Labels(truth, rows, classes), named


def true_auc(simulation: SimulatedCompetition, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """(classes,) each model's AUC in the limit of many recordings, from a very large draw."""
    labels, named = draw_competition(simulation, rng, _TRUTH_GROUPS)
    return {name: class_auc(labels.values, scores.values) for name, scores in named.items()}


def interval_coverage(
    recordings: int, *, competitions: int, draws_each: int, classes: int, seed: int
) -> dict[str, float]:
    """The coverage and mean width of intervals of a score and of the difference of two."""
    rng = np.random.default_rng(seed)
    covered: dict[str, list[bool]] = {"score": [], "difference": []}
    width: dict[str, list[float]] = {"score": [], "difference": []}
    for _ in range(competitions):
        simulation = simulate_competition(rng, classes)
        truth = true_auc(simulation, rng)
        for _ in range(draws_each):
            labels, named = draw_competition(simulation, rng, recordings)
            found = scores_with_intervals(labels, named, draws=300, seed=int(rng.integers(1 << 31)))
            a, b = found["a"], found["b"]
            scored = [int(label[1:]) for label in a.report.scored]
            true = {name: auc[scored].mean() for name, auc in truth.items()}
            intervals = {
                "score": (a.interval, true["a"]),
                "difference": (interval(b.macro - a.macro, b.drawn - a.drawn), true["b"] - true["a"]),
            }
            for what, (sure, value) in intervals.items():
                covered[what].append(sure.low <= value <= sure.high)
                width[what].append(sure.high - sure.low)
    shares = {f"{what} coverage": float(np.mean(hits)) for what, hits in covered.items()}
    return shares | {f"{what} width": float(np.mean(widths)) for what, widths in width.items()}
