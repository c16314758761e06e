"""Settings of pseudo-labels in training: share, weight, mode and loss."""

from dataclasses import dataclass

from lib.core.errors import BadInput

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
