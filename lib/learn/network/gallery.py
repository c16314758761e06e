"""Augmentations, one by one, on one example: what a gallery shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lib.sound.augment.spectrogram import PICTURE_AUGMENTATIONS
from lib.sound.augment.waveform import AUGMENTATIONS, TWO_SOUNDS, AugmentSettings
from lib.sound.crops import CropSettings, crop_start, cut, energy_by_tenth
from lib.sound.decode import decode
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import pictures


def loudest_crop(path: Path, settings: CropSettings) -> np.ndarray:
    """(samples,) the loudest crop of a clip."""
    audio, loudest = decode(path), replace(settings, kind="energy", jitter_s=0.0)
    start = crop_start(len(audio), settings.samples, loudest, np.random.default_rng(0), energy_by_tenth(audio))
    return cut(audio, start, settings.samples)


def sounds_after(audio: np.ndarray, other: np.ndarray, settings: AugmentSettings, seed: int) -> dict[str, np.ndarray]:
    """(samples,) the sound after each change by itself; two of the changes lay `other` beside or under it."""
    generator = torch.Generator().manual_seed(seed)
    row, beside = (torch.from_numpy(np.array(sound, dtype=np.float32))[None] for sound in (audio, other))
    after = {name: change(row, generator, settings) for name, change in AUGMENTATIONS.items()}
    after |= {name: change(row, beside, generator, settings) for name, change in TWO_SOUNDS.items()}
    return {name: changed[0].numpy() for name, changed in after.items()}


def pictures_after(
    audio: np.ndarray, front_end: FrontEnd, settings: AugmentSettings, seed: int
) -> dict[str, np.ndarray]:
    """(mels, frames) the picture of a sound as it is, and after each mask by itself."""
    generator, seen = torch.Generator().manual_seed(seed), torch.from_numpy(pictures(audio[None], front_end))
    masked = {name: change(seen, generator, settings) for name, change in PICTURE_AUGMENTATIONS.items()}
    return {name.replace("_", " "): picture[0].numpy() for name, picture in ({"as it is": seen} | masked).items()}
