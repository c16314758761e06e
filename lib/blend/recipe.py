"""The recipe: which members, mixed how, followed by which steps. 06 executes it and decides nothing by itself.

A recipe is a list of mixes. Each takes members, or mixes made before it, and the last one is the answer. Steps follow a
part before it is mixed, or the mix itself. A sidecar is a step too: a member that may move what is already there.

A recipe knows the labels that it was made with. What it would be without a fold's labels it carries along, so that it
may speak of that fold's soundscapes to whoever learns from it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib.blend.mix import SPACES, check_weights, mix, percentile_ranks
from lib.blend.sidecar.apply import AnchorKept
from lib.blend.steps.registry import STEPS, apply_step
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.records import from_json, read_json, to_json, write_json

RECIPES = ("safe", "bold")  # always both: one that searches nothing, and one that takes what did best


@dataclass(frozen=True)
class RecipeMember:
    """A member as it was when the recipe was made: what it costs, and what the blend would lose without it."""

    name: str
    manifest: str
    seconds_per_soundscape: float  # of its own
    shared: dict[str, float] = field(default_factory=dict)  # embedder -> its seconds, spent once for all who need it
    required: bool = True  # one that is not may be left out, with an alarm, when it is absent, damaged or too slow
    value: float = 0.0  # the out-of-fold score that would be lost without it


@dataclass(frozen=True)
class Step:
    """A post-processing step and its parameters; those called `member…` name whose scores the step looks at."""

    name: str
    parameters: dict


@dataclass(frozen=True)
class Part:
    """What goes into a mix: a member or an earlier mix, its weight, and steps of its own before it is mixed."""

    name: str
    weight: float
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Mix:
    """Parts blended in a space; `class_weights` replaces the parts' weights for the classes it names."""

    name: str
    space: str
    parts: list[Part]
    steps: list[Step] = field(default_factory=list)
    class_weights: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class BlendResult:
    """What a recipe makes of its members' scores, and what it could not do."""

    scores: Scores
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """`recipes/<name>.json`. `prior` scores what cannot be heard; `score` is honest, `searched` was searched on.

    `by_fold` holds the mixes as they are without that fold's labels; `set_aside` are members that only these need.
    """

    name: str
    class_hash: str
    fold_version: str
    members: list[RecipeMember]
    mixes: list[Mix]
    prior: str
    score: float
    interval: list[float]
    scored_classes: int
    searched: float | None = None
    by_fold: dict[str, list[Mix]] = field(default_factory=dict)
    fold_only_members: list[RecipeMember] = field(default_factory=list)

    def __post_init__(self):
        names = [member.name for member in self.members]
        everyone = [*names, *(member.name for member in self.fold_only_members)]
        faults = [f"{name} twice" for name in dict.fromkeys(everyone) if everyone.count(name) > 1]
        faults += _faults(self.mixes, names)
        for fold, mixes in self.by_fold.items():
            faults += [f"{fault}, without fold {fold}" for fault in _faults(mixes, everyone)]
        needed = {member.name for member in self.members if member.required}
        faults += [] if self.prior in needed else [f"no prior {self.prior!r} that is required"]
        if faults:
            raise BadInput(
                f"recipe {self.name} is not usable",
                expected="members, mixes and steps by their names",
                got="; ".join(faults),
                do="make it anew by 05",
            )

    @property
    def weights(self) -> dict[str, float]:
        """What each member weighs in the end, through all mixes; sidecars and class weights apart."""
        inside: dict[str, dict[str, float]] = {member.name: {member.name: 1.0} for member in self.members}
        for made in self.mixes:
            inside[made.name] = {}
            for part in made.parts:
                for name, share in inside[part.name].items():
                    inside[made.name][name] = inside[made.name].get(name, 0.0) + part.weight * share
        return {member.name: inside[self.mixes[-1].name].get(member.name, 0.0) for member in self.members}

    def refuse_absent(self, have: Collection[str]) -> None:
        """Refuse to go on when a member that the recipe requires is not among those at hand."""
        needed = [member.name for member in self.members if member.required]
        if absent := [name for name in needed if name not in have]:
            raise BadInput(
                f"recipe {self.name} requires members that are not there",
                expected=", ".join(needed),
                got=f"no {', '.join(absent)}; there are {', '.join(sorted(have)) or 'none'}",
                do="attach the outputs of 02 to 04, or make the recipe anew by 05",
            )

    def for_fold(self, fold: int) -> "Recipe":
        """The recipe as it is without that fold's labels; one that does not know is an error."""
        if str(fold) not in self.by_fold:
            raise BadInput(
                f"recipe {self.name} knows the labels of fold {fold}, so it may not teach there",
                expected="its mixes without that fold's labels",
                got=f"those of folds {[*self.by_fold]}",
                do="make it anew by 05",
            )
        members = [*self.members, *self.fold_only_members]
        return replace(self, members=members, mixes=self.by_fold[str(fold)], by_fold={}, fold_only_members=[])

    def without(self, dropped: Collection[str]) -> "Recipe":
        """The recipe without some members: the other weights in proportion, and no step that looked at them."""
        members, fold_only_members = (
            [member for member in those if member.name not in dropped]
            for those in (self.members, self.fold_only_members)
        )
        by_fold = {fold: _without(mixes, dropped) for fold, mixes in self.by_fold.items()}
        by_fold = {fold: mixes for fold, mixes in by_fold.items() if mixes}
        mixes = _without(self.mixes, dropped)
        return replace(self, members=members, mixes=mixes, by_fold=by_fold, fold_only_members=fold_only_members)

    def execute(self, scores: Mapping[str, Scores]) -> BlendResult:
        """The last mix of the members' scores."""
        self.refuse_absent(scores)
        known, alarms = dict(scores), []
        for made in self.mixes:
            parts = [self._through(part.steps, known[part.name], known, alarms) for part in made.parts]
            mixed = mix(parts, [part.weight for part in made.parts], space=made.space, class_weights=made.class_weights)
            known[made.name] = self._through(made.steps, mixed, known, alarms)
        return BlendResult(known[self.mixes[-1].name], tuple(alarms))

    def _through(self, steps: list[Step], scores: Scores, known: Mapping[str, Scores], alarms: list[str]) -> Scores:
        """The scores after the steps; a sidecar that may not move them leaves them as they were, and says why."""
        for step in steps:
            try:
                scores = apply_step(scores, step.name, step.parameters, known)
            except AnchorKept as kept:
                scores = percentile_ranks(scores)  # what would have been corrected
                alarms.append(f"{step.name} {' '.join(_looks_at(step))}: the anchor is kept, {kept}")
        return scores


def _faults(mixes: list[Mix], names: Collection[str]) -> list[str]:
    """What is wrong with mixes of members of these names."""
    known, faults = set(names), [] if mixes else ["no mix"]
    for made in mixes:
        check_weights([part.weight for part in made.parts])
        for weights in made.class_weights.values():
            check_weights(weights)
        wanted = {part.name for part in made.parts} | {name for step in _steps(made) for name in _looks_at(step)}
        faults += [f"{made.name} wants {name}" for name in sorted(wanted - known)]
        faults += [f"{made.name} knows no step {step.name}" for step in _steps(made) if step.name not in STEPS]
        faults += [f"{made.name} mixes in {made.space!r}"] if made.space not in SPACES else []
        faults += [f"{made.name} twice"] if made.name in known else []
        known.add(made.name)
    return faults


def _without(mixes: list[Mix], dropped: Collection[str]) -> list[Mix]:
    """The mixes that are left without some members: the other weights in proportion, no step that looked at them."""
    gone, left = set(dropped), []
    for made in mixes:
        kept = [n for n, part in enumerate(made.parts) if part.name not in gone]
        shares = _shares([made.parts[n].weight for n in kept])
        if not shares:
            gone.add(made.name)
            continue
        parts = [
            replace(made.parts[n], weight=share, steps=_blind(made.parts[n].steps, gone))
            for n, share in zip(kept, shares, strict=True)
        ]
        of_class = {label: _shares([weights[n] for n in kept]) for label, weights in made.class_weights.items()}
        of_class = {label: weights or shares for label, weights in of_class.items()}
        left.append(replace(made, parts=parts, steps=_blind(made.steps, gone), class_weights=of_class))
    return left


def _steps(made: Mix) -> list[Step]:
    """All steps of a mix and of its parts."""
    return [*made.steps, *(step for part in made.parts for step in part.steps)]


def _looks_at(step: Step) -> list[str]:
    """The members or mixes whose scores the step looks at."""
    return [name for parameter, name in step.parameters.items() if parameter.startswith("member")]


def _blind(steps: list[Step], gone: set[str]) -> list[Step]:
    """The steps without those that looked at somebody who is gone."""
    return [step for step in steps if not gone.intersection(_looks_at(step))]


def _shares(weights: list[float]) -> list[float]:
    """The weights in proportion, with sum one; none where all are nothing."""
    total = sum(weights)
    return [weight / total for weight in weights] if total > 0 else []


def save_recipe(folder: Path, recipe: Recipe) -> None:
    """Write `<name>.json` into the folder."""
    write_json(folder / f"{recipe.name}.json", to_json(recipe))


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file, checked."""
    data = read_json(path)
    by_fold = {
        fold: [from_json(Mix, made, f"{path.name}, without fold {fold}") for made in mixes]
        for fold, mixes in data.get("by_fold", {}).items()
    }
    return from_json(Recipe, data | {"by_fold": by_fold}, path.name)


def load_recipes(folder: Path) -> list[Recipe]:
    """All recipes of a folder: safe and bold, then those made from templates."""
    paths = [path for path in folder.glob("*.json") if path.name != "manifest.json"]
    order = {name: n for n, name in enumerate(RECIPES)}
    return [load_recipe(path) for path in sorted(paths, key=lambda path: (order.get(path.stem, len(order)), path.stem))]
