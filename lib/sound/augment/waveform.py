"""Augmentation of sound: the same animal in other circumstances. The changes change every row that they are given.

Which rows those are is drawn by `some_changed`, with the probabilities of the settings.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput

_COLOUR_FROM_HZ = 50.0  # noise is flat below: else brown noise is all rumble that no picture shows
_FILTER_FROM_HZ = 50.0  # a filter's bands are even on the logarithm of frequency, from here up
_SILENT = 1e-9


@dataclass(frozen=True)
class AugmentSettings:
    """How likely each change is for one example (0: never), and how strong. The defaults are S3's table."""

    roll_p: float = 1.0
    background_p: float = 0.5
    background_snr_min_db: float = 3.0
    background_snr_max_db: float = 30.0
    noise_p: float = 0.3
    noise_snr_min_db: float = 3.0
    noise_snr_max_db: float = 30.0
    noise_decay_max: float = 2.0  # power falls with frequency as f ** -decay: 0 white, 1 pink, 2 brown
    gain_p: float = 0.3
    gain_db: float = 12.0  # either way
    filter_p: float = 0.0
    filter_db: float = 6.0  # either way
    filter_bands: int = 4
    mixup_p: float = 0.0  # a clip with another clip
    soundscape_mixup_p: float = 0.0  # a clip with a labelled soundscape
    mixup_beta: float = 0.4  # the parts' shares are drawn from Beta(this, this)
    frequency_mask_p: float = 0.5
    frequency_masks: int = 1
    frequency_mask_bins: int = 24  # at most
    time_mask_p: float = 0.5
    time_masks: int = 1
    time_mask_frames: int = 40  # at most

    def __post_init__(self):
        """Refuse probabilities that are none, and ranges that are empty."""
        wrong = [f.name for f in fields(self) if f.name.endswith("_p") and not 0 <= getattr(self, f.name) <= 1]
        wrong += [
            kind
            for kind in ("background", "noise")
            if getattr(self, f"{kind}_snr_min_db") > getattr(self, f"{kind}_snr_max_db")
        ]
        if wrong or self.mixup_beta <= 0 or min(self.filter_bands, self.frequency_masks, self.time_masks) < 1:
            raise BadInput(
                "augmentation settings",
                expected="probabilities from 0 to 1, minima under maxima, counts from 1",
                got=f"{', '.join(wrong)} in {self}",
                do="change the setting",
            )


Change = Callable[[torch.Tensor, torch.Generator, AugmentSettings], torch.Tensor]


def rolled(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row turned by its own number of samples: what leaves at the end enters at the begin."""
    shifts = torch.randint(audio.shape[1], (len(audio),), generator=generator, device=audio.device).tolist()
    return torch.stack([row.roll(shift) for row, shift in zip(audio, shifts, strict=True)])


def with_noise(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row with noise of its own colour and signal-to-noise ratio."""
    hz = torch.fft.rfftfreq(audio.shape[1], 1 / SAMPLE_RATE, device=audio.device)
    octaves = torch.log2(hz.clamp(min=_COLOUR_FROM_HZ) / _COLOUR_FROM_HZ)
    decay = _uniform(audio, generator, -settings.noise_decay_max, settings.noise_decay_max)
    white = torch.randn(len(audio), len(hz), dtype=torch.complex64, generator=generator, device=audio.device)
    noise = torch.fft.irfft(white * torch.exp2(octaves * (-decay / 2)), n=audio.shape[1])
    return _at_snr(audio, noise, _uniform(audio, generator, settings.noise_snr_min_db, settings.noise_snr_max_db))


def with_background(
    audio: torch.Tensor, background: torch.Tensor, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """(rows, samples) each row with its background laid under it, at a signal-to-noise ratio of its own."""
    snr_db = _uniform(audio, generator, settings.background_snr_min_db, settings.background_snr_max_db)
    return _at_snr(audio, background, snr_db)


def with_gain(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row louder or softer by its own gain."""
    return audio * _amplitude(_uniform(audio, generator, -settings.gain_db, settings.gain_db))


def filtered(audio: torch.Tensor, generator: torch.Generator, settings: AugmentSettings) -> torch.Tensor:
    """(rows, samples) each row through its own filter: random dB at the edges of bands, straight lines between them.

    It is done to the sound, not to the picture, so that a dB is one whatever the front end makes of it.
    """
    bands = settings.filter_bands
    at_edges = _uniform(audio, generator, -settings.filter_db, settings.filter_db, bands + 1)
    hz = torch.fft.rfftfreq(audio.shape[1], 1 / SAMPLE_RATE, device=audio.device).clamp(min=_FILTER_FROM_HZ)
    octaves = torch.log2(hz / _FILTER_FROM_HZ)
    place = octaves / octaves[-1] * bands
    below = place.long().clamp(max=bands - 1)
    gain_db = torch.lerp(at_edges[:, below], at_edges[:, below + 1], place - below)
    return torch.fft.irfft(torch.fft.rfft(audio) * _amplitude(gain_db), n=audio.shape[1])


def mixed(
    audio: torch.Tensor, partner: torch.Tensor, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """(rows, samples) each row and its partner in shares drawn from Beta(mixup_beta, mixup_beta)."""
    concentration = torch.full((len(audio), 1, 2), settings.mixup_beta, device=audio.device)
    share = torch._sample_dirichlet(concentration, generator)[..., 0]  # torch's Beta takes no generator
    return share * audio + (1 - share) * partner


def united(
    targets: torch.Tensor, weights: torch.Tensor, other_targets: torch.Tensor, other_weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets and weights (rows, classes) of mixtures: what is known to be in either part is in the whole.

    Absent from the whole is what is absent from both: the less sure part says how sure.
    """
    known, other_known = targets * (weights > 0), other_targets * (other_weights > 0)
    present = torch.maximum(known, other_known)
    sure = torch.maximum(weights * (known > 0), other_weights * (other_known > 0))
    return (
        torch.where(present > 0, present, torch.maximum(targets, other_targets)),
        torch.where(present > 0, sure, torch.minimum(weights, other_weights)),
    )


def drawn(rows: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Those of the rows' numbers that the probability picks."""
    return rows[torch.rand(len(rows), generator=generator, device=rows.device) < probability]


def some_changed(
    examples: torch.Tensor, probability: float, change: Change, generator: torch.Generator, settings: AugmentSettings
) -> torch.Tensor:
    """The examples, each changed with that probability."""
    rows = drawn(torch.arange(len(examples), device=examples.device), probability, generator)
    if len(rows) == len(examples):
        return change(examples, generator, settings)  # without two copies of a whole batch
    return examples.index_copy(0, rows, change(examples[rows], generator, settings)) if len(rows) else examples


def _uniform(
    audio: torch.Tensor, generator: torch.Generator, low: float, high: float, columns: int = 1
) -> torch.Tensor:
    """(rows, columns) numbers between low and high."""
    return low + (high - low) * torch.rand(len(audio), columns, generator=generator, device=audio.device)


def _amplitude(decibels: torch.Tensor) -> torch.Tensor:
    """The factor on samples that so many dB are."""
    return 10 ** (decibels / 20)


def _at_snr(audio: torch.Tensor, noise: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
    """The sum in which the audio is so many dB above the noise; silence stays silent."""
    level, noise_level = (torch.linalg.vector_norm(sound, dim=1, keepdim=True) for sound in (audio, noise))
    return torch.addcmul(audio, noise, level / noise_level.clamp(min=_SILENT) * _amplitude(-snr_db))


AUGMENTATIONS: dict[str, Change] = {
    "roll": rolled,
    "noise": with_noise,
    "filter": filtered,
    "gain": with_gain,
}  # in this order
TWO_SOUNDS = {"mixup": mixed, "background": with_background}  # these want another sound beside each row
