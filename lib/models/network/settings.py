"""Settings of a network, checked when they are made; they are kept on the member's card."""

from dataclasses import dataclass

from lib.core.errors import BadInput

HEADS = ("sed", "mean", "gem")


@dataclass(frozen=True)
class NetworkSettings:
    """The public SED's head by default (Tucker Arrants, 2026); 0 switches a part off."""

    backbone: str = "plain"
    width: int = 32  # channels of "plain"; timm's networks have their own
    drop_path: float = 0.0  # stochastic depth of timm's networks
    head: str = "sed"  # or "mean", "gem": pooled over frequency and time, then linear
    hidden: int = 512  # units of the SED head
    dropout_features: float = 0.25
    dropout_hidden: float = 0.5  # SED head only
    interaction: int = 0  # hidden units between the classes' logits (9th place: 128)
    distil_size: int = 0  # width of a teacher's embedding to be predicted (Perch: 1536)
    stop_gradient: bool = False  # the head learns from the backbone, the backbone from the teacher alone

    def __post_init__(self):
        """Refuse an unknown head, and shares and sizes out of range."""
        if self.head not in HEADS:
            raise BadInput("unknown head", expected=", ".join(HEADS), got=self.head, do="set head to one of these")
        shares = ("drop_path", "dropout_features", "dropout_hidden")
        wrong = [name for name in shares if not 0 <= getattr(self, name) < 1]
        wrong += [name for name in ("width", "hidden") if getattr(self, name) < 1]
        wrong += [name for name in ("interaction", "distil_size") if getattr(self, name) < 0]
        if wrong:
            raise BadInput(
                f"{wrong[0]} of a network is out of range",
                expected="shares from 0 to below 1; width and hidden from 1, interaction and distil_size from 0",
                got=getattr(self, wrong[0]),
                do=f"fix {wrong[0]}",
            )
