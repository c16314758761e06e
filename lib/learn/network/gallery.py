"""Augmentations, one by one, on one example: what a gallery shows."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S
from lib.core.errors import BadInput
from lib.learn.network.fold import TrainingRun
from lib.models.export.parity import torch_runner
from lib.models.export.quantize import compare_variants, convert_to_float16, quantize_to_int8, require_rank_agreement
from lib.sound.augment.spectrogram import SPECTROGRAM_AUGMENTATIONS
from lib.sound.augment.waveform import AUGMENTATIONS, PAIR_AUGMENTATIONS, AugmentSettings
from lib.sound.crops import CropSettings, crop_start, cut, energy_by_tenth
from lib.sound.decode import decode
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms


def loudest_crop(path: Path, settings: CropSettings) -> np.ndarray:
    """(samples,) the loudest crop of a clip."""
    audio, loudest = decode(path), replace(settings, kind="energy", jitter_s=0.0)
    start = crop_start(len(audio), settings.samples, loudest, np.random.default_rng(0), energy_by_tenth(audio))
    return cut(audio, start, settings.samples)


def waveform_examples(
    audio: np.ndarray, other: np.ndarray, settings: AugmentSettings, seed: int
) -> dict[str, np.ndarray]:
    """(samples,) the sound after each change by itself; two of the changes lay `other` beside or under it."""
    generator = torch.Generator().manual_seed(seed)
    row, beside = (torch.from_numpy(np.array(sound, dtype=np.float32))[None] for sound in (audio, other))
    after = {name: change(row, generator, settings) for name, change in AUGMENTATIONS.items()}
    after |= {name: change(row, beside, generator, settings) for name, change in PAIR_AUGMENTATIONS.items()}
    return {name: changed[0].numpy() for name, changed in after.items()}


def spectrogram_examples(
    audio: np.ndarray, front_end: FrontEnd, settings: AugmentSettings, seed: int
) -> dict[str, np.ndarray]:
    """(mels, frames) the picture of a sound as it is, and after each mask by itself."""
    generator, seen = torch.Generator().manual_seed(seed), torch.from_numpy(spectrograms(audio[None], front_end))
    masked = {name: change(seen, generator, settings) for name, change in SPECTROGRAM_AUGMENTATIONS.items()}
    return {name.replace("_", " "): picture[0].numpy() for name, picture in ({"as it is": seen} | masked).items()}


_CALIBRATION_SOUNDSCAPES = 4


def activity_over_time(run: TrainingRun, prepared: Prepared, stem: str) -> tuple[np.ndarray, np.ndarray]:
    """A labelled soundscape's (mels, frames) picture, and (classes, frames) chances by the fold that holds it out."""
    seen = run.pictures([stem])
    network = run.trained_network(prepared.folds.of("soundscape")[stem], len(prepared.classes))
    _, frame_logits = torch_runner(network)(seen)
    rows = [slice(*run.plan.window_spec.row_frames(part.shape[-1])) for part in (seen, frame_logits)]
    picture, chances = np.concatenate(list(seen[:, 0, :, rows[0]]), axis=1), expit(frame_logits[:, :, rows[1]])
    return picture, np.concatenate(list(chances), axis=1)


def compare_precisions(member: Path, run: TrainingRun, prepared: Prepared) -> pd.DataFrame:
    """A row a precision of the first fold's file: size, speed, ranks against float32, AUC, and what is made of it.

    The calibration soundscapes are not measured on, nor is any that the fold's network has met.
    """
    fold = prepared.folds.numbers[0]
    windows = prepared.windows[prepared.windows.stem.map(prepared.folds.of("soundscape")) == fold]
    stems = sorted(set(windows.stem))
    met = sorted(set(prepared.windows.stem) - set(stems))[:_CALIBRATION_SOUNDSCAPES]
    rows = 12 * windows.stem.map(stems.index).to_numpy(dtype=int) + windows.end_s.to_numpy() // WINDOW_S - 1
    truth = prepared.labels.take(windows.row_id.tolist()).values
    with tempfile.TemporaryDirectory() as folder:
        variants = {"float32": member / f"fold{fold}.onnx"}
        variants |= {name: Path(folder) / f"{name}.onnx" for name in ("float16", "int8")}
        convert_to_float16(variants["float32"], variants["float16"])
        quantize_to_int8(variants["float32"], variants["int8"], run.pictures(met))
        table = compare_variants(variants, run.pictures(stems)[rows], run.plan.window_spec.probabilities, truth)
    return table.assign(verdict=[_verdict(table.loc[["float32", name]]) for name in table.index])


def _verdict(table: pd.DataFrame) -> str:
    """Whether the last row may stand for the first."""
    try:
        require_rank_agreement(table)
    except BadInput as error:
        return f"refused: expected {error.expected}"
    return "agrees"
