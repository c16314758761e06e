"""Recipes: members, mixes and post-processing steps of a blend. 06 executes a recipe and makes no decision by itself.

A recipe is a list of mixes. Each takes members, or mixes made before it, and the last one is the result. Steps are
applied to a part before it is mixed, or to the mix itself. A sidecar is a step too: a member that may move the ranks.

A recipe is fitted on labels. It also holds its variant without each fold's labels, so that pseudo-labels of that
fold's soundscapes can be made without leakage.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from lib.blend.mix import SPACES, check_weights, mix, percentile_ranks
from lib.blend.sidecar.apply import AnchorKept
from lib.blend.steps.registry import STEPS, apply_step
from lib.competition.scores import Scores
from lib.core.errors import BadInput


@dataclass(frozen=True)
class RecipeMember:
    """A member of a recipe: its manifest, its cost, and the score that the blend would lose without it."""

    name: str
    manifest: str
    seconds_per_soundscape: float  # of its own
    shared: dict[str, float] = field(default_factory=dict)  # embedder -> its seconds, spent once for all who need it
    required: bool = True  # an optional member is left out, with an alarm, if it is absent, damaged or too slow
    value: float = 0.0  # the out-of-fold score that would be lost without it


@dataclass(frozen=True)
class Step:
    """A post-processing step and its parameters; those called `member…` name members or mixes whose scores it reads."""

    name: str
    parameters: dict


@dataclass(frozen=True)
class Part:
    """One input of a mix: a member or an earlier mix, its weight, and its own steps before it is mixed."""

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
    """The blended scores, and an alarm for each step that was not applied."""

    scores: Scores
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """`recipes/<name>.json`. `prior` scores undecodable soundscapes; `score` is nested, `searched_score` is not.

    `by_fold` holds the mixes fitted without that fold's labels, `fold_only_members` the members that only these use.
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
    searched_score: float | None = None
    by_fold: dict[str, list[Mix]] = field(default_factory=dict)
    fold_only_members: list[RecipeMember] = field(default_factory=list)

    def __post_init__(self):
        names = [member.name for member in self.members]
        all_names = [*names, *(member.name for member in self.fold_only_members)]
        errors = [f"{name} twice" for name in dict.fromkeys(all_names) if all_names.count(name) > 1]
        errors += _mix_errors(self.mixes, names)
        for fold, mixes in self.by_fold.items():
            errors += [f"{error}, without fold {fold}" for error in _mix_errors(mixes, all_names)]
        needed = {member.name for member in self.members if member.required}
        errors += [] if self.prior in needed else [f"no prior {self.prior!r} that is required"]
        errors += [] if len(self.interval) == 2 else [f"an interval of {len(self.interval)} numbers"]
        if errors:
            raise BadInput(
                f"recipe {self.name} is not usable",
                expected="members, mixes and steps by their names",
                got="; ".join(errors),
                do="run 05 again",
            )

    @property
    def weights(self) -> dict[str, float]:
        """Each member's total weight in the last mix, through all mixes; without sidecars and class weights."""
        return self.weights_for("")

    def weights_for(self, label: str) -> dict[str, float]:
        """Each member's total weight in that class, through all mixes; without sidecars."""
        inside: dict[str, dict[str, float]] = {member.name: {member.name: 1.0} for member in self.members}
        for each in self.mixes:
            inside[each.name] = {}
            weights = each.class_weights.get(label, [part.weight for part in each.parts])
            for part, weight in zip(each.parts, weights, strict=True):
                for name, share in inside[part.name].items():
                    inside[each.name][name] = inside[each.name].get(name, 0.0) + weight * share
        return {member.name: inside[self.mixes[-1].name].get(member.name, 0.0) for member in self.members}

    def without_costs(self) -> "Recipe":
        """The recipe without its members' seconds, which were measured: what decides scores."""
        members, fold_only_members = (
            [replace(member, seconds_per_soundscape=0.0, shared={}) for member in those]
            for those in (self.members, self.fold_only_members)
        )
        return replace(self, members=members, fold_only_members=fold_only_members)

    @property
    def weighted_classes(self) -> list[str]:
        """The classes that a mix has weights of their own for."""
        return list(dict.fromkeys(label for each in self.mixes for label in each.class_weights))

    def refuse_absent(self, available: Collection[str]) -> None:
        """Raise BadInput if a member that the recipe requires is not among the available ones."""
        needed = [member.name for member in self.members if member.required]
        if absent := [name for name in needed if name not in available]:
            raise BadInput(
                f"recipe {self.name} requires members that are missing",
                expected=", ".join(needed),
                got=f"no {', '.join(absent)}; there are {', '.join(sorted(available)) or 'none'}",
                do="attach the outputs of 02 to 04, or run 05 again",
            )

    def for_fold(self, fold: int | str) -> "Recipe":
        """The recipe's variant fitted without that fold's labels; a recipe without one is an error."""
        if str(fold) not in self.by_fold:
            raise BadInput(
                f"recipe {self.name} is fitted on the labels of fold {fold}, and has no variant without them",
                expected="its mixes without that fold's labels",
                got=f"those of folds {[*self.by_fold]}",
                do="run 05 again",
            )
        members = [*self.members, *self.fold_only_members]
        return replace(self, members=members, mixes=self.by_fold[str(fold)], by_fold={}, fold_only_members=[])

    def without(self, dropped: Collection[str]) -> "Recipe":
        """The recipe without some members: the other weights rescaled in proportion, and no step that reads them."""
        members, fold_only_members = (
            [member for member in those if member.name not in dropped]
            for those in (self.members, self.fold_only_members)
        )
        by_fold = {fold: _without(mixes, dropped) for fold, mixes in self.by_fold.items()}
        by_fold = {fold: mixes for fold, mixes in by_fold.items() if mixes}
        mixes = _without(self.mixes, dropped)
        return replace(self, members=members, mixes=mixes, by_fold=by_fold, fold_only_members=fold_only_members)

    def execute(self, scores: Mapping[str, Scores]) -> BlendResult:
        """Blend the members' scores by all mixes; the last mix is the result."""
        self.refuse_absent(scores)
        available, alarms = dict(scores), list[str]()
        for each in self.mixes:
            parts = [self._apply_steps(part.steps, available[part.name], available, alarms) for part in each.parts]
            weights = [part.weight for part in each.parts]
            mean = mix(parts, weights, space=each.space, class_weights=each.class_weights)
            available[each.name] = self._apply_steps(each.steps, mean, available, alarms)
        return BlendResult(available[self.mixes[-1].name], tuple(alarms))

    def _apply_steps(
        self, steps: list[Step], scores: Scores, available: Mapping[str, Scores], alarms: list[str]
    ) -> Scores:
        """The scores after the steps; a sidecar that may not move them leaves them unchanged and adds an alarm."""
        for step in steps:
            try:
                scores = apply_step(scores, step.name, step.parameters, available)
            except AnchorKept as kept:
                scores = percentile_ranks(scores)  # what would have been corrected
                alarms.append(f"{step.name} {' '.join(_inputs_of(step))}: the anchor is kept, {kept}")
        return scores


def _mix_errors(mixes: list[Mix], names: Collection[str]) -> list[str]:
    """A description of each error in mixes of members of these names."""
    available, errors = set(names), [] if mixes else ["no mix"]
    for each in mixes:
        check_weights([part.weight for part in each.parts])
        for weights in each.class_weights.values():
            check_weights(weights)
        needed = {part.name for part in each.parts} | {name for step in _steps(each) for name in _inputs_of(step)}
        errors += [f"{each.name} needs {name}" for name in sorted(needed - available)]
        errors += [f"{each.name} has an unknown step {step.name}" for step in _steps(each) if step.name not in STEPS]
        errors += [f"{each.name} mixes in {each.space!r}"] if each.space not in SPACES else []
        errors += [f"{each.name} twice"] if each.name in available else []
        available.add(each.name)
    return errors


def _without(mixes: list[Mix], dropped: Collection[str]) -> list[Mix]:
    """The mixes without some members: the other weights rescaled in proportion, no step that reads them."""
    gone, remaining = set(dropped), []
    for each in mixes:
        kept = [n for n, part in enumerate(each.parts) if part.name not in gone]
        shares = _shares([each.parts[n].weight for n in kept])
        if not shares:
            gone.add(each.name)
            continue
        parts = [
            replace(each.parts[n], weight=share, steps=_steps_without(each.parts[n].steps, gone))
            for n, share in zip(kept, shares, strict=True)
        ]
        of_class = {label: _shares([weights[n] for n in kept]) for label, weights in each.class_weights.items()}
        of_class = {label: weights or shares for label, weights in of_class.items()}
        remaining.append(replace(each, parts=parts, steps=_steps_without(each.steps, gone), class_weights=of_class))
    return remaining


def _steps(one: Mix) -> list[Step]:
    """All steps of a mix and of its parts."""
    return [*one.steps, *(step for part in one.parts for step in part.steps)]


def _inputs_of(step: Step) -> list[str]:
    """The members or mixes whose scores the step reads."""
    return [f"{name}" for parameter, name in step.parameters.items() if parameter.startswith("member")]


def _steps_without(steps: list[Step], gone: set[str]) -> list[Step]:
    """The steps that do not read any of the given members or mixes."""
    return [step for step in steps if not gone.intersection(_inputs_of(step))]


def _shares(weights: list[float]) -> list[float]:
    """The weights rescaled to sum one; an empty list if all are zero."""
    total = sum(weights)
    return [weight / total for weight in weights] if total > 0 else []
