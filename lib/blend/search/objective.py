"""The objective of a search: the macro AUC of a candidate on any folds, exact, and cheap enough for thousands of calls.

If the result is a weighted sum of ranks, pairs are counted (lib/judge/pair_counting.py). Otherwise the recipe is
executed once for each candidate: the pairs it wins are kept by fold, so that other folds cost only a sum.
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
    """A recipe with the same result for any weights of the mix, and folds that hold its precomputed inputs.

    A search over weights need not rank its members again: earlier mixes, and the mix's parts after their own steps,
    are among the folds' scores. Ranks are in single precision here, so windows that the recipe itself ties may differ
    slightly.
    """
    target, at = mix_of(recipe, mix), [one.name for one in recipe.mixes].index(mix)
    earlier = [replace(recipe, mixes=recipe.mixes[: n + 1]) for n in range(at)]
    before = {one.mixes[-1].name: one for one in earlier}
    before |= {_name(n): _single_part(recipe, at, n) for n in range(len(target.parts))}
    parts = [Part(_name(n), part.weight) for n, part in enumerate(target.parts)]
    # the parts are ranks already, and a mix in space prob takes ranks as they are
    space = "prob" if target.space == "rank" else target.space
    members = [*recipe.members, *(RecipeMember(name, "precomputed", 0.0) for name in before)]
    mixes = [replace(target, parts=parts, space=space), *recipe.mixes[at + 1 :]]
    done = [{name: one.execute(fold.parts).scores for name, one in before.items()} for fold in folds]
    precomputed = [replace(fold, parts=fold.parts | scores) for fold, scores in zip(folds, done, strict=True)]
    return replace(recipe, members=members, mixes=mixes), precomputed


def fixed_parts(recipe: Recipe, mix: str, fold: EvaluationFold) -> list[Scores]:
    """The parts of a mix of a recipe from `precompute_fixed_parts`, as the mix's space reads them."""
    return [fold.parts[part.name] for part in mix_of(recipe, mix).parts]


def _single_part(recipe: Recipe, at: int, n: int) -> Recipe:
    """The recipe that ends with one part of that mix, after the part's own steps, as the mix's space reads it."""
    mix = recipe.mixes[at]
    single = Mix(mix.name, mix.space, [replace(mix.parts[n], weight=1.0)])
    return replace(recipe, mixes=[*recipe.mixes[:at], single])


def _name(n: int) -> str:
    return f"(part {n})"


FoldIndices = tuple[int, ...]  # positions in the list of folds

_COARSE = RANK_SCALE // 20  # permille between the points of a line, if each point is an execution


@dataclass(eq=False)
class Objective:
    """The macro AUC of a space's candidates on any of the folds."""

    space: SearchSpace
    folds: list[EvaluationFold]
    evaluated: int = 0  # candidates scored so far, those on a line counted one by one
    _won: dict[Candidate, np.ndarray] = field(default_factory=dict)
    _counters: dict[tuple, PairCounter] = field(default_factory=dict)
    _precomputed: dict[tuple, tuple[Recipe, list[EvaluationFold]]] = field(default_factory=dict)

    def scores(self, candidates: Sequence[Candidate], fold_indices: FoldIndices) -> np.ndarray:
        """(candidates,) the macro AUC of each on these folds."""
        self.evaluated += len(candidates)
        if not self.counts_pairs:
            return np.array([self.macro_of(self.won_pairs(candidate), fold_indices) for candidate in candidates])
        out = np.empty(len(candidates))
        for values in dict.fromkeys(candidate.values for candidate in candidates):
            here = [n for n, candidate in enumerate(candidates) if candidate.values == values]
            out[here] = self._counter(values, fold_indices).macro_many(np.array([candidates[n].permille for n in here]))
        return out

    def line(
        self, candidate: Candidate, giver: int, taker: int, fold_indices: FoldIndices
    ) -> tuple[np.ndarray, np.ndarray]:
        """(steps,) permille moved from one part to another, and (steps,) the macro AUC; exact at every step."""
        if self.counts_pairs:
            moved, macro = self._counter(candidate.values, fold_indices).exchange(candidate.permille, giver, taker)
            self.evaluated += len(moved)
            return moved, macro
        low, high = -candidate.permille[taker], candidate.permille[giver]
        moved = np.unique([*range(low, high + 1, _COARSE), 0, high])
        return moved, self.scores([exchange_weight(candidate, giver, taker, int(step)) for step in moved], fold_indices)

    @property
    def counts_pairs(self) -> bool:
        """True if weights can be scored by counting pairs of ranks."""
        return is_plain_rank_blend(self.space.recipe, self.space.mix)

    def won_pairs(self, candidate: Candidate) -> np.ndarray:
        """(folds, classes) the pairs that the candidate's recipe wins, executed."""
        if candidate not in self._won:
            recipe, folds = self._precompute(candidate.values)
            self._won[candidate] = count_won_pairs(with_weights(recipe, self.space.mix, candidate.weights), folds)
        return self._won[candidate]

    def macro_of(self, won_pairs: np.ndarray, fold_indices: FoldIndices) -> float:
        """The macro AUC of (folds, classes) won pairs, on these folds."""
        return macro_of_won_pairs(won_pairs[list(fold_indices)], [self.folds[n] for n in fold_indices])

    def _counter(self, values: tuple[float, ...], fold_indices: FoldIndices) -> PairCounter:
        """The pair counter of these folds, ranks within each fold, with the parameters at these values."""
        key = (values, fold_indices)
        if key not in self._counters:
            refuse_unscored([self.folds[n] for n in fold_indices])
            scored = [n for n in fold_indices if self.folds[n].pairs.any()]
            self._counters[key] = merge_counters([self._counter_of_fold(values, n) for n in scored])
        return self._counters[key]

    def _counter_of_fold(self, values: tuple[float, ...], n: int) -> PairCounter:
        key = (values, n)
        if key not in self._counters:
            recipe, folds = self._precompute(values)
            self._counters[key] = make_pair_counter(folds[n].labels, fixed_parts(recipe, self.space.mix, folds[n]))
        return self._counters[key]

    def _precompute(self, values: tuple[float, ...]) -> tuple[Recipe, list[EvaluationFold]]:
        """The recipe with the parameters at these values, and folds with its inputs of the free mix precomputed."""
        if values not in self._precomputed:
            recipe = self.space.recipe_with(Candidate(self.space.start.permille, values))
            # only the last one is kept: ranges have no end of values
            self._precomputed = {values: precompute_fixed_parts(recipe, self.space.mix, self.folds)}
        return self._precomputed[values]


def exchange_weight(candidate: Candidate, giver: int, taker: int, permille: int) -> Candidate:
    """The candidate after one part gave that much of its weight to another."""
    weights = list(candidate.permille)
    weights[giver] -= permille
    weights[taker] += permille
    return Candidate(tuple(weights), candidate.values)


def merge_counters(counters: list[PairCounter]) -> PairCounter:
    """One counter of several folds: pairs within each, ranks as each fold has them."""
    classes = tuple(dict.fromkeys(name for counter in counters for name in counter.classes))
    pairs, segments, ups, downs = np.zeros(len(classes), dtype=np.int64), [], 0, 0
    for counter in counters:
        column = np.array([classes.index(name) for name in counter.classes], dtype=np.int64)
        pairs[column] += counter.pairs
        moved = counter.segments + np.array([0, ups, ups, downs, downs])
        moved[:, 0] = column[counter.segments[:, 0]]
        segments.append(moved)
        ups, downs = ups + counter.positives.shape[1], downs + counter.negatives.shape[1]
    positives = np.concatenate([counter.positives for counter in counters], axis=1)
    negatives = np.concatenate([counter.negatives for counter in counters], axis=1)
    return PairCounter(classes, positives, negatives, np.concatenate(segments), pairs)
