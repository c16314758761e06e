"""Waveform augmentation: the same animal in other circumstances. Each function changes every row that it is given.

`apply_to_some` draws those rows, with the probabilities of the settings.
"""

from collections.abc import Callable

import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.augment.settings import AugmentSettings

_COLOUR_FROM_HZ = 50.0  # noise is flat below: else brown noise is all rumble that no spectrogram shows
_FILTER_FROM_HZ = 50.0  # a filter's bands are even on the logarithm of frequency, from here up
_SILENT = 1e-9


Augmentation = Callable[[torch.Tensor, torch.Generator, AugmentSettings], torch.Tensor]


def roll(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row rotated by its own number of samples: what leaves at the end enters at the beginning."""
    shifts = torch.randint(audio.shape[1], (len(audio),), generator=generator, device=audio.device).tolist()
    return torch.stack([row.roll(shift) for row, shift in zip(audio, shifts, strict=True)])


def add_noise(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row with noise of its own colour and signal-to-noise ratio."""
    hz = torch.fft.rfftfreq(audio.shape[1], 1 / SAMPLE_RATE, device=audio.device)
    octaves = torch.log2(hz.clamp(min=_COLOUR_FROM_HZ) / _COLOUR_FROM_HZ)
    decay = _uniform(audio, generator, -settings.noise_decay_max, settings.noise_decay_max)
    white = torch.randn(len(audio), len(hz), dtype=torch.complex64, generator=generator, device=audio.device)
    noise = torch.fft.irfft(white * torch.exp2(octaves * (-decay / 2)), n=audio.shape[1])
    return _at_snr(audio, noise, _uniform(audio, generator, settings.noise_snr_min_db, settings.noise_snr_max_db))


def add_background(
    audio: torch.Tensor, background: torch.Tensor, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """(rows, samples) each row with its background added, at a signal-to-noise ratio of its own."""
    snr_db = _uniform(audio, generator, settings.background_snr_min_db, settings.background_snr_max_db)
    return _at_snr(audio, background, snr_db)


def apply_gain(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row louder or softer by its own random gain."""
    return audio * _amplitude(_uniform(audio, generator, -settings.gain_db, settings.gain_db))


def apply_random_filter(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row through its own filter: random dB at the band edges, straight lines between them.

    Sound is filtered, not the spectrogram, so that a dB is a dB for every front end.
    """
    bands = settings.filter_bands
    at_edges = _uniform(audio, generator, -settings.filter_db, settings.filter_db, bands + 1)
    hz = torch.fft.rfftfreq(audio.shape[1], 1 / SAMPLE_RATE, device=audio.device).clamp(min=_FILTER_FROM_HZ)
    octaves = torch.log2(hz / _FILTER_FROM_HZ)
    position = octaves / octaves[-1] * bands
    below = position.long().clamp(max=bands - 1)
    gain_db = torch.lerp(at_edges[:, below], at_edges[:, below + 1], position - below)
    return torch.fft.irfft(torch.fft.rfft(audio) * _amplitude(gain_db), n=audio.shape[1])


def mixup(
    audio: torch.Tensor, partner: torch.Tensor, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """(rows, samples) mixup of each row with its partner, in shares drawn from Beta(mixup_beta, mixup_beta)."""
    concentration = torch.full((len(audio), 1, 2), settings.mixup_beta, device=audio.device)
    share = torch._sample_dirichlet(concentration, generator)[..., 0]  # torch's Beta takes no generator
    return share * audio + (1 - share) * partner


def mixup_targets(
    targets: torch.Tensor, weights: torch.Tensor, other_targets: torch.Tensor, other_weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and weights (rows, classes) of mixtures: a class known to be in either part is in the whole.

    A class is absent from the whole if it is absent from both parts, with the weight of the less certain part.
    """
    known, other_known = targets * (weights > 0), other_targets * (other_weights > 0)
    present = torch.maximum(known, other_known)
    weight_if_present = torch.maximum(weights * (known > 0), other_weights * (other_known > 0))
    return (
        torch.where(present > 0, present, torch.maximum(targets, other_targets)),
        torch.where(present > 0, weight_if_present, torch.minimum(weights, other_weights)),
    )


def draw_rows(rows: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """The row numbers that are drawn, each with this probability."""
    return rows[torch.rand(len(rows), generator=generator, device=rows.device) < probability]


def apply_to_some(
    examples: torch.Tensor,
    probability: float,
    augmentation: Augmentation,
    generator: torch.Generator,
    settings: AugmentSettings,
) -> torch.Tensor:
    """The examples, each augmented with this probability."""
    rows = draw_rows(torch.arange(len(examples), device=examples.device), probability, generator)
    if len(rows) == len(examples):
        return augmentation(examples, generator, settings)  # without two copies of a whole batch
    return examples.index_copy(0, rows, augmentation(examples[rows], generator, settings)) if len(rows) else examples


def _uniform(
    audio: torch.Tensor, generator: torch.Generator, low: float, high: float, columns: int = 1
) -> torch.Tensor:
    """(rows, columns) numbers between low and high."""
    return low + (high - low) * torch.rand(len(audio), columns, generator=generator, device=audio.device)


def _amplitude(decibels: torch.Tensor) -> torch.Tensor:
    """The factor on samples that corresponds to this many dB."""
    return 10 ** (decibels / 20)


def _at_snr(audio: torch.Tensor, noise: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
    """The sum in which the audio is `snr_db` above the noise; silence stays silent."""
    level, noise_level = (torch.linalg.vector_norm(sound, dim=1, keepdim=True) for sound in (audio, noise))
    return torch.addcmul(audio, noise, level / noise_level.clamp(min=_SILENT) * _amplitude(-snr_db))


AUGMENTATIONS: dict[str, Augmentation] = {
    "roll": roll,
    "noise": add_noise,
    "filter": apply_random_filter,
    "gain": apply_gain,
}  # in this order
PAIR_AUGMENTATIONS = {"mixup": mixup, "background": add_background}  # these need another sound for each row
