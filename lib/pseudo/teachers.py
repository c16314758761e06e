"""Who teaches, and how their words become one: a weighted mean of chances, or the order that a recipe gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lib.blend.recipe import Recipe
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import to_json


@dataclass(frozen=True)
class TeacherBlend:
    """Members and their weights; or a recipe, which says for each fold what it would be without that fold's labels."""

    weights: Mapping[str, float]
    recipe: Recipe | None = None

    def __post_init__(self):
        weights = self.weights.values()
        if not self.recipe and not (sum(weights) > 0 and all(0 <= weight < float("inf") for weight in weights)):
            raise BadInput(
                "nobody teaches",
                expected="members with weights, none below zero, some above",
                got=dict(self.weights),
                do="name teachers",
            )

    @classmethod
    def of_member(cls, name: str) -> "TeacherBlend":
        """One member alone."""
        return cls({name: 1.0})

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> "TeacherBlend":
        """The blend that a recipe is without the labels of the fold it teaches."""
        return cls({}, recipe)

    @property
    def members(self) -> list[str]:
        """Whoever must be heard."""
        if not self.recipe:
            return [name for name, weight in self.weights.items() if weight > 0]
        return [member.name for member in [*self.recipe.members, *self.recipe.fold_only_members]]

    @property
    def spoken(self) -> dict[str, float]:
        """What each weighs; a recipe's own weights, which may differ from fold to fold."""
        return self.recipe.weights if self.recipe else {name: self.weights[name] for name in self.members}

    def made_with(self, name: str) -> str | None:
        """The manifest of the member that a recipe was made with; whoever has a weight may be any of that name."""
        known = [*self.recipe.members, *self.recipe.fold_only_members] if self.recipe else []
        return next((member.manifest for member in known if member.name == name), None)

    def mixed(self, fold: int, parts: Mapping[str, Scores]) -> tuple[np.ndarray, tuple[str, ...]]:
        """(rows, classes) chances of what the members' models of this fold say; and what a recipe could not do.

        A recipe gives the order of a class's rows, the mean of its members the values: a student wants chances.
        """
        if not self.recipe:
            return _mean(self.weights, parts), ()
        blind = self.recipe.for_fold(fold)
        mean, outcome = _mean(blind.weights, parts), blind.execute(dict(parts))
        return in_order(mean, outcome.scores.values), outcome.alarms

    def described(self) -> dict:
        """Everything that decides how they are mixed, as JSON."""
        return {"recipe": to_json(self.recipe)} if self.recipe else {"weights": dict(self.weights)}


def in_order(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(rows, classes) each column's values, the largest where the order's is; where that ties, they stay in theirs."""
    placed = np.empty_like(values)
    for column, (own, wanted) in enumerate(zip(values.T, order.T, strict=True)):
        placed[np.lexsort((own, wanted)), column] = np.sort(own)
    return placed


def _mean(weights: Mapping[str, float], parts: Mapping[str, Scores]) -> np.ndarray:
    """(rows, classes) float32 the weighted mean of probabilities."""
    named = {name: weight for name, weight in weights.items() if weight > 0}
    total = sum(named.values())
    return sum(np.float32(weight / total) * parts[name].values for name, weight in named.items())


def parse_teachers(text: str, recipes: Callable[[str], Recipe]) -> TeacherBlend:
    """Who is named in "a, b:2": members with weights, 1 where none is said; or in "recipe:safe": a recipe's blend."""
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
                do="mend the weight",
            ) from error
    return TeacherBlend(weights)
