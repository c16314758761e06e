"""Cross-fitting L0 and L1: a model a fold, scores of what the fold holds out, and a sealed member folder."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.judge.leakage import training_on
from lib.learn.baseline.logistic import LogisticSettings, fit_logistic
from lib.learn.member_writer import seal_member
from lib.models.export.linear import export_linear
from lib.models.member.card import MemberCard
from lib.models.member.prior import PriorSettings, fit_prior
from lib.models.runtime.onnx import OnnxSession
from lib.sound.decode import decode, loudest_windows, soundscape_windows
from lib.sound.descriptors import FRONT_END, sound_statistics

_PARITY_LIMIT = 1e-4


@dataclass(frozen=True)
class ClassicalSettings:
    """How L1 uses its material."""

    windows_per_clip: int = 3
    clip_weight: float = 0.3  # a clip's window against a labelled soundscape window


def fit_prior_member(prepared: Prepared, folder: Path, settings: PriorSettings) -> MemberCard:
    """L0: site and hour rates; writes the member and returns its card."""
    windows, truth = prepared.windows, prepared.labels.values
    fold_of_window = windows.stem.map(prepared.folds.of("soundscape")).to_numpy()

    def fit(rows: np.ndarray):
        return fit_prior(windows.site[rows].tolist(), windows.hour[rows].tolist(), truth[rows], settings)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    final = fit(np.ones(len(windows), dtype=bool))
    final.save(folder / "prior.npz")
    models = {fold: fit(fold_of_window != fold) for fold in prepared.folds.numbers}
    for fold, model in models.items():
        model.save(folder / f"fold{fold}.npz")
    oof = _held_out(prepared, lambda fold, stem: models[fold].windows(parse_soundscape(stem)))
    start = time.perf_counter()
    for stem in set(windows.stem):
        final.windows(parse_soundscape(stem))
    seconds = (time.perf_counter() - start) / windows.stem.nunique()
    card = _card(
        prepared, folder.name, "prior", {"prior": asdict(settings)}, seconds, inputs=[], outputs=[], parity=0.0
    )
    seal_member(folder, card, oof, training_on(prepared.folds))
    return card


def fit_statistics_member(
    prepared: Prepared, competition: Path, folder: Path, classical: ClassicalSettings, logistic: LogisticSettings
) -> MemberCard:
    """L1: classical descriptors and linear models; writes the member and returns its card."""
    of_stem, seconds = _soundscape_statistics(competition, sorted(set(prepared.windows.stem)))
    clips, clip_of_row, clip_features = _clip_statistics(prepared, competition, classical.windows_per_clip)
    end_index = prepared.windows.end_s.to_numpy() // 5 - 1
    features = np.concatenate(
        [
            np.stack([of_stem[stem][end] for stem, end in zip(prepared.windows.stem, end_index, strict=True)]),
            clip_features,
        ]
    )
    primary, cells = clip_targets(prepared, clips, classical.clip_weight)
    targets = np.concatenate([prepared.labels.values, primary[clip_of_row]])
    weights = np.concatenate([np.ones(prepared.labels.values.shape), cells[clip_of_row]])
    fold_of = np.concatenate(
        [
            prepared.windows.stem.map(prepared.folds.of("soundscape")),
            clips.filename.map(prepared.folds.of("clip")).to_numpy()[clip_of_row],
        ]
    )
    models = {
        fold: fit_logistic(features[fold_of != fold], targets[fold_of != fold], weights[fold_of != fold], logistic)
        for fold in progress(prepared.folds.numbers, "fitting folds", len(prepared.folds.numbers))
    }
    oof = _held_out(prepared, lambda fold, stem: expit(models[fold].logits(of_stem[stem])))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    graphs = {"model": list(models.values())} | {f"fold{fold}": [model] for fold, model in models.items()}
    for name, means in graphs.items():
        export_linear(folder / f"{name}.onnx", means)
    parity = max(_parity(folder / f"{name}.onnx", means, features) for name, means in graphs.items())
    config = {"front_end": asdict(FRONT_END), "classical": asdict(classical), "logistic": asdict(logistic)}
    card = _card(
        prepared, folder.name, "statistics", config, seconds, inputs=["features"], outputs=["prob"], parity=parity
    )
    seal_member(folder, card, oof, training_on(prepared.folds))
    return card


def _held_out(prepared: Prepared, score: Callable[[int, str], np.ndarray]) -> Scores:
    """All windows of each labelled soundscape, scored by the model of the fold that holds it out."""
    fold_of = prepared.folds.of("soundscape")
    stems = sorted(fold_of)
    values = np.concatenate([score(fold_of[stem], stem) for stem in stems])
    return Scores(values, [row for stem in stems for row in row_ids(stem)], prepared.classes.labels, "prob")


def _soundscape_statistics(competition: Path, stems: list[str]) -> tuple[dict[str, np.ndarray], float]:
    """(12, features) of each labelled soundscape, and the seconds that one takes."""
    start = time.perf_counter()
    found = {}
    for stem in progress(stems, "describing soundscapes", len(stems)):
        found[stem] = sound_statistics(soundscape_windows(decode(competition / "train_soundscapes" / f"{stem}.ogg")))
    return found, (time.perf_counter() - start) / len(stems)


def _clip_statistics(prepared: Prepared, competition: Path, most: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The clips, which clip each row is of, and (rows, features) of their loudest windows."""
    clips = prepared.clips.reset_index(drop=True)
    parts = [
        sound_statistics(loudest_windows(decode(competition / "train_audio" / name), most))
        for name in progress(clips.filename, "describing clips", len(clips))
    ]
    return clips, np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)


def clip_targets(prepared: Prepared, clips: pd.DataFrame, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """(clips, classes) primary labels, and weights without the secondary ones: in this window they may be silent."""
    primary = prepared.classes.multi_hot([(label,) for label in clips.primary_label])
    secondary = prepared.classes.multi_hot(clips.secondary.tolist())
    return primary, weight * ~secondary


def _parity(path: Path, models: list, features: np.ndarray) -> float:
    """The largest difference between the exported graph and the fitted models, which must be small."""
    probs = OnnxSession(path, inputs=["features"], outputs=["prob"]).run(features=features.astype(np.float32))[0]
    expected = expit(np.mean([model.logits(features) for model in models], axis=0))
    worst = float(np.abs(probs - expected).max())
    if not worst <= _PARITY_LIMIT:
        raise BadInput(
            "the exported model differs from the fitted one",
            expected=f"at most {_PARITY_LIMIT}",
            got=worst,
            do="look at the export",
        )
    return worst


def _card(prepared: Prepared, name: str, family: str, config: dict, seconds: float, *, inputs, outputs, parity):
    return MemberCard(
        name=name,
        family=family,
        class_hash=prepared.classes.hash,
        config=config,
        config_fingerprint=fingerprint.of_json(config),
        lib_fingerprint=fingerprint.of_lib(),
        data_version=prepared.facts.data_version,
        seed=prepared.facts.seed,
        inputs=inputs,
        outputs=outputs,
        seconds_per_soundscape=seconds,
        parity_max_abs=parity,
    )
