"""Settings of pseudo-labels in training: share, weight, mode and loss."""

from dataclasses import dataclass

from lib.core.errors import BadInput

GATES = {  # the setting that holds each gate's number, and the largest number
    "none": ("", 0.0),
    "absolute": ("gate_threshold", 1.0),
    "percentile": ("percentile", 100.0),
    "top_k": ("top_k", float("inf")),
}
_TARGETS = ("soft", "hard", "argmax")
_MODES, _LOSSES = ("rows", "mixup", "substitute"), ("bce", "kld")


@dataclass(frozen=True)
class PseudoSettings:
    """The share, weight and loss of pseudo-labelled crops, and how they enter a batch."""

    pseudo_ratio: float = 0.0  # pseudo-labelled crops for each labelled soundscape crop of a batch; 0: none
    pseudo_weight: float = 1.0  # of their cells in the loss
    pseudo_mode: str = "rows"  # they share the soundscapes' rows; "mixup": and are mixed half and half with clips;
    # "substitute": they replace clips of a class that passed in them, with probability pseudo_ratio
    pseudo_loss: str = "bce"  # or "kld": softmax over the classes
    temperature: float = 1.0  # divides the teacher's logits and, in the loss, the student's

    def __post_init__(self):
        """Refuse settings that cannot be trained with."""
        names = self.pseudo_mode in _MODES and self.pseudo_loss in _LOSSES
        numbers = self.pseudo_ratio >= 0 and self.pseudo_weight > 0 and self.temperature > 0
        ratio = self.pseudo_mode != "substitute" or self.pseudo_ratio <= 1
        if not (names and numbers and ratio) or (self.pseudo_mode, self.pseudo_loss) == ("mixup", "kld"):
            raise BadInput(
                "pseudo-label settings",
                expected=f"a pseudo_mode of {_MODES}, a pseudo_loss of {_LOSSES} (kld not with"
                " mixup: the clip's certain class would drown the rest), a ratio from 0 (to substitute, to"
                " 1), a weight and a temperature above 0",
                got=self,
                do="set the pseudo_ settings and temperature to values in these ranges",
            )


@dataclass(frozen=True)
class LabelGateSettings:
    """Rule by which a class passes the gate in a crop, and the crop's targets. Other gates' numbers are ignored."""

    gate: str = "absolute"  # none: every class in every crop; absolute, percentile, top_k: as below
    gate_threshold: float = 0.5  # absolute: a class passes if its probability is at least this
    percentile: float = 95.0  # percentile: it passes in the (100 - percentile) % of crops where it is likeliest
    top_k: int = 20  # top_k: it passes in so many crops, where it is likeliest
    by_taxon: str = ""  # "Amphibia=0.3,Insecta=off": the gate's number for a taxon, or off: not trained on
    targets: str = "soft"  # soft: the probabilities; hard: passed or not; argmax: the likeliest class alone
    soft_power: float = 1.0  # of soft targets (2nd place: 1.0, 1.54, 1.82, 1.67 by round)

    def __post_init__(self):
        """Refuse settings without a meaning."""
        setting, most = GATES.get(self.gate, ("", -1.0))
        targets = self.targets in _TARGETS and (self.gate, self.targets) != ("none", "hard")
        in_range = 0 <= (getattr(self, setting) if setting else 0) <= most
        if not (targets and in_range) or self.soft_power <= 0:
            raise BadInput(
                "gate settings",
                expected=f"a gate of {tuple(GATES)}, targets of {_TARGETS} (not none and"
                " hard), gate_threshold from 0 to 1, percentile from 0 to 100, top_k from 0, soft_power above 0",
                got=self,
                do="set gate, targets and the gate's number to values in these ranges",
            )
