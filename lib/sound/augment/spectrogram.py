"""Augmentation of pictures: stretches of frequency or time are wiped out."""

import torch

from lib.sound.augment.waveform import AugmentSettings, Change, some_changed


def frequency_masked(pictures: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, mels, frames) each picture without some bands: they show its mean, which is 0 if it was normalised so."""
    wiped = _stretches(pictures, 1, generator, settings.frequency_masks, settings.frequency_mask_bins)
    return torch.where(wiped[:, :, None], pictures.mean(dim=(1, 2), keepdim=True), pictures)


def time_masked(pictures: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, mels, frames) each picture without some frames: they show its mean, which is 0 if it was normalised so."""
    wiped = _stretches(pictures, 2, generator, settings.time_masks, settings.time_mask_frames)
    return torch.where(wiped[:, None, :], pictures.mean(dim=(1, 2), keepdim=True), pictures)


def augmented_spectrograms(
    pictures: torch.Tensor, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """(rows, mels, frames) the pictures, each changed with the settings' probabilities."""
    for name, change in SPECTROGRAM_AUGMENTATIONS.items():
        pictures = some_changed(pictures, getattr(settings, f"{name}_p"), change, generator, settings)
    return pictures


def _stretches(pictures: torch.Tensor, axis: int, generator: torch.Generator, count: int, most: int) -> torch.Tensor:
    """(rows, cells of the axis) whether a cell lies in one of `count` stretches of 1 to `most` cells."""
    cells, device = pictures.shape[axis], pictures.device
    most = min(most, cells)
    widths = 1 + (most * torch.rand(len(pictures), count, 1, generator=generator, device=device)).floor()
    starts = ((cells - widths + 1) * torch.rand(widths.shape, generator=generator, device=device)).floor()
    cell = torch.arange(cells, device=device)
    return ((cell >= starts) & (cell < starts + widths)).any(dim=1)


SPECTROGRAM_AUGMENTATIONS: dict[str, Change] = {"frequency_mask": frequency_masked, "time_mask": time_masked}
