"""Stored scores of a sweep's runs on one set of labelled windows, each proved never to have been trained on them.

A run of 02 to 04 stores a member. One of 05 stores recipes: they are executed on the members that the run read, in each
fold as they would be without that fold's labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from build.sweeps.record import MEMBERS, RunRecord
from build.sweeps.runs import output_of
from lib.blend.costs import seconds_together
from lib.blend.recipe import RecipeMember
from lib.blend.recipe_file import load_recipe
from lib.blend.search.nested import variant_scores
from lib.competition.prepared import Prepared, load_prepared
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.core.paths import find_artifact, folders_below, manifest_kind
from lib.core.records import identity_of
from lib.judge.leakage import load_oof_scores
from lib.judge.metric import class_auc
from lib.models.member.card import read_card


@dataclass(frozen=True, eq=False)
class StoredScores:
    """Scores on the labels' rows and seconds a soundscape, by a run's id."""

    prepared: Prepared
    labels: Labels
    scores: dict[str, Scores]
    seconds: dict[str, float]

    def per_fold(self, run: str) -> dict[str, float]:
        """The run's score in each fold over all classes that the fold can score: the same ones for every run."""
        values, found = self.scores[run].take(self.labels.row_ids).values, {}
        strata = np.asarray(self.labels.strata)
        for fold in np.unique(strata):
            auc = class_auc(self.labels.values[strata == fold], values[strata == fold])
            if np.isfinite(auc).any():
                found[str(fold)] = float(np.nanmean(auc))
        return found


def load_stored_scores(
    folder: Path, sweep: Mapping, records: Sequence[RunRecord]
) -> tuple[StoredScores | None, list[str]]:
    """The runs' stored scores, and a sentence for each that cannot be used; None where nothing is stored."""
    made = [(record, place) for record in records if (place := _place(folder, sweep, record))]
    if not made:
        return None, []
    try:
        reader = _Reader(Path(sweep["fixed"].get("inputs_dir") or folder.parents[1]))
    except BadInput as error:
        return None, [f"Gains cannot be held against the labels: {error.what} ({error.do})."]
    scores, seconds, notes = {}, {}, []
    for record, place in made:
        try:
            scores[record.id], seconds[record.id] = reader.recipe(place) if place.is_file() else reader.member(place)
        except (BadInput, OSError) as error:
            notes.append(f"Run {record.number} is not compared by its scores: {str(error).splitlines()[0]}.")
    if not scores:
        return None, notes
    labels = reader.prepared.labels
    for each in scores.values():
        labels = labels.restrict_to(each)
    return StoredScores(reader.prepared, labels, scores, seconds), notes


def _place(folder: Path, sweep: Mapping, record: RunRecord) -> Path | None:
    """The member's folder, or the recipe's file, that the run was judged by; None where it stored neither."""
    if record.member:
        return folder / record.member
    line, recipes = record.line(sweep["metric"]), output_of(folder, record.id, Path(sweep["notebook"])) / "recipes"
    return next((path for tag in (line.tags if line else ()) if (path := recipes / f"{tag}.json").is_file()), None)


class _Reader:
    """Reads the members and recipes of runs, among the inputs that they had."""

    def __init__(self, inputs: Path):
        self.prepared = load_prepared(find_artifact("prepared", str(inputs)))
        here = [folder for folder in folders_below(inputs, depth=6) if manifest_kind(folder) == "member"]
        self._inputs: dict[str, Path] = {folder.name: folder for folder in here}
        self._read: dict[Path, Scores] = {}

    def member(self, folder: Path) -> tuple[Scores, float]:
        """A member's scores of rows that neither it nor its teachers were trained on, and its seconds a soundscape."""
        beside = [each for kind in MEMBERS for each in folder.parents[1].glob(f"{kind}/*")]
        others = self._inputs | {each.name: each for each in beside}
        scores = load_oof_scores(folder, self.prepared.folds, related=self.prepared.related, others=others)
        return scores, read_card(folder, self.prepared.classes).measured.seconds_per_soundscape

    def recipe(self, file: Path) -> tuple[Scores, float]:
        """A recipe's scores, each fold's without that fold's labels, and its seconds a soundscape."""
        recipe, prepared = load_recipe(file), self.prepared
        prepared.classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
        parts = {part.name: self._part(part) for part in [*recipe.members, *recipe.fold_only_members]}
        return variant_scores(recipe, parts, prepared.labels), seconds_together(recipe.members)

    def _part(self, wanted: RecipeMember) -> Scores:
        """The scores of a recipe's member, which must be the very one that the recipe was made with."""
        folder = self._inputs.get(wanted.name)
        manifest = identity_of(folder) if folder else "none"
        if folder is None or manifest != wanted.manifest:
            raise BadInput(
                f"member {wanted.name} is not the one of the recipe",
                expected=f"manifest {wanted.manifest}",
                got=manifest,
                do="run the sweep again",
            )
        if folder not in self._read:
            self._read[folder] = self.member(folder)[0]
        return self._read[folder]
