"""The engine: soundscapes in, each decoded once, each member's scores out; a file that cannot be read is an alarm."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np

from lib.blend.ranks import percentile_ranks
from lib.blend.recipe import Recipe
from lib.competition.classes import ClassList
from lib.competition.errors import BadInput
from lib.competition.names import parse_soundscape, row_ids
from lib.competition.progress import progress
from lib.competition.records import check_seal
from lib.competition.scores import Scores, joined
from lib.models.hearing import Hearing
from lib.models.members import Member, open_member
from lib.sound.decode import UnreadableAudio, decode


@dataclass(frozen=True, eq=False)
class Heard:
    """What the members made of the soundscapes: scores of what could be read, the prior's of all, and the alarms."""

    parts: dict[str, Scores]
    prior: Scores
    alarms: tuple[str, ...]


def open_members(recipe: Recipe, folders: Sequence[Path], classes: ClassList) -> dict[str, Member]:
    """The recipe's members, opened; one that is absent, or not the one the recipe was made with, is an error."""
    classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
    by_name = {folder.name: folder for folder in folders}
    recipe.refuse_absent(by_name)
    for ingredient in recipe.members:
        manifest = check_seal(by_name[ingredient.name])
        if manifest != ingredient.manifest:
            raise BadInput(
                f"member {ingredient.name} is not the one of the recipe",
                expected=f"manifest {ingredient.manifest}",
                got=manifest,
                do="run 05 again after changing a member",
            )
    return {ingredient.name: open_member(by_name[ingredient.name], classes) for ingredient in recipe.members}


def listen(files: Sequence[Path], members: dict[str, Member], prior: str, classes: ClassList) -> Heard:
    """Score the soundscapes, several at a time; the result does not depend on how many."""

    def one(file: Path) -> tuple[dict[str, np.ndarray], str]:
        soundscape = parse_soundscape(file.name)
        try:
            audio = decode(file)
        except UnreadableAudio as error:
            return {prior: members[prior].score(Hearing(soundscape, None))}, f"unreadable, scored by the prior: {error}"
        hearing = Hearing(soundscape, audio)
        return {name: member.score(hearing) for name, member in members.items()}, ""

    with ThreadPoolExecutor(cpu_count()) as pool:
        results = list(progress(pool.map(one, files), "listening", len(files)))
    readable = [(file, values) for file, (values, alarm) in zip(files, results, strict=True) if not alarm]
    parts = {name: _scores([(file, values[name]) for file, values in readable], classes) for name in members}
    everything = _scores([(file, values[prior]) for file, (values, _) in zip(files, results, strict=True)], classes)
    return Heard(parts, everything, tuple(alarm for _, alarm in results if alarm))


def execute(recipe: Recipe, heard: Heard) -> Scores:
    """The recipe's blend of all rows; rows of unreadable soundscapes take the prior's rank among all rows."""
    blended = recipe.execute(heard.parts)
    known = set(blended.row_ids)
    unheard = [row for row in heard.prior.row_ids if row not in known]
    whole = joined([blended, percentile_ranks(heard.prior).take(unheard)]) if unheard else blended
    return whole.take(heard.prior.row_ids)


def prior_scores(row_ids_asked: Sequence[str], prior: Member, classes: ClassList) -> Scores:
    """The prior's scores of any rows, from their names alone: the first valid submission."""
    stems = list(dict.fromkeys(row.rpartition("_")[0] for row in row_ids_asked))
    values = [(Path(stem), prior.score(Hearing(parse_soundscape(stem), None))) for stem in stems]
    return _scores(values, classes).take(row_ids_asked)


def _scores(values: list[tuple[Path, np.ndarray]], classes: ClassList) -> Scores:
    """(12 rows a file, classes) probabilities under one name."""
    table = np.concatenate([part for _, part in values]) if values else np.zeros((0, len(classes)))
    return Scores(table, [row for file, _ in values for row in row_ids(file.stem)], classes.labels, "prob")
