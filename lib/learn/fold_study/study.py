"""Fold study: fit ideas in families of folds, and compare their out-of-fold scores with scores on unseen recordings."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.competition.fold_families import FAMILIES, fold_of_rows, shadow_split
from lib.competition.folds import Folds
from lib.competition.prepared import Prepared
from lib.competition.scores import Labels, Scores
from lib.competition.tables import window_labels
from lib.core.errors import BadInput, shorten
from lib.judge.studies.replay import ReplaySettings, replay_subset
from lib.learn.fold_study.baselines import IDEAS, idea_out_of_fold, limit_iterations, predict_ideas
from lib.learn.fold_study.features import BaselineData, SoundscapeFeatures, describe_soundscapes, gather_baseline_data

PRIMARY = "hybrid"
REPLAY_ITERATIONS = 6


@dataclass(frozen=True, eq=False)
class FoldStudy:
    """Data that ideas are fitted on, and labelled recordings that no model sees, taken as the truth."""

    prepared: Prepared
    data: BaselineData
    sounds: SoundscapeFeatures
    truth: Labels
    truth_sounds: SoundscapeFeatures
    where: str  # a description of the truth's recordings

    @property
    def classes(self) -> ClassList:
        """The contest's classes."""
        return self.prepared.classes

    def folds(self, family: str) -> Folds:
        """Assign folds by a family, as many and with the same seed as the frozen ones."""
        numbers, seed = self.prepared.folds.numbers, self.prepared.facts.seed
        assign = FAMILIES[family]
        return assign(self.prepared.clips, self.data.windows, self.classes, n_folds=len(numbers), seed=seed)

    def labels(self, folds: Folds) -> Labels:
        """The labelled windows, each fold a stratum."""
        windows = self.data.windows
        return replace(window_labels(windows, self.classes), strata=fold_of_rows(folds, windows))

    def true_scores(self) -> dict[str, Scores]:
        """Each idea's scores of the truth's recordings, fitted on all data."""
        found = predict_ideas(IDEAS, self.data, self.truth_sounds)
        return {name: self.truth_sounds.scores(values, self.classes) for name, values in found.items()}

    def cross_validate(self, family: str) -> tuple[Labels, dict[str, Scores]]:
        """Full validation: the labels within the family's folds, and each idea's out-of-fold scores."""
        folds = self.folds(family)
        labels = self.labels(folds)
        held = np.unique(labels.strata).tolist()
        return labels, idea_out_of_fold(IDEAS, self.data, self.sounds, self.classes, folds, held)

    def replay(self, settings: ReplaySettings) -> tuple[Labels, dict[str, Scores]]:
        """A replay of it: part of the primary folds, of the soundscapes, of the clips and of the iterations."""
        folds = self.folds(PRIMARY)
        labels = self.labels(folds)
        windows, clips = self.data.windows, self.data.clips
        subset = replay_subset(self.prepared.clips, windows, labels.strata, settings)
        small = self.data.subset(
            windows.stem.isin(subset.stems).to_numpy(), clips.filename.isin(subset.clips).to_numpy()
        )
        ideas = tuple(limit_iterations(idea, REPLAY_ITERATIONS) for idea in IDEAS)
        scores = idea_out_of_fold(ideas, small, self.sounds, self.classes, folds, list(subset.folds))
        return labels.take(next(iter(scores.values())).row_ids), scores


def load_baseline_data(prepared: Prepared, competition: Path) -> tuple[SoundscapeFeatures, BaselineData]:
    """Load the descriptors of all labelled soundscapes, and the training data from them and from clips."""
    sounds, unreadable = describe_soundscapes(competition / "train_soundscapes", sorted(set(prepared.windows.stem)))
    if unreadable:
        raise BadInput(
            "labelled soundscapes cannot be decoded",
            expected="readable soundscapes",
            got=shorten(unreadable),
            do="run 01_data_prep again: it excludes them",
        )
    return sounds, gather_baseline_data(prepared, sounds, competition)


def study_on_hidden_test(prepared: Prepared, competition: Path, test: Path, solution: Labels) -> FoldStudy:
    """A study against the hidden test's soundscapes in `test`, without those that cannot be decoded."""
    sounds, data = load_baseline_data(prepared, competition)
    test_sounds, unreadable = describe_soundscapes(test, sorted({row.rpartition("_")[0] for row in solution.row_ids}))
    where = "the hidden test" + (f", without the undecodable {shorten(unreadable)}" if unreadable else "")
    labels = solution.take([row for row in solution.row_ids if row.rpartition("_")[0] not in unreadable])
    return FoldStudy(prepared, data, sounds, labels, test_sounds, where)


def study_on_shadow_split(prepared: Prepared, competition: Path) -> FoldStudy:
    """A study whose truth is the labelled windows of the shadow split's sites, on which nothing is fitted."""
    sounds, data = load_baseline_data(prepared, competition)
    hidden = fold_of_rows(shadow_split(prepared.clips, prepared.windows), prepared.windows) == 0
    sites = sorted(set(prepared.windows.site[hidden]))
    labels = window_labels(prepared.windows[hidden], prepared.classes)
    everything = np.ones(len(data.clips), dtype=bool)
    where = f"the shadow split, {' and '.join(sites)}"
    return FoldStudy(prepared, data.subset(~hidden, everything), sounds, labels, sounds, where)
