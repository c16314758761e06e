"""Settings of training examples, batches, loss and loop, checked when they are made.

They stand apart from what they set: a value is checked without loading torch.
"""

from dataclasses import dataclass

from lib.core.errors import BadInput, did_you_mean

SAMPLERS = ("uniform", "weighted", "class-aware")
LOSS_KINDS = ("bce", "focal", "asymmetric", "soft_auc")
SCHEDULES = ("cosine", "one-cycle")
PRECISIONS = ("float32", "bfloat16", "float16")
AVERAGES = ("none", "ema", "swa")


@dataclass(frozen=True)
class TargetSettings:
    """Targets and weights of a clip's classes in a crop of it."""

    secondary_target: float = 1.0
    secondary_weight: float = 0.0  # 0: a class named as secondary may be silent in this crop, so it does not count
    absent_weight: float = 1.0  # of a class that is not named: clips are not labelled completely


@dataclass(frozen=True)
class SamplerSettings:
    """The composition of batches. The caps hold for a pass over the clips; then `clips` orders the pass."""

    batch_size: int = 64
    soundscape_share: float = 0.1  # of a batch, to the nearest whole row
    clips: str = "uniform"  # each once a pass; "weighted": by rarity; "class-aware": each class equally often
    power: float = 0.5  # weighted: a class of n clips is drawn n ** -power as often, clip by clip
    most_per_class: int = 0  # clips of a class in a pass, the others in the next; 0: no cap
    least_per_class: int = 0  # rarer classes are repeated up to it

    def __post_init__(self):
        """Refuse settings that compose no batch."""
        capped = not self.most_per_class or self.least_per_class <= self.most_per_class
        if self.clips not in SAMPLERS or not 0 <= self.soundscape_share <= 1 or self.batch_size < 1 or not capped:
            raise BadInput(
                "sampler settings",
                expected=f"one of {SAMPLERS}, a share from 0 to 1, a batch size, least_per_class <= most_per_class",
                got=self,
                do="fix the setting that is out of range",
            )

    @property
    def soundscapes(self) -> int:
        """The number of a batch's rows that are cut from soundscapes."""
        return round(self.soundscape_share * self.batch_size)


@dataclass(frozen=True)
class LossSettings:
    """The loss and its parameters; those of other kinds are not read."""

    kind: str = "bce"
    focal_gamma: float = 2.0
    focal_alpha: float = 0.25  # weight of positives against 1 - alpha; negative: both 1
    gamma_negative: float = 4.0  # asymmetric, as in its paper
    gamma_positive: float = 0.0
    clip_shift: float = 0.05
    auc_pairs: str = "batch"  # or "class": only pairs within a class, classes counting equally
    bce_share: float = 0.0  # of soft AUC (2nd place: .25)
    label_smoothing: float = 0.0
    class_weight_power: float = 0.0  # a class counts as its positives to minus this power
    frame_weight: float = 0.5  # of the loss on the loudest frame, the rest on the clip
    distil: str = "mse"  # or "cosine"
    distil_weight: float = 1.0

    def __post_init__(self):
        """Refuse an unknown loss, and powers without a finite gradient."""
        for name, known in (("kind", LOSS_KINDS), ("auc_pairs", ("batch", "class")), ("distil", ("mse", "cosine"))):
            if (value := getattr(self, name)) not in known:
                raise BadInput(
                    f"unknown {name} of a loss", expected=", ".join(known), got=value, do=did_you_mean(value, known)
                )
        for name in ("focal_gamma", "gamma_negative", "gamma_positive"):
            if 0.0 < (gamma := getattr(self, name)) < 1.0:  # the slope of x ** gamma is infinite at 0
                raise BadInput(
                    f"{name} has no finite gradient",
                    expected="0, or at least 1",
                    got=gamma,
                    do=f"set {name}=2.0, or 0 for none",
                )


@dataclass(frozen=True)
class TrainingSettings:
    """Length, learning rate, schedule, precision, averaging and early stopping of a training run."""

    epochs: int = 10
    steps_per_epoch: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    layer_decay: float = 1.0  # each layer's rate is this share of the next deeper one's; 1: all the same
    schedule: str = "cosine"
    warmup_share: float = 0.1
    clip_norm: float = 1.0  # 0: gradients are not clipped
    precision: str = "float32"
    average: str = "none"
    ema_decay: float = 0.999
    swa_from: float = 0.65  # share of the epochs after which each epoch's end is averaged
    patience: int = 0  # epochs without a better score before it stops and takes the best; 0: all epochs, the last

    def __post_init__(self):
        allowed = {"schedule": SCHEDULES, "precision": PRECISIONS, "average": AVERAGES}
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise BadInput(
                    f"unknown {name}",
                    expected=f"one of {', '.join(choices)}",
                    got=getattr(self, name),
                    do=did_you_mean(getattr(self, name), choices, f"set {name}={choices[0]}"),
                )
        least = {
            "epochs": 1,
            "steps_per_epoch": 0,
            "learning_rate": 0,
            "weight_decay": 0,
            "clip_norm": 0,
            "patience": 0,
        }
        for name, number in least.items():
            if (value := getattr(self, name)) < number:
                raise BadInput(f"{name} is too small", expected=f"at least {number}", got=value, do=f"set {name}=1")
        for name in ("warmup_share", "swa_from", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(
                    f"{name} is a share", expected="0 or more, less than 1", got=getattr(self, name), do=f"fix {name}"
                )

    @property
    def steps(self) -> int:
        """All steps of the run."""
        return self.epochs * self.steps_per_epoch
