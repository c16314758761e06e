"""A plan: all settings of a network and its training in one record, which travels on the member's card."""

from ast import literal_eval
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from lib.core.errors import BadInput, did_you_mean
from lib.learn.network.settings import LossSettings, SamplerSettings, TargetSettings, TrainingSettings
from lib.learn.soft_labels.settings import LabelGateSettings, PseudoSettings
from lib.models.network.settings import NetworkSettings
from lib.sound.augment.settings import AugmentSettings
from lib.sound.crops import CropSettings
from lib.sound.mel.config import PERCH_FRONT_END, FrontEnd

if TYPE_CHECKING:
    from lib.models.member.windows import WindowSpec

FRONT_ENDS = {
    # few, wide bands, each normalised against steady hum: made for nets that begin at random
    "small": FrontEnd(hop_samples=1024, n_mels=64, fmin_hz=50.0, normalise="bands zscore"),
    "mel128": FrontEnd(mel_scale="slaney", normalise="zscore"),  # S0, 2nd
    "mel128 minmax": FrontEnd(mel_scale="slaney", normalise="zscore minmax"),  # 9th
    "mel256": FrontEnd(n_mels=256, normalise="zscore"),  # the public SED
    "pcen128": FrontEnd(hop_samples=627, level="pcen", normalise="zscore"),  # S4's sidecar: 256 frames
    "perch": PERCH_FRONT_END,
}

# Short names of settings whose own name would be ambiguous between parts.
_WORDS = {str: "text", bool: "True or False", int: "a whole number", float: "a number"}
_SHORT_NAMES = {"loss": ("loss", "kind"), "crop": ("crop", "kind"), "sampler": ("sampler", "clips")}


@dataclass(frozen=True)
class NetworkPlan:
    """Input, architecture, data, loss and training of a network. No two parts share a setting's name but `kind`."""

    front_end: FrontEnd = field(default_factory=FrontEnd)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    weights: str = "none"  # pretrained: "timm", or a file or folder
    crop: CropSettings = field(default_factory=CropSettings)
    targets: TargetSettings = field(default_factory=TargetSettings)
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    embedder: str = ""  # a file with Perch's interface whose embeddings the network learns to predict: distillation
    pseudo: PseudoSettings = field(default_factory=PseudoSettings)
    gate: LabelGateSettings = field(default_factory=LabelGateSettings)  # of the pseudo-labels
    loss: LossSettings = field(default_factory=LossSettings)
    loop: TrainingSettings = field(default_factory=TrainingSettings)
    serve: str = "folds"  # together; or "one": a further network of the full data, which the folds only score

    def __post_init__(self):
        """Refuse settings under which training and inference would differ."""
        if self.serve not in ("folds", "one"):
            raise BadInput("unknown serve of a plan", expected="folds, one", got=self.serve, do="set serve=folds")
        if self.front_end.level == "db" and self.front_end.scope == "file":
            raise BadInput(
                "a network cannot be trained on decibels relative to their file's peak",
                got='scope "file"',
                expected='scope "window"',
                do='set scope to "window": the rest of the file is unknown to a crop',
            )

    @property
    def window_spec(self) -> "WindowSpec":
        """The windows of inference: as long as the crops of training."""
        from lib.models.member.windows import WindowSpec  # brings scipy, which a check of settings need not wait for

        return WindowSpec(self.crop.seconds)


def override(plan: NetworkPlan, **settings: Any) -> NetworkPlan:
    """The plan with settings replaced, by own name or a short one (loss, crop, sampler); None keeps the plan's."""
    for name, value in settings.items():
        if value is None:
            continue
        value = setting_value(name, value)
        if name == "front_end" and isinstance(value, str):
            value = find_front_end(value)
        if name == "front_end" or _parts().get(name) is str:
            plan = replace(plan, **{name: value})
        else:
            part, own = _SHORT_NAMES.get(name) or (_part_of(name), name)
            part_with = {part: replace(getattr(plan, part), **{own: value})}
            plan = replace(plan, **part_with)
    return plan


def setting_value(name: str, value: object) -> object:
    """The value in the setting's type: a whole number may stand for a decimal one, all else must fit."""
    default = _setting_default(name)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if default is not None and type(value) is not type(default) and not isinstance(value, FrontEnd):
        raise BadInput(
            f"the setting {name} cannot take this value",
            expected=_WORDS[type(default)],
            got=repr(value),
            do=f"set {name}={default or 'small'}, for instance",
        )
    return value


def is_setting(name: str) -> bool:
    """True where `override` takes a setting of this name."""
    return name in _SHORT_NAMES or name == "front_end" or _parts().get(name) is str or len(_holders(name)) == 1


def _setting_default(name: str) -> object:
    """The default of a setting, by the name that `override` takes; an unknown one is an error.

    A front end is set by its name, and the plainest has none: "".
    """
    plan = NetworkPlan()
    if name == "front_end":
        return ""
    if _parts().get(name) is str:
        return getattr(plan, name)
    part, own = _SHORT_NAMES.get(name) or (_part_of(name), name)
    return getattr(getattr(plan, part), own)


def parse_settings(text: str) -> dict[str, object]:
    """Parse "name=value, name=value": numbers, True and False as such, all else as text."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if wrong := [name.strip() for name, sign, _ in pairs if not sign]:
        raise BadInput(
            "settings cannot be read",
            expected="name=value, name=value",
            got=", ".join(wrong),
            do="give each a value, as in mixup_p=0.5",
        )
    names = [name.strip() for name, _, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput("a setting stands twice", expected="each once", got=", ".join(twice), do="drop one of the two")
    return {name.strip(): _value(value.strip()) for name, _, value in pairs}


def differences(plan: NetworkPlan, base: NetworkPlan) -> dict[str, object]:
    """The settings in which a plan differs from another, as part.setting -> value."""
    ours, theirs = asdict(plan), asdict(base)
    found: dict[str, object] = {}
    for part, settings in ours.items():
        if not isinstance(settings, dict):
            settings, theirs[part] = {"": settings}, {"": theirs[part]}
        found |= {
            f"{part}.{name}".rstrip("."): value for name, value in settings.items() if value != theirs[part][name]
        }
    return found


def find_front_end(name: str) -> FrontEnd:
    """The front end of that name."""
    if name not in FRONT_ENDS:
        raise BadInput(
            "no such front end", expected=f"one of {', '.join(FRONT_ENDS)}", got=name, do=did_you_mean(name, FRONT_ENDS)
        )
    return FRONT_ENDS[name]


def _value(text: str) -> object:
    """The number or boolean in the text, or else the text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _part_of(name: str) -> str:
    """The plan's part that has a setting of this name."""
    holders = _holders(name)
    if len(holders) != 1:
        known = sorted({f.name for kind in _parts().values() if kind is not str for f in fields(kind)} - {"kind"})
        raise BadInput(
            f"a network has no setting {name!r}",
            expected=f"one of {', '.join([*_SHORT_NAMES, *known])}",
            got=name,
            do=did_you_mean(name, [*_SHORT_NAMES, *known]),
        )
    return holders[0]


def _holders(name: str) -> list[str]:
    """The plan's parts that have a setting of this name."""
    return [part for part, kind in _parts().items() if kind is not str and name in {f.name for f in fields(kind)}]


def _parts() -> dict[str, Any]:
    """The plan's fields with their types."""
    return {f.name: f.type for f in fields(NetworkPlan)}
