"""SpecAugment: masks over stretches of frequency or time of a spectrogram."""

import torch

from lib.sound.augment.settings import AugmentSettings
from lib.sound.augment.waveform import Augmentation, apply_to_some


def mask_frequencies(spectrograms: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, mels, frames) each spectrogram with some bands set to its mean, which is 0 if it was normalised so."""
    masked = _stretches(spectrograms, 1, generator, settings.frequency_masks, settings.frequency_mask_bins)
    return torch.where(masked[:, :, None], spectrograms.mean(dim=(1, 2), keepdim=True), spectrograms)


def mask_frames(spectrograms: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, mels, frames) each spectrogram with some frames set to its mean, which is 0 if it was normalised so."""
    masked = _stretches(spectrograms, 2, generator, settings.time_masks, settings.time_mask_frames)
    return torch.where(masked[:, None, :], spectrograms.mean(dim=(1, 2), keepdim=True), spectrograms)


def augment_spectrograms(
    spectrograms: torch.Tensor, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """(rows, mels, frames) the spectrograms, each augmented with the settings' probabilities."""
    for name, augmentation in SPECTROGRAM_AUGMENTATIONS.items():
        spectrograms = apply_to_some(spectrograms, getattr(settings, f"{name}_p"), augmentation, generator, settings)
    return spectrograms


def _stretches(
    spectrograms: torch.Tensor, axis: int, generator: torch.Generator, count: int, most: int
) -> torch.Tensor:
    """(rows, cells of the axis) boolean mask of `count` random stretches of 1 to `most` cells each."""
    cells, device = spectrograms.shape[axis], spectrograms.device
    most = min(most, cells)
    widths = 1 + (most * torch.rand(len(spectrograms), count, 1, generator=generator, device=device)).floor()
    starts = ((cells - widths + 1) * torch.rand(widths.shape, generator=generator, device=device)).floor()
    cell = torch.arange(cells, device=device)
    return ((cell >= starts) & (cell < starts + widths)).any(dim=1)


SPECTROGRAM_AUGMENTATIONS: dict[str, Augmentation] = {"frequency_mask": mask_frequencies, "time_mask": mask_frames}
