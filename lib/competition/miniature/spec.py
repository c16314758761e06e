"""The spec of a miniature competition: one frozen dataclass, its fingerprint and its named random streams."""

import hashlib
import json
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from lib.core.errors import BadInput


@dataclass(frozen=True)
class MiniatureSpec:
    """Sizes and activity of a miniature competition; the defaults are the demo."""

    seed: int = 2026
    n_aves: int = 18
    n_amphibia: int = 7
    n_insecta: int = 6
    n_mammalia: int = 4
    n_reptilia: int = 1
    n_sonotypes: int = 4  # of the insects; they never have focal clips
    n_mute_amphibia: int = 1  # frogs without focal clips
    mirrors: tuple[tuple[int, ...], ...] = ((2, 4),)  # sonotype numbers that are always positive together
    n_clips: int = 420
    clip_median_s: float = 8.0
    clip_max_s: float = 20.0
    n_labelled: int = 40
    n_partial: int = 6  # of the labelled soundscapes: some windows are missing from the table
    n_unlabelled: int = 40
    n_test: int = 48
    corrupt_test: int = 0  # hidden soundscapes made unreadable
    test_share: float = 0.8  # share of the classes that are made to occur in the hidden soundscapes
    activity: float = 1.0  # how much calls at a labelled site, 1 = about three labels per window
    loudness_db: float = 0.0  # added to every call in a soundscape: easier or harder to hear, with the same labels

    def __post_init__(self):
        focal_insects = self.n_insecta - self.n_sonotypes
        rules = {
            "every animal class has a species": min(
                self.n_aves, self.n_amphibia, self.n_insecta, self.n_mammalia, self.n_reptilia
            )
            >= 1,
            "n_sonotypes is 2 or more, and at most n_insecta": focal_insects >= 0 and self.n_sonotypes >= 2,
            "n_mute_amphibia is 1 or more, and at most n_amphibia": 1 <= self.n_mute_amphibia <= self.n_amphibia,
            "mirrors name different sonotypes": self._mirrors_are_sound(),
            "n_clips is at least the number of classes with clips plus 16": self.n_clips >= self.n_focal + 16,
            "n_labelled is 6 or more": self.n_labelled >= 6,
            "n_partial is between 1 and n_labelled - 4": 1 <= self.n_partial <= self.n_labelled - 4,
            "n_unlabelled is 1 or more": self.n_unlabelled >= 1,
            "n_test is 3 or more": self.n_test >= 3,
            "corrupt_test is between 0 and n_test": 0 <= self.corrupt_test <= self.n_test,
            "test_share is between 0 and 1": 0 <= self.test_share <= 1,
            "activity is positive": self.activity > 0,
            "clip_max_s >= clip_median_s >= 1": self.clip_max_s >= self.clip_median_s >= 1,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise BadInput(
                "the miniature's spec contradicts itself",
                expected="; ".join(broken),
                got=asdict(self),
                do="set the fields so that these rules hold",
            )

    def _mirrors_are_sound(self) -> bool:
        numbers = [number for group in self.mirrors for number in group]
        return (
            len(numbers) == len(set(numbers))
            and all(1 <= number <= self.n_sonotypes for number in numbers)
            and all(len(group) >= 2 for group in self.mirrors)
            and len(self.mirrors) >= 1
        )

    @classmethod
    def tiny(cls) -> "MiniatureSpec":
        """Twelve classes and fourteen soundscapes with every quirk: the spec for other modules' tests."""
        return cls(
            n_aves=5,
            n_amphibia=2,
            n_insecta=3,
            n_mammalia=1,
            n_reptilia=1,
            n_sonotypes=2,
            mirrors=((1, 2),),
            n_clips=40,
            clip_median_s=4.0,
            clip_max_s=8.0,
            n_labelled=8,
            n_partial=1,
            n_unlabelled=2,
            n_test=4,
        )

    @classmethod
    def full_width(cls) -> "MiniatureSpec":
        """The 234 classes of the real contest, with few and short files."""
        return cls(
            n_aves=162,
            n_amphibia=35,
            n_insecta=28,
            n_mammalia=8,
            n_reptilia=1,
            n_sonotypes=25,
            n_mute_amphibia=3,
            mirrors=((15, 16), (9, 12), (2, 14), (13, 21, 22, 23)),
            n_clips=260,
            clip_median_s=2.0,
            clip_max_s=6.0,
            n_labelled=7,
            n_partial=2,
            n_unlabelled=3,
            n_test=4,
            test_share=0.3,
        )

    @property
    def n_classes(self) -> int:
        """The number of classes, with and without focal clips."""
        return self.n_aves + self.n_amphibia + self.n_insecta + self.n_mammalia + self.n_reptilia

    @property
    def n_focal(self) -> int:
        """The number of classes that have at least one focal clip."""
        return self.n_classes - self.n_sonotypes - self.n_mute_amphibia

    def stream(self, *names: str) -> np.random.Generator:
        """The random generator of one named thing: it depends on the seed and the names, on nothing else."""
        return np.random.default_rng([self.seed, *(crc32(name.encode()) for name in names)])

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of the spec and of the code that reads it: other code makes another miniature."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        for source in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(source.read_bytes())
        return digest.hexdigest()[:16]


def with_settings(spec: MiniatureSpec, settings: Iterable[str]) -> MiniatureSpec:
    """The spec with `name=value` texts applied, each value read as JSON and checked against its field's type."""
    types = {field.name: field.type for field in fields(spec)}
    changes: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in types:
            raise BadInput(
                f"setting {setting!r} names no field of the miniature's spec",
                expected=f"one of {', '.join(types)}",
                got=name,
                do="write --set name=value, e.g. --set n_clips=200",
            )
        changes[name] = _parse_value(name, text, types[name])
    return replace(spec, **changes)


def _parse_value(name: str, text: str, kind: object) -> object:
    """The value of a setting's text for a field of this type."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is int and whole:
        return value
    if kind is float and (whole or isinstance(value, float)):
        return float(value)
    if typing.get_origin(kind) is tuple and isinstance(value, list) and all(isinstance(part, list) for part in value):
        return tuple(tuple(part) for part in value)
    raise BadInput(f"the value of {name} cannot be used", expected=kind, got=text, do=f"write --set {name}=<{kind}>")
