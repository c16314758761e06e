"""Baseline members: L0, site and hour rates, and L1, linear models on classical descriptors, cross-fitted."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from lib.competition.prepared import Prepared, clip_targets
from lib.competition.row_ids import WINDOW_S, parse_soundscape
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.judge.leakage import crossfit_training
from lib.learn.baseline.logistic import LogisticModel, LogisticSettings, fit_logistic
from lib.learn.member_writer import empty_folder, median_seconds, score_held_out, write_member
from lib.models.export.linear import export_linear
from lib.models.member.averaging import average_folds, served_models
from lib.models.member.card import MemberCard
from lib.models.member.golden_output import golden_sound
from lib.models.member.prior import Prior, PriorSettings, fit_prior
from lib.models.runtime.onnx import OnnxSession
from lib.sound.decode import decode, loudest_windows, soundscape_windows
from lib.sound.descriptors import FRONT_END, sound_statistics

_PARITY_LIMIT = 1e-4
_INPUTS, _OUTPUTS = ["features"], ["prob"]


@dataclass(frozen=True)
class ClassicalSettings:
    """The training rows of L1: how many windows a clip gives, and what they weigh."""

    windows_per_clip: int = 3
    clip_weight: float = 0.3  # a clip's window against a labelled soundscape window


def fit_prior_member(prepared: Prepared, folder: Path, settings: PriorSettings) -> MemberCard:
    """Fit L0, site and hour rates; write the member and return its card. Inference uses the rates of all folds."""
    windows, truth = prepared.windows, prepared.labels.values
    fold_of_window = windows.stem.map(prepared.folds.of("soundscape")).to_numpy()

    def fit(rows: np.ndarray) -> Prior:
        return fit_prior(windows.site[rows].tolist(), windows.hour[rows].tolist(), truth[rows], settings)

    models = {fold: fit(fold_of_window != fold) for fold in prepared.folds.numbers}
    (full,) = served_models("prior", models, refit=lambda: fit(np.ones(len(windows), dtype=bool)))
    empty_folder(folder)
    full.save(folder / "prior.npz")
    for fold, model in models.items():
        model.save(folder / f"fold{fold}.npz")
    return write_member(
        folder,
        prepared,
        score_held_out(prepared, lambda stem, fold: models[fold].windows(parse_soundscape(stem))),
        crossfit_training(prepared.folds),
        family="prior",
        config={"prior": asdict(settings)},
        seed=prepared.facts.seed,
        inputs=[],
        outputs=[],
        seconds=median_seconds(lambda stem: full.windows(parse_soundscape(stem)), sorted(set(windows.stem))),
        parity=0.0,
    )


def fit_statistics_member(
    prepared: Prepared, competition: Path, folder: Path, classical: ClassicalSettings, logistic: LogisticSettings
) -> MemberCard:
    """Fit L1, linear models on classical descriptors; write the member and return its card."""
    stems = sorted(set(prepared.windows.stem))
    of_stem = {
        stem: _soundscape_statistics(competition, stem)
        for stem in progress(stems, "describing soundscapes", len(stems))
    }
    rows = _training_rows(prepared, competition, of_stem, classical)
    models = {
        fold: rows.fit_without(fold, logistic)
        for fold in progress(prepared.folds.numbers, "fitting folds", len(prepared.folds.numbers))
    }
    graphs = {"model": served_models("statistics", models)} | {f"fold{fold}": [model] for fold, model in models.items()}
    empty_folder(folder)
    for name, averaged in graphs.items():
        export_linear(folder / f"{name}.onnx", averaged)
    served = OnnxSession(folder / "model.onnx", inputs=_INPUTS, outputs=_OUTPUTS)
    golden = sound_statistics(soundscape_windows(golden_sound()))
    return write_member(
        folder,
        prepared,
        score_held_out(prepared, lambda stem, fold: expit(models[fold].logits(of_stem[stem]))),
        crossfit_training(prepared.folds),
        family="statistics",
        config={"front_end": asdict(FRONT_END), "classical": asdict(classical), "logistic": asdict(logistic)},
        seed=prepared.facts.seed,
        inputs=_INPUTS,
        outputs=_OUTPUTS,
        seconds=median_seconds(lambda stem: served.run(features=_soundscape_statistics(competition, stem)), stems),
        parity=max(_parity(folder / f"{name}.onnx", averaged, rows.features) for name, averaged in graphs.items()),
        golden_output=average_folds("statistics", [model.logits(golden) for model in graphs["model"]])[None],
    )


@dataclass(frozen=True, eq=False)
class _TrainingRows:
    """Labelled soundscape windows and windows of clips, one after the other."""

    features: np.ndarray  # (rows, features)
    targets: np.ndarray  # (rows, classes) bool
    weights: np.ndarray  # (rows, classes)
    fold_of: np.ndarray  # (rows,) the fold that holds the row out

    def fit_without(self, fold: int, settings: LogisticSettings) -> LogisticModel:
        """The linear model of all rows that the fold does not hold out."""
        own = self.fold_of != fold
        return fit_logistic(self.features[own], self.targets[own], self.weights[own], settings)


def _training_rows(
    prepared: Prepared, competition: Path, of_stem: dict[str, np.ndarray], classical: ClassicalSettings
) -> _TrainingRows:
    """The training rows of L1; `of_stem` holds the (12, features) of each labelled soundscape."""
    clips, clip_of_row, clip_features = _clip_statistics(prepared, competition, classical.windows_per_clip)
    end_index = prepared.windows.end_s.to_numpy() // WINDOW_S - 1
    soundscapes = np.stack([of_stem[stem][end] for stem, end in zip(prepared.windows.stem, end_index, strict=True)])
    primary, cells = clip_targets(prepared, clips, classical.clip_weight)
    fold_of_window = prepared.windows.stem.map(prepared.folds.of("soundscape"))
    fold_of_clip = clips.filename.map(prepared.folds.of("clip")).to_numpy()
    return _TrainingRows(
        np.concatenate([soundscapes, clip_features]),
        np.concatenate([prepared.labels.values, primary[clip_of_row]]),
        np.concatenate([np.ones(prepared.labels.values.shape), cells[clip_of_row]]),
        np.concatenate([fold_of_window, fold_of_clip[clip_of_row]]),
    )


def _soundscape_statistics(competition: Path, stem: str) -> np.ndarray:
    """(12, features) float32 descriptors of a soundscape's windows."""
    return sound_statistics(soundscape_windows(decode(competition / "train_soundscapes" / f"{stem}.ogg")))


def _clip_statistics(prepared: Prepared, competition: Path, most: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The clips, the clip of each row, and (rows, features) descriptors of the clips' loudest windows."""
    clips = prepared.clips.reset_index(drop=True)
    parts = [
        sound_statistics(loudest_windows(decode(competition / "train_audio" / name), most))
        for name in progress(clips.filename, "describing clips", len(clips))
    ]
    return clips, np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)


def _parity(path: Path, models: list[LogisticModel], features: np.ndarray) -> float:
    """The largest difference between the exported graph and the fitted models, which must be small."""
    probs = OnnxSession(path, inputs=_INPUTS, outputs=_OUTPUTS).run(features=features.astype(np.float32))[0]
    expected = average_folds("statistics", [model.logits(features) for model in models])
    worst = float(np.abs(probs - expected).max())
    if not worst <= _PARITY_LIMIT:
        raise BadInput(
            "the exported model differs from the fitted one",
            expected=f"at most {_PARITY_LIMIT}",
            got=worst,
            do="fix lib/models/export/linear.py: its graph computes something else than LogisticModel.logits",
        )
    return worst
