"""The recipe: which members, with which weights and steps. 06 executes it and decides nothing by itself."""

from dataclasses import dataclass
from pathlib import Path

from lib.blend.ranks import check_weights, rank_blend
from lib.blend.steps import STEPS, apply_step
from lib.competition.errors import BadInput
from lib.competition.records import from_json, read_json, to_json, write_json
from lib.competition.scores import Scores

RECIPES = ("safe", "bold")  # always both: one that searches nothing, and one that takes what did best


@dataclass(frozen=True)
class Ingredient:
    """One member of the blend, as it was when the recipe was made."""

    name: str
    manifest: str
    weight: float
    seconds_per_soundscape: float


@dataclass(frozen=True)
class Step:
    """One post-processing step and its parameters."""

    name: str
    parameters: dict


@dataclass(frozen=True)
class Recipe:
    """`recipes/<name>.json`. Blends are means of percentile ranks; `prior` scores what cannot be heard."""

    name: str
    class_hash: str
    fold_version: str
    members: list[Ingredient]
    steps: list[Step]
    prior: str
    score: float
    interval: list[float]
    scored_classes: int
    searched: bool

    def __post_init__(self):
        check_weights([member.weight for member in self.members])
        names = [member.name for member in self.members]
        unknown = [step.name for step in self.steps if step.name not in STEPS]
        if len(set(names)) < len(names) or self.prior not in names or unknown:
            raise BadInput(
                f"recipe {self.name} is not usable",
                expected="each member once, its prior among them, known steps",
                got=f"members {names}, prior {self.prior!r}, unknown steps {unknown}",
                do="make it anew by 05",
            )

    def refuse_absent(self, have) -> None:
        """Refuse to go on when a member that the recipe names is not among those at hand."""
        if absent := [member.name for member in self.members if member.name not in have]:
            raise BadInput(
                f"recipe {self.name} names members that are not there",
                expected=", ".join(member.name for member in self.members),
                got=f"no {', '.join(absent)}; there are {', '.join(sorted(have)) or 'none'}",
                do="attach the outputs of 02 to 04, or make the recipe anew by 05",
            )

    def execute(self, parts: dict[str, Scores]) -> Scores:
        """The blend of the members' scores after all steps, as ranks."""
        self.refuse_absent(parts)
        scores = rank_blend([parts[m.name] for m in self.members], [m.weight for m in self.members])
        for step in self.steps:
            scores = apply_step(scores, step.name, step.parameters)
        return scores


def save_recipe(folder: Path, recipe: Recipe) -> None:
    """Write `<name>.json` into the folder."""
    write_json(folder / f"{recipe.name}.json", to_json(recipe))


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file, checked."""
    return from_json(Recipe, read_json(path), path.name)
