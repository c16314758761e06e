"""Teachers and how their predictions are blended: a weighted mean of probabilities, or a recipe's order of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lib.blend.recipe import Recipe
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import to_json


@dataclass(frozen=True)
class TeacherBlend:
    """Members and their weights; or a recipe, which has a version for each fold, fitted without that fold's labels."""

    weights: Mapping[str, float]
    recipe: Recipe | None = None

    def __post_init__(self):
        weights = self.weights.values()
        if not self.recipe and not (sum(weights) > 0 and all(0 <= weight < float("inf") for weight in weights)):
            raise BadInput(
                "there is no teacher",
                expected="members with weights, none below zero, some above",
                got=dict(self.weights),
                do="set teachers=small_sed, for instance",
            )

    @classmethod
    def of_member(cls, name: str) -> "TeacherBlend":
        """The blend of one member alone."""
        return cls({name: 1.0})

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> "TeacherBlend":
        """The blend of a recipe, for each fold without that fold's labels."""
        return cls({}, recipe)

    @property
    def members(self) -> list[str]:
        """The names of all members whose predictions are needed."""
        if not self.recipe:
            return [name for name, weight in self.weights.items() if weight > 0]
        return [member.name for member in [*self.recipe.members, *self.recipe.fold_only_members]]

    @property
    def weight_by_member(self) -> dict[str, float]:
        """The weight of each member; a recipe's overall weights, which may differ from fold to fold."""
        return self.recipe.weights if self.recipe else {name: self.weights[name] for name in self.members}

    def recipe_manifest(self, name: str) -> str | None:
        """The manifest of the member that a recipe was made with; None for plain weights, which fit any of its name."""
        known = [*self.recipe.members, *self.recipe.fold_only_members] if self.recipe else []
        return next((member.manifest for member in known if member.name == name), None)

    def combine(self, fold: int, parts: Mapping[str, Scores]) -> tuple[np.ndarray, tuple[str, ...]]:
        """(rows, classes) blended probabilities of the members' models of this fold; and a recipe's alarms.

        A recipe gives the order of a class's rows, the mean of its members the values: students train on probabilities.
        """
        if not self.recipe:
            return _weighted_mean(self.weights, parts), ()
        of_fold = self.recipe.for_fold(fold)
        mean, outcome = _weighted_mean(of_fold.weights, parts), of_fold.execute(dict(parts))
        return match_ranks(mean, outcome.scores.values), outcome.alarms

    def as_json(self) -> dict:
        """Everything that decides the blend, as JSON."""
        return {"recipe": to_json(self.recipe.without_costs())} if self.recipe else {"weights": dict(self.weights)}


def match_ranks(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(rows, classes) each column's values in the order of `order`'s ranks; where that ties, in their own."""
    placed = np.empty_like(values)
    for column, (own, wanted) in enumerate(zip(values.T, order.T, strict=True)):
        placed[np.lexsort((own, wanted)), column] = np.sort(own)
    return placed


def _weighted_mean(weights: Mapping[str, float], parts: Mapping[str, Scores]) -> np.ndarray:
    """(rows, classes) float32 the weighted mean of probabilities."""
    named = {name: weight for name, weight in weights.items() if weight > 0}
    total = sum(named.values())
    shares = (np.float32(weight / total) * parts[name].values for name, weight in named.items())
    return np.asarray(sum(shares))


def parse_teachers(text: str, recipes: Callable[[str], Recipe]) -> TeacherBlend:
    """The blend of "a, b:2": members with weights, 1 where none is given; or of "recipe:safe": a recipe."""
    if text.startswith("recipe:"):
        return TeacherBlend.of_recipe(recipes(text.removeprefix("recipe:")))
    weights: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, colon, weight = part.partition(":")
        try:
            weights[name] = float(weight) if colon else 1.0
        except ValueError as error:
            raise BadInput(
                "teachers cannot be read",
                expected="names with weights, as in a,b:2; or recipe:safe",
                got=part,
                do="set a number as weight, as in small_sed:2",
            ) from error
    return TeacherBlend(weights)
