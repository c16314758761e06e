"""The engine: open a recipe's members, and blend their scores into ranks of all rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.blend.mix import percentile_ranks
from lib.blend.recipe import BlendResult, Recipe, RecipeMember
from lib.competition.classes import ClassList
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores, concat_scores
from lib.core.daemon_threads import in_daemon_thread
from lib.core.errors import BadInput, shorten
from lib.core.records import check_seal, identity_of
from lib.models.member.open import Member, open_member
from lib.submit.soundscape import prior_table
from lib.submit.stream import StreamResult

_OPEN_S = 300.0  # the largest embedder opens in seconds


@dataclass(frozen=True, eq=False)
class OpenedRecipe:
    """A recipe's opened members and their folders, the recipe restricted to them, and why others are unavailable."""

    recipe: Recipe
    usable_recipe: Recipe
    members: dict[str, Member]
    unavailable: dict[str, str]
    folders: dict[str, Path] = field(default_factory=dict)

    @property
    def alarms(self) -> list[str]:
        """One sentence for each member that could not be opened."""
        return [f"{name} is left out from the start: {reason}" for name, reason in self.unavailable.items()]


def open_prior(recipe: Recipe, folders: Sequence[Path], classes: ClassList) -> Member:
    """The recipe's prior alone: with it a first submission is written before anything else is opened."""
    classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
    return _open(next(member for member in recipe.members if member.name == recipe.prior), folders, classes)[1]


def open_members(recipe: Recipe, folders: Sequence[Path], classes: ClassList) -> OpenedRecipe:
    """Open the recipe's members one by one; an absent, damaged or different one is an error, or if optional left out.

    The folders are those of the members' names, in any number: a member is the one with the recipe's fingerprint.
    """
    classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
    recipe.refuse_absent({folder.name for folder in folders})
    _try_out(recipe, classes)
    members, paths, unavailable = {}, {}, {}
    for member in recipe.members:
        try:
            paths[member.name], members[member.name] = _open_in_time(member, folders, classes)
        except BadInput as error:
            if member.required:
                raise
            unavailable[member.name] = " ".join(f"{error}".split())
    return OpenedRecipe(recipe, recipe.without(unavailable) if unavailable else recipe, members, unavailable, paths)


def _open_in_time(member: RecipeMember, folders: Sequence[Path], classes: ClassList) -> tuple[Path, Member]:
    """As `_open`; one that hangs is an error."""
    try:
        return in_daemon_thread(_open, member, folders, classes).result(_OPEN_S)
    except TimeoutError as error:
        raise BadInput(
            f"member {member.name} hangs while it is opened",
            expected=f"its golden output within {_OPEN_S:.0f} s",
            got="no answer",
            do="export it again, or make the recipe without it",
        ) from error


def _open(member: RecipeMember, folders: Sequence[Path], classes: ClassList) -> tuple[Path, Member]:
    """The first undamaged folder with the fingerprint in the recipe, and the member opened from it."""
    identities = {folder: _identity(folder) for folder in folders if folder.name == member.name}
    failure = BadInput(
        f"member {member.name} is not the one of the recipe" if identities else f"no member {member.name}",
        expected=f"its folder among the inputs, with the manifest {member.manifest}",
        got="; ".join(f"{folder}: {identity}" for folder, identity in identities.items())
        or f"those of {shorten(sorted({folder.name for folder in folders})) or 'none'}",
        do="attach the output that holds it, or run 05 again after changing a member",
    )
    for folder in [folder for folder, identity in identities.items() if identity == member.manifest]:
        try:
            check_seal(folder)
            return folder, open_member(folder, classes)
        except BadInput as error:
            failure = error
        except Exception as error:  # what is wrong with a folder can make a library raise anything
            failure = BadInput(
                f"member {member.name} cannot be opened",
                expected=f"the files in {folder} as 02 to 04 write them",
                got=f"{type(error).__name__}: {error}",
                do="run the notebook that makes it again",
            )
    raise failure


def _identity(folder: Path) -> str:
    """The folder's fingerprint, or the reason why it has none."""
    try:
        return identity_of(folder)
    except BadInput as error:
        return f"a damaged manifest.json ({error.got})"


def _try_out(recipe: Recipe, classes: ClassList) -> None:
    """Refuse a recipe that cannot be executed, before any time is spent: blend made-up scores of three soundscapes."""
    rows = tuple(row for number in range(3) for row in row_ids(f"BC2026_Test_{number:04d}_S01_20260101_000000"))
    random = np.random.default_rng(0)
    scores = {
        member.name: Scores(random.random((len(rows), len(classes)), dtype=np.float32), rows, classes.labels, "prob")
        for member in recipe.members
    }
    try:
        recipe.execute(scores)
    except Exception as error:  # parameters of steps can be wrong in any way
        raise BadInput(
            f"recipe {recipe.name} cannot be executed",
            expected="members, weights and steps as 05 writes them",
            got=f"{type(error).__name__}: {' '.join(f'{error}'.split())}",
            do="run 05 again",
        ) from error


def prior_scores(rows: Sequence[str], prior: Member, classes: ClassList) -> Scores:
    """The prior's probabilities for any rows, from their names alone: the first valid submission."""
    stems = list(dict.fromkeys(row.rpartition("_")[0] for row in rows))
    tables = [prior_table(prior, stem) for stem in stems]
    values = np.concatenate(tables) if tables else np.zeros((0, len(classes)))
    all_rows = tuple(row for stem in stems for row in row_ids(stem))
    return Scores(values, all_rows, classes.labels, "prob").take(rows)


def execute(recipe: Recipe, result: StreamResult) -> BlendResult:
    """The recipe's ranks of all rows; rows of soundscapes without scores take the prior's ranks among all rows."""
    prior = percentile_ranks(result.prior)
    alarms: list[str] = []
    scored = {row for part in result.member_scores.values() for row in part.row_ids}
    scores = prior
    if scored and (usable := _without_dropped(recipe, result, alarms)):
        blend = usable.execute(result.member_scores)
        alarms += blend.alarms
        unscored = [row for row in prior.row_ids if row not in scored]
        # Ranks again, whatever the last mix was: the prior's rows stand beside them, and only order is scored.
        scores = concat_scores([percentile_ranks(blend.scores), prior.take(unscored)]).take(prior.row_ids)
    if len(scored) > 0 and (flat := flat_classes(scores)):
        alarms.append(f"the same for all rows in {len(flat)} of {len(scores.classes)} classes: {shorten(flat)}")
    return BlendResult(scores, tuple(alarms))


def _without_dropped(recipe: Recipe, result: StreamResult, alarms: list[str]) -> Recipe | None:
    """The recipe of the remaining members; None, with an alarm, if none of those with a weight remains."""
    if not result.dropped:
        return recipe
    try:
        return recipe.without(result.dropped)
    except BadInput:
        alarms.append("no member with a weight is left: all rows take the prior's ranks")
        return None


def flat_classes(scores: Scores) -> list[str]:
    """The classes that have the same score in all rows, if there is more than one row."""
    if len(scores.row_ids) < 2:
        return []
    return np.array(scores.classes)[np.ptp(scores.values, axis=0) == 0].tolist()
