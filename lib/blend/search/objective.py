"""How good a choice is on some folds: exact, and cheap enough to ask thousands of times.

Where the answer is a weighted sum of ranks, pairs are counted (lib/judge/pair_counting.py). Elsewhere the recipe is executed,
once for each choice: the pairs it wins are kept by fold, so that asking again on other folds costs a sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lib.blend.evaluate import EvaluationFold, count_won_pairs, macro_of_won_pairs, refuse_unscored
from lib.blend.recipe import Mix, Part, Recipe, RecipeMember
from lib.blend.search.space import Candidate, SearchSpace, is_plain_rank_blend, mix_of, with_weights
from lib.competition.scores import Scores
from lib.judge.pair_counting import RANK_SCALE, PairCounter, make_pair_counter


def precompute_fixed_parts(
    recipe: Recipe, mix: str, folds: list[EvaluationFold]
) -> tuple[Recipe, list[EvaluationFold]]:
    """A recipe with the same answer whatever the mix's weights are set to, and the folds with scores to begin with.

    All that comes before the mix is among the scores: mixes made earlier, and the mix's parts after their own steps.
    Ranks are in single precision here, so windows that the recipe itself ties may come out a hair apart.
    """
    made, at = mix_of(recipe, mix), [one.name for one in recipe.mixes].index(mix)
    earlier = [replace(recipe, mixes=recipe.mixes[: n + 1]) for n in range(at)]
    before = {one.mixes[-1].name: one for one in earlier}
    before |= {_name(n): _alone(recipe, at, n) for n in range(len(made.parts))}
    parts = [Part(_name(n), part.weight) for n, part in enumerate(made.parts)]
    # ranks are made already, and a mix in space prob takes ranks as they are
    space = "prob" if made.space == "rank" else made.space
    members = [*recipe.members, *(RecipeMember(name, "made ready", 0.0) for name in before)]
    mixes = [replace(made, parts=parts, space=space), *recipe.mixes[at + 1 :]]
    done = [{name: one.execute(fold.parts).scores for name, one in before.items()} for fold in folds]
    ready = [replace(fold, parts=fold.parts | scores) for fold, scores in zip(folds, done, strict=True)]
    return replace(recipe, members=members, mixes=mixes), ready


def fixed_parts(recipe: Recipe, mix: str, fold: EvaluationFold) -> list[Scores]:
    """The parts of a mix of a recipe that was made ready, as the mix's space reads them."""
    return [fold.parts[part.name] for part in mix_of(recipe, mix).parts]


def _alone(recipe: Recipe, at: int, n: int) -> Recipe:
    """The recipe that ends with one part of that mix, after the part's own steps, as the mix's space reads it."""
    made = recipe.mixes[at]
    alone = Mix(made.name, made.space, [replace(made.parts[n], weight=1.0)])
    return replace(recipe, mixes=[*recipe.mixes[:at], alone])


def _name(n: int) -> str:
    return f"(part {n})"


FoldIndices = tuple[int, ...]  # of folds, by their place in the list

_COARSE = RANK_SCALE // 20  # where each point of a line is an execution, a line has these


@dataclass(eq=False)
class Objective:
    """The macro AUC of a space's choices on any of the folds."""

    space: SearchSpace
    folds: list[EvaluationFold]
    evaluated: int = 0  # choices scored so far, those on a line counted one by one
    _won: dict[Candidate, np.ndarray] = field(default_factory=dict)
    _counters: dict[tuple, PairCounter] = field(default_factory=dict)
    _ready: dict[tuple, tuple[Recipe, list[EvaluationFold]]] = field(default_factory=dict)

    def scores(self, choices: Sequence[Candidate], chosen: FoldIndices) -> np.ndarray:
        """(choices,) the macro AUC of each on the chosen folds."""
        self.evaluated += len(choices)
        if not self.counts_pairs:
            return np.array([self.of_tally(self.won_pairs(choice), chosen) for choice in choices])
        out = np.empty(len(choices))
        for values in dict.fromkeys(choice.values for choice in choices):
            here = [n for n, choice in enumerate(choices) if choice.values == values]
            out[here] = self._counter(values, chosen).many(np.array([choices[n].permille for n in here]))
        return out

    def line(self, choice: Candidate, giver: int, taker: int, chosen: FoldIndices) -> tuple[np.ndarray, np.ndarray]:
        """(steps,) thousandths moved from one part to another, and (steps,) the macro AUC; exact at every step."""
        if self.counts_pairs:
            moved, macro = self._counter(choice.values, chosen).exchange(choice.permille, giver, taker)
            self.evaluated += len(moved)
            return moved, macro
        low, high = -choice.permille[taker], choice.permille[giver]
        moved = np.unique([*range(low, high + 1, _COARSE), 0, high])
        return moved, self.scores([exchange_weight(choice, giver, taker, int(step)) for step in moved], chosen)

    @property
    def counts_pairs(self) -> bool:
        """Whether weights can be judged by counting pairs of ranks."""
        return is_plain_rank_blend(self.space.recipe, self.space.mix)

    def won_pairs(self, choice: Candidate) -> np.ndarray:
        """(folds, classes) the pairs that the choice's recipe wins, executed."""
        if choice not in self._won:
            recipe, folds = self._made_ready(choice.values)
            self._won[choice] = count_won_pairs(with_weights(recipe, self.space.mix, choice.weights), folds)
        return self._won[choice]

    def of_tally(self, won_pairs: np.ndarray, chosen: FoldIndices) -> float:
        """The macro AUC of (folds, classes) pairs won, on the chosen folds."""
        return macro_of_won_pairs(won_pairs[list(chosen)], [self.folds[n] for n in chosen])

    def _counter(self, values: tuple[float, ...], chosen: FoldIndices) -> PairCounter:
        """The pair counter of the chosen folds, ranks within each fold, with the knobs at these values."""
        key = (values, chosen)
        if key not in self._counters:
            refuse_unscored([self.folds[n] for n in chosen])
            heard = [n for n in chosen if self.folds[n].pairs.any()]
            self._counters[key] = merge_counters([self._counter_of_fold(values, n) for n in heard])
        return self._counters[key]

    def _counter_of_fold(self, values: tuple[float, ...], n: int) -> PairCounter:
        key = (values, n)
        if key not in self._counters:
            recipe, folds = self._made_ready(values)
            self._counters[key] = make_pair_counter(folds[n].labels, fixed_parts(recipe, self.space.mix, folds[n]))
        return self._counters[key]

    def _made_ready(self, values: tuple[float, ...]) -> tuple[Recipe, list[EvaluationFold]]:
        """The recipe with the knobs at these values, and the folds, with all done that weights do not touch."""
        if values not in self._ready:
            recipe = self.space.made(Candidate(self.space.start.permille, values))
            self._ready = {
                values: precompute_fixed_parts(recipe, self.space.mix, self.folds)
            }  # one: ranges have no end of values
        return self._ready[values]


def exchange_weight(choice: Candidate, giver: int, taker: int, permille: int) -> Candidate:
    """The choice after one part gave that much of its weight to another."""
    weights = list(choice.permille)
    weights[giver] -= permille
    weights[taker] += permille
    return Candidate(tuple(weights), choice.values)


def merge_counters(counters: list[PairCounter]) -> PairCounter:
    """The counter of several folds at once: pairs within each, ranks as each fold has them."""
    classes = tuple(dict.fromkeys(name for counter in counters for name in counter.classes))
    pairs, segments, ups, downs = np.zeros(len(classes), dtype=np.int64), [], 0, 0
    for counter in counters:
        column = np.array([classes.index(name) for name in counter.classes], dtype=np.int64)
        pairs[column] += counter.pairs
        moved = counter.segments + np.array([0, ups, ups, downs, downs])
        moved[:, 0] = column[counter.segments[:, 0]]
        segments.append(moved)
        ups, downs = ups + counter.positives.shape[1], downs + counter.negatives.shape[1]
    sides = [[getattr(counter, side) for counter in counters] for side in ("positives", "negatives")]
    return PairCounter(classes, *(np.concatenate(side, axis=1) for side in sides), np.concatenate(segments), pairs)
