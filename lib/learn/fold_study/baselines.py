"""Small variants of L0 and L1 ("ideas"), robust or fragile by construction, to compare families of folds and replays.

A fragile idea predicts from where or when a recording was made instead of from what calls. Folds are good when they
rank it below the robust ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import logit

from lib.competition.classes import ClassList
from lib.competition.fold_families import fold_of_rows
from lib.competition.folds import Folds
from lib.competition.scores import Scores, concat_scores
from lib.learn.baseline.logistic import LogisticSettings, fit_logistic
from lib.learn.fold_study.features import BaselineData, SoundscapeFeatures
from lib.models.member.prior import PriorSettings, fit_prior
from lib.sound.descriptors import FRONT_END

BaselineModel = Callable[[SoundscapeFeatures], np.ndarray]  # (soundscapes, 12, classes) logits
SHIPPED = PriorSettings()
LOOKUP = PriorSettings(windows_hour=1e-3, windows_site=1e-3, windows_site_hour=1e-3, hour_sigma=0.3)
HOURS = PriorSettings(windows_site=1e6, windows_site_hour=1e6)  # so strong that sites do not count


@dataclass(frozen=True)
class LinearBaseline:
    """Logistic regression on descriptors."""

    clip_weight: float = 0.3  # a clip's window against a labelled window; 0 leaves clips out
    window_weight: float = 1.0
    l2: float = 1.0
    level_only: bool = False  # only the mean level of each band: the place's background
    max_iterations: int = 20

    def fit(self, data: BaselineData) -> BaselineModel:
        """Fit the model."""
        columns = slice(FRONT_END.n_mels if self.level_only else None)
        features = np.concatenate([data.features, data.clip_features])[:, columns]
        targets = np.concatenate([data.truth, data.clip_truth])
        cells = np.concatenate([np.full(data.truth.shape, self.window_weight), self.clip_weight * data.clip_known])
        used = cells.any(axis=1)
        settings = LogisticSettings(l2=self.l2, max_iterations=self.max_iterations)
        model = fit_logistic(features[used], targets[used], cells[used], settings)
        return lambda sounds: model.logits(sounds.features[..., columns])


@dataclass(frozen=True)
class NearestWindow:
    """A memoriser: distance to the nearest labelled window with the class, against the nearest without."""

    def fit(self, data: BaselineData) -> BaselineModel:
        """Remember the labelled windows."""
        centre, spread = data.features.mean(axis=0), data.features.std(axis=0) + 1e-6
        known = (data.features - centre) / spread

        def model(sounds: SoundscapeFeatures) -> np.ndarray:
            queries = ((sounds.features - centre) / spread).reshape(-1, known.shape[1])
            near = queries @ known.T - 0.5 * np.square(known).sum(axis=1)  # half the squared distance, negative
            values = np.zeros((len(queries), data.truth.shape[1]))
            for column in np.flatnonzero(data.truth.any(axis=0) & ~data.truth.all(axis=0)):
                mark = data.truth[:, column]
                values[:, column] = near[:, mark].max(axis=1) - near[:, ~mark].max(axis=1)
            return values.reshape(*sounds.features.shape[:2], -1) / known.shape[1]

        return model


@dataclass(frozen=True)
class SiteHourRates:
    """Frequencies of classes by site and hour."""

    settings: PriorSettings = SHIPPED

    def fit(self, data: BaselineData) -> BaselineModel:
        """Fit the tables; the model returns their logits."""
        windows = data.windows
        prior = fit_prior(windows.site.tolist(), windows.hour.tolist(), data.truth, self.settings)
        return lambda sounds: logit(np.clip([prior.windows(item) for item in sounds.soundscapes], 1e-4, 1 - 1e-4))


BaselinePart = LinearBaseline | NearestWindow | SiteHourRates


@dataclass(frozen=True)
class Idea:
    """Parts whose logits are added, and a smoothing over a soundscape's windows."""

    name: str
    fragile: bool
    parts: tuple[BaselinePart, ...]
    sigma: float = 0.0


_LEVEL = LinearBaseline(clip_weight=0.0, l2=1e-2, level_only=True)
BASELINE = "sound"
IDEAS = (
    Idea(BASELINE, False, (LinearBaseline(),)),
    Idea("sound, strongly shrunk", False, (LinearBaseline(l2=10.0),)),
    Idea("sound, smoothed", False, (LinearBaseline(),), sigma=1.0),
    Idea("sound without clips", False, (LinearBaseline(clip_weight=0.0),)),
    Idea("sound without clips, smoothed", False, (LinearBaseline(clip_weight=0.0),), sigma=1.0),
    Idea("sound and prior", False, (LinearBaseline(), SiteHourRates())),
    Idea("sound and hours", False, (LinearBaseline(), SiteHourRates(HOURS)), sigma=1.0),
    Idea("clips only", False, (LinearBaseline(window_weight=0.0),)),
    Idea("prior", False, (SiteHourRates(),)),
    Idea("hours", False, (SiteHourRates(HOURS),)),
    Idea("level of the background", True, (_LEVEL,)),
    Idea("nearest window", True, (NearestWindow(),)),
    Idea("lookup of site and hour", True, (SiteHourRates(LOOKUP),)),
    Idea("sound and lookup", True, (LinearBaseline(), SiteHourRates(LOOKUP))),
    Idea("nearest window and lookup", True, (NearestWindow(), SiteHourRates(LOOKUP))),
    Idea("level and lookup", True, (_LEVEL, SiteHourRates(LOOKUP))),
)


def limit_iterations(idea: Idea, max_iterations: int) -> Idea:
    """Return the idea with so many iterations in each linear part."""
    parts = [
        replace(part, max_iterations=max_iterations) if isinstance(part, LinearBaseline) else part
        for part in idea.parts
    ]
    return replace(idea, parts=tuple(parts))


def predict_ideas(ideas: tuple[Idea, ...], data: BaselineData, sounds: SoundscapeFeatures) -> dict[str, np.ndarray]:
    """(soundscapes, 12, classes) logits of `sounds` by each idea, fitted on all data; each part is fitted once."""
    logits = {part: part.fit(data)(sounds) for part in dict.fromkeys(part for idea in ideas for part in idea.parts)}
    values = {idea.name: sum((logits[part] for part in idea.parts), start=np.zeros(())) for idea in ideas}
    return {
        idea.name: gaussian_filter1d(values[idea.name], idea.sigma, axis=1, mode="nearest")
        if idea.sigma
        else values[idea.name]
        for idea in ideas
    }


def idea_out_of_fold(
    ideas: tuple[Idea, ...],
    data: BaselineData,
    sounds: SoundscapeFeatures,
    classes: ClassList,
    folds: Folds,
    held: list[int],
) -> dict[str, Scores]:
    """Scores of the labelled windows that the named folds hold out, each by a model fitted without that fold."""
    fold_of_row = fold_of_rows(folds, data.windows)
    found: dict[str, list[Scores]] = {idea.name: [] for idea in ideas}
    for fold in held:
        rows = tuple(data.windows.row_id[fold_of_row == fold])
        others = data.subset(fold_of_row != fold, (data.clips.filename.map(folds.of("clip")) != fold).to_numpy())
        for name, values in predict_ideas(ideas, others, sounds).items():
            found[name].append(sounds.scores(values, classes).take(rows))
    return {name: concat_scores(parts) for name, parts in found.items()}
