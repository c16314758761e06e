"""The search for a blend, and its honest score: what is chosen on some folds is judged on the fold left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.blend.ascent import ascent
from lib.blend.evaluate import executed, make_folds
from lib.blend.greedy import greedy
from lib.blend.in_turn import in_turn
from lib.blend.objective import Numbers, Objective
from lib.blend.recipe import Recipe
from lib.blend.space import Choice, Space, towards
from lib.blend.tpe import tpe
from lib.competition.errors import BadInput
from lib.competition.scores import Labels, Scores, joined
from lib.judge.intervals import bootstrap, interval
from lib.judge.metric import judge
from lib.judge.provenance import fitted_on, refuse_self_judged

METHODS = {"greedy": in_turn(greedy), "ascent": in_turn(ascent), "tpe": tpe}
SHRINKAGE = (0.0, 0.25, 0.5, 0.75, 1.0)  # the strengths tried: 0 believes the search, 1 takes the weights at home

Home = Callable[[Labels], Sequence[float]]  # the weights that a search is drawn to, made of the labels it may see


@dataclass(frozen=True, eq=False)
class Found:
    """The choice made on all folds, its score there, and the nested scores that were not searched on."""

    choice: Choice
    recipe: Recipe
    searched: float
    nested: Scores
    nested_score: float
    by_fold: dict[object, Choice]  # what was chosen without each fold,
    recipes: dict[object, Recipe]  # and the recipes of that
    shrunk: float | None  # how far the weights went home; None where no home was given
    tried: int

    @property
    def optimism(self) -> float:
        """How much of the searched score is luck: what does not come back on folds that were not searched on."""
        return self.searched - self.nested_score

    def __str__(self) -> str:
        shrunk = "" if self.shrunk is None else f", weights {self.shrunk:.0%} of the way home"
        return (
            f"searched {self.searched:.4f}, nested {self.nested_score:.4f}: optimism {self.optimism:+.4f} "
            f"({self.tried} choices tried{shrunk})"
        )


def equal(parts: int) -> Home:
    """A home of equal weights."""
    return lambda labels: (1.0 / parts,) * parts


def by_evidence(parts: Sequence[Scores], *, draws: int = 200, seed: int = 0) -> Home:
    """A home that weighs each part by how far its interval's lower end lies above chance."""

    def weights(labels: Labels) -> tuple[float, ...]:
        drawn = bootstrap(labels, dict(enumerate(parts)), draws=draws, seed=seed)
        return evidence_weights([interval(judge(labels, part).macro, drawn[n]).low for n, part in enumerate(parts)])

    return weights


def evidence_weights(lower_ends: Sequence[float], voices: Sequence[str] | None = None) -> tuple[float, ...]:
    """Weights in proportion to how far each lower end lies above chance; equal ones where none does.

    Members with the same voice, such as heads that hear through one embedder, have one vote together.
    """
    excess = np.maximum(np.asarray(lower_ends) - 0.5, 0.0)
    if voices is not None:
        excess /= [list(voices).count(voice) for voice in voices]
    shares = excess / excess.sum() if excess.sum() > 0 else np.full(len(excess), 1 / len(excess))
    return tuple(shares.tolist())


def search(
    space: Space, parts: Mapping[str, Scores], labels: Labels, *, method: str = "greedy", home: Home | None = None,
    seed: int = 0,
) -> Found:  # fmt: skip
    """The best choice on all folds (the labels' strata), and nested scores: each fold's by the choice of the others.

    With a home, weights go part of the way there; how far is chosen by the same rule, within the folds chosen on.
    """
    if method not in METHODS:
        raise BadInput("the search has an unknown method", expected=sorted(METHODS), got=method, do="name one of them")
    objective = Objective(space, make_folds(parts, labels))
    everywhere = tuple(range(len(objective.folds)))
    if len(everywhere) < (2 if home is None else 3):
        raise BadInput("a nested search needs folds to choose on and a fold to judge on",
                       expected="two folds, or three where the shrinkage is chosen too", got=len(everywhere),
                       do="pass labels of more folds")  # fmt: skip
    searching = _Searching(objective, method, home, labels, seed)
    choice, shrunk = searching.settled(everywhere)
    by_fold, recipes, nested = {}, {}, []
    for n, fold in enumerate(objective.folds):
        others = _without(everywhere, n)
        met = [row for other in others for row in objective.folds[other].labels.row_ids]
        refuse_self_judged(fitted_on("a searched blend", met), fold.labels.row_ids)
        by_fold[fold.number], _ = searching.settled(others)
        recipes[fold.number] = space.made(by_fold[fold.number])
        nested.append(executed(recipes[fold.number], [fold]))
    recipe, held_out = space.made(choice), joined(nested)
    searched = judge(labels, executed(recipe, objective.folds)).macro
    honest = judge(labels, held_out).macro
    recipe = replace(recipe, searched=searched, score=honest)
    return Found(choice, recipe, searched, held_out, honest, by_fold, recipes, shrunk, objective.tried)


class _Searching:
    """Choices made on some folds, each made once however often it is asked for."""

    def __init__(self, objective: Objective, method: str, home: Home | None, labels: Labels, seed: int):
        self.objective, self.method, self.home, self.labels, self.seed = objective, METHODS[method], home, labels, seed
        self._chosen: dict[Numbers, Choice] = {}
        self._homes: dict[Numbers, Sequence[float]] = {}

    def settled(self, chosen: Numbers) -> tuple[Choice, float | None]:
        """The choice made on those folds alone, weights shrunk by as much as helps on each of them left out."""
        if self.home is None:
            return self._best(chosen), None
        held_out = []
        for strength in SHRINKAGE:
            won = np.zeros_like(self.objective.won(self.objective.space.start))
            for n in chosen:
                won[n] = self.objective.won(self._shrunk(_without(chosen, n), strength))[n]
            held_out.append(self.objective.of_tally(won, chosen))
        strength = max(zip(held_out, SHRINKAGE, strict=True))[1]  # of equals the strongest
        return self._shrunk(chosen, strength), strength

    def _shrunk(self, chosen: Numbers, strength: float) -> Choice:
        best = self._best(chosen)
        if chosen not in self._homes:
            rows = [row for n in chosen for row in self.objective.folds[n].labels.row_ids]
            self._homes[chosen] = self.home(self.labels.take(rows))
        return Choice(towards(best.weights, self._homes[chosen], strength), best.values)

    def _best(self, chosen: Numbers) -> Choice:
        """The method's choice; the same folds and seed give the same."""
        if chosen not in self._chosen:
            self._chosen[chosen] = self.method(self.objective, self.objective.space.start, chosen, self.seed)
        return self._chosen[chosen]


def _without(chosen: Numbers, n: int) -> Numbers:
    return tuple(other for other in chosen if other != n)
