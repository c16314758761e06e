"""The engine: open a recipe's members, and blend their scores into ranks of all rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.blend.mix import percentile_ranks
from lib.blend.recipe import BlendResult, Recipe, RecipeMember
from lib.competition.classes import ClassList
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores, concat_scores
from lib.core.errors import BadInput, shorten
from lib.core.records import check_seal
from lib.models.member.open import Member, open_member
from lib.submit.soundscape import prior_table
from lib.submit.stream import StreamResult


@dataclass(frozen=True, eq=False)
class OpenedRecipe:
    """A recipe's opened members, the recipe restricted to them, and the reasons why others are unavailable."""

    recipe: Recipe
    usable_recipe: Recipe
    members: dict[str, Member]
    unavailable: dict[str, str]

    @property
    def alarms(self) -> list[str]:
        """One sentence for each member that could not be opened."""
        return [f"{name} is left out from the start: {reason}" for name, reason in self.unavailable.items()]


def open_members(recipe: Recipe, folders: Sequence[Path], classes: ClassList) -> OpenedRecipe:
    """Open the recipe's members; an absent, damaged or different one is an error, or is left out if optional."""
    classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
    by_name = {folder.name: folder for folder in folders}
    recipe.refuse_absent(by_name)
    members, unavailable = {}, {}
    for member in recipe.members:
        try:
            members[member.name] = _open(member, by_name, classes)
        except Exception as error:  # what is wrong with a damaged folder can be anything
            if member.required:
                raise
            unavailable[member.name] = " ".join(f"{error}".split())
    return OpenedRecipe(recipe, recipe.without(unavailable) if unavailable else recipe, members, unavailable)


def _open(member: RecipeMember, by_name: dict[str, Path], classes: ClassList) -> Member:
    """The opened member, if its manifest is the one in the recipe."""
    if member.name not in by_name:
        raise BadInput(
            f"no member {member.name}",
            expected="its folder among the inputs",
            got=shorten(sorted(by_name)) or "none",
            do="attach the notebook output that holds it",
        )
    manifest = check_seal(by_name[member.name])
    if manifest != member.manifest:
        raise BadInput(
            f"member {member.name} is not the one of the recipe",
            expected=f"manifest {member.manifest}",
            got=manifest,
            do="run 05 again after changing a member",
        )
    return open_member(by_name[member.name], classes)


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
