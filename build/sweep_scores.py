"""What a sweep's runs stored, as scores on one set of labelled windows, each shown never to have met them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import project  # noqa: F401  makes lib importable
from sweep_record import RunRecord

from lib.competition.errors import BadInput
from lib.competition.places import find_one
from lib.competition.prepared import Prepared, load_prepared
from lib.competition.scores import Labels, Scores
from lib.judge.metric import class_auc
from lib.judge.provenance import unseen_scores
from lib.models.card import read_card


@dataclass(frozen=True, eq=False)
class Stored:
    """By a run's id: its scores on the labels' rows, and its seconds a soundscape."""

    prepared: Prepared
    labels: Labels
    scores: dict[str, Scores]
    seconds: dict[str, float]

    def per_fold(self, run: str) -> dict[str, float]:
        """The run's score in each fold over all classes that the fold can score: the same ones for every run."""
        values, found = self.scores[run].take(self.labels.row_ids).values, {}
        for fold in np.unique(self.labels.strata):
            auc = class_auc(self.labels.values[self.labels.strata == fold], values[self.labels.strata == fold])
            if np.isfinite(auc).any():
                found[str(fold)] = float(np.nanmean(auc))
        return found


def stored(folder: Path, sweep: Mapping, records: Sequence[RunRecord]) -> tuple[Stored | None, list[str]]:
    """The members that the runs made, and a sentence for each that cannot be used; None where there is none."""
    made = [record for record in records if record.member]
    if not made:
        return None, []
    try:
        inputs = sweep.get("fixed", {}).get("inputs_dir") or folder.parents[1]
        prepared = load_prepared(find_one("prepared", str(inputs)))
    except BadInput as error:
        return None, [f"Gains cannot be held against the labels: {error.what} ({error.do})."]
    related, scores, seconds, notes = prepared.related, {}, {}, []
    for record in made:
        member = folder / record.member
        try:
            scores[record.id] = unseen_scores(member, prepared.folds, related=related)
            seconds[record.id] = read_card(member, prepared.classes).seconds_per_soundscape
        except (BadInput, OSError) as error:
            scores.pop(record.id, None)
            notes.append(f"Run {record.number} is not compared by its scores: {str(error).splitlines()[0]}.")
    if not scores:
        return None, notes
    labels = prepared.labels
    for each in scores.values():
        labels = labels.held_by(each)
    return Stored(prepared, labels, scores, seconds), notes
