"""Settings of augmentation, checked when they are made."""

from dataclasses import dataclass, fields

from lib.core.errors import BadInput


@dataclass(frozen=True)
class AugmentSettings:
    """Probability of each augmentation for one example (0: never) and its strength. The defaults are S3's table."""

    roll_p: float = 1.0
    background_p: float = 0.5
    background_snr_min_db: float = 3.0
    background_snr_max_db: float = 30.0
    noise_p: float = 0.3
    noise_snr_min_db: float = 3.0
    noise_snr_max_db: float = 30.0
    noise_decay_max: float = 2.0  # power falls with frequency as f ** -decay: 0 white, 1 pink, 2 brown
    gain_p: float = 0.3
    gain_db: float = 12.0  # up or down
    filter_p: float = 0.0
    filter_db: float = 6.0  # up or down
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
        """Refuse probabilities outside [0, 1], and ranges that are empty."""
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
                do="set the named fields within these bounds",
            )
