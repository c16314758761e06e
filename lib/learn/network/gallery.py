"""Data for figures of training: augmentations one by one, activity over time, precisions of the export."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from lib.competition.row_ids import WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.core.errors import BadInput
from lib.learn.network.fold import TrainingRun
from lib.models.export.parity import torch_runner
from lib.models.export.quantize import compare_variants, convert_to_float16, quantize_to_int8, require_rank_agreement
from lib.sound.augment.settings import AugmentSettings
from lib.sound.augment.spectrogram import SPECTROGRAM_AUGMENTATIONS
from lib.sound.augment.waveform import AUGMENTATIONS, PAIR_AUGMENTATIONS
from lib.sound.crops import CropSettings, crop_start, cut, energy_by_tenth
from lib.sound.decode import decode
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms

_CALIBRATION_SOUNDSCAPES = 4


def loudest_crop(path: Path, settings: CropSettings) -> np.ndarray:
    """(samples,) the loudest crop of a clip."""
    audio, loudest = decode(path), replace(settings, kind="energy", jitter_s=0.0)
    start = crop_start(len(audio), settings.samples, loudest, np.random.default_rng(0), energy_by_tenth(audio))
    return cut(audio, start, settings.samples)


def waveform_examples(
    audio: np.ndarray, other: np.ndarray, settings: AugmentSettings, seed: int
) -> dict[str, np.ndarray]:
    """(samples,) the sound after each augmentation by itself; two of them mix `other` in or lay it under."""
    generator = torch.Generator().manual_seed(seed)
    row, second = (torch.from_numpy(np.array(sound, dtype=np.float32))[None] for sound in (audio, other))
    after = {name: change(row, generator, settings) for name, change in AUGMENTATIONS.items()}
    after |= {name: change(row, second, generator, settings) for name, change in PAIR_AUGMENTATIONS.items()}
    return {name: rows[0].numpy() for name, rows in after.items()}


def spectrogram_examples(
    audio: np.ndarray, front_end: FrontEnd, settings: AugmentSettings, seed: int
) -> dict[str, np.ndarray]:
    """(mels, frames) the spectrogram of a sound as it is, and after each mask by itself."""
    generator, plain = torch.Generator().manual_seed(seed), torch.from_numpy(spectrograms(audio[None], front_end))
    masked = {name: change(plain, generator, settings) for name, change in SPECTROGRAM_AUGMENTATIONS.items()}
    return {name.replace("_", " "): mel[0].numpy() for name, mel in ({"as it is": plain} | masked).items()}


def activity_over_time(run: TrainingRun, stem: str) -> tuple[np.ndarray, np.ndarray]:
    """A labelled soundscape's (mels, frames) spectrogram and (classes, frames) probabilities, out of fold."""
    windows = run.spectrograms([stem])
    _, frame_logits = torch_runner(run.network(run.prepared.folds.of("soundscape")[stem]))(windows)
    rows = [slice(*run.plan.window_spec.row_frames(part.shape[-1])) for part in (windows, frame_logits)]
    mel, probabilities = windows[:, 0, :, rows[0]], expit(frame_logits[:, :, rows[1]])
    return np.concatenate(list(mel), axis=1), np.concatenate(list(probabilities), axis=1)


def compare_precisions(run: TrainingRun) -> pd.DataFrame:
    """A row a precision of the first fold's file: size, speed, ranks against float32, AUC, and a verdict.

    Measured on soundscapes that the fold holds out; int8 is calibrated on others.
    """
    prepared, fold = run.prepared, run.prepared.folds.numbers[0]
    windows = prepared.windows[prepared.windows.stem.map(prepared.folds.of("soundscape")) == fold]
    stems = sorted(set(windows.stem))
    calibration = sorted(set(prepared.windows.stem) - set(stems))[:_CALIBRATION_SOUNDSCAPES]
    rows = WINDOWS_PER_SOUNDSCAPE * windows.stem.map(stems.index).to_numpy(dtype=int)
    rows = rows + windows.end_s.to_numpy() // WINDOW_S - 1
    truth = prepared.labels.take(windows.row_id.tolist()).values
    with tempfile.TemporaryDirectory() as folder:
        variants = {"float32": run.member / f"fold{fold}.onnx"}
        variants |= {name: Path(folder) / f"{name}.onnx" for name in ("float16", "int8")}
        convert_to_float16(variants["float32"], variants["float16"])
        quantize_to_int8(variants["float32"], variants["int8"], run.spectrograms(calibration))
        to_probabilities = run.plan.window_spec.probabilities
        table = compare_variants(variants, run.spectrograms(stems)[rows], to_probabilities, truth)
    return table.assign(verdict=[_verdict(table.loc[["float32", name]]) for name in table.index])


def _verdict(table: pd.DataFrame) -> str:
    """The verdict on replacing the table's first row by its last: "agrees", or "refused" with what was expected."""
    try:
        require_rank_agreement(table)
    except BadInput as error:
        return f"refused: expected {error.expected}"
    return "agrees"
