"""Data of the engine's benches: soundscapes, members, and a recipe of them."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from build.benches.models import SITE, make_embedder, make_heads, make_networks, make_prior
from lib.blend.recipe import Mix, Part, Recipe, RecipeMember, Step
from lib.blend.recipe_file import save_recipe
from lib.competition.classes import ClassList
from lib.competition.miniature.ogg import encode_ogg
from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES, WINDOWS_PER_SOUNDSCAPE
from lib.core.records import identity_of
from lib.models.embedder.labels import LabelMap
from lib.sound.decode import decode

CLASSES, NETWORKS = 234, "networks"
SOUNDSCAPES, ROUNDS = 12, 4  # enough for medians, and short


@dataclass(frozen=True)
class Sizes:
    """Sizes of models: as in the competition, unless a test needs them small."""

    backbone: str = "tf_efficientnet_b0"
    embedder_width: float = 1.2  # of the stand-in: Perch's own size


@dataclass(frozen=True, eq=False)
class EngineBenchData:
    """`folder` holds soundscapes/, members/ and embedders/."""

    folder: Path
    classes: ClassList
    label_map: LabelMap
    recipe: Recipe

    @property
    def files(self) -> list[Path]:
        """The soundscapes, in the order of their names."""
        return sorted((self.folder / "soundscapes").iterdir())

    @property
    def members(self) -> list[Path]:
        """The members' folders."""
        return sorted((self.folder / "members").iterdir())

    @property
    def heads(self) -> list[str]:
        """The names of the members that are heads."""
        return ["linear", "proto_ssm"]

    @property
    def embedder(self) -> Path:
        """The embedder's folder."""
        return self.folder / "embedders" / "perch"

    @property
    def embedder_file(self) -> Path:
        """The embedder's graph."""
        return self.embedder / "model.onnx"

    def folds(self, member: str) -> list[Path]:
        """A member's files, one a fold."""
        return sorted((self.folder / "members" / member).glob("fold*.onnx"))


def make_engine_data(
    folder: Path, soundscapes: int, rng: np.random.Generator, sizes: Sizes | None = None
) -> EngineBenchData:
    """Make everything in a folder; torch's generator is left seeded."""
    sizes = sizes or Sizes()
    torch.manual_seed(0)
    classes = ClassList(tuple(f"class{n}" for n in range(CLASSES)))
    (folder / "soundscapes").mkdir(parents=True)
    for number in range(soundscapes):
        name = f"BC2026_Test_{number:04d}_{SITE}_20260101_{number % 24:02d}0000.ogg"
        (folder / "soundscapes" / name).write_bytes(encode_ogg(make_sound(rng), SAMPLE_RATE, name))
    sounds = [decode(path) for path in sorted((folder / "soundscapes").iterdir())[:2]]
    label_map = make_embedder(folder, classes, sizes.embedder_width)
    make_prior(folder / "members" / "prior", classes)
    make_networks(folder / "members" / NETWORKS, classes, sizes.backbone, sounds)
    make_heads(folder, classes, sounds, rng)
    manifests = {path.name: identity_of(path) for path in sorted((folder / "members").iterdir())}
    recipe = make_recipe(classes, manifests)
    save_recipe(folder, recipe)
    (folder / "sample_submission.csv").write_text(",".join(("row_id", *classes.labels)) + "\n")
    return EngineBenchData(folder, classes, label_map, recipe)


def make_sound(rng: np.random.Generator) -> np.ndarray:
    """(1920000,) float32: in each window a call that rises or falls, near or far, in noise."""
    time_s, windows = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE, []
    for _ in range(WINDOWS_PER_SOUNDSCAPE):
        low_hz, high_hz = rng.uniform(300, 6000), rng.uniform(1000, 12000)
        call = np.sin(2 * np.pi * (low_hz * time_s + (high_hz - low_hz) * time_s**2 / 10))
        call *= np.sin(np.pi * rng.uniform(0.2, 4) * time_s) ** 4
        windows.append(10 ** rng.uniform(-2, -0.5) * call + 10 ** rng.uniform(-3, -1) * rng.normal(size=WINDOW_SAMPLES))
    return np.concatenate(windows).astype(np.float32)


def make_recipe(classes: ClassList, manifests: dict[str, str]) -> Recipe:
    """A rank blend followed by steps of each kind."""
    genera = [list(classes.labels[start : start + 3]) for start in range(0, len(classes), 3)]
    steps = [
        Step("smooth_by_kernel", {"kernel": [0.1, 0.8, 0.1], "labels": list(classes.labels[:40])}),
        Step("lift_to_neighbours", {"labels": list(classes.labels[40:]), "share": 0.2}),
        Step("smooth_unsure_windows", {"share": 0.2}),
        Step("scale_by_file", {"top_windows": 2, "power": 0.5}),
        Step("smooth_in_groups", {"groups": genera, "share": 0.1}),
        Step("add_prior", {"member": "prior", "strength": 0.2}),
    ]
    parts = [Part(NETWORKS, 0.6), Part("linear", 0.2), Part("proto_ssm", 0.2)]
    return Recipe(
        name="bench",
        class_hash=classes.hash,
        fold_version="none",
        members=[RecipeMember(name, manifest, 1.0) for name, manifest in manifests.items()],
        mixes=[Mix("blend", "rank", parts, steps)],
        prior="prior",
        score=0.5,
        interval=[0.5, 0.5],
        scored_classes=0,
    )


def print_report(
    report: Callable[[EngineBenchData, int], Iterator[str]], doc: str, arguments: list[str] | None = None
) -> int:
    """Make the data and print a bench's report on it."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soundscapes", type=int, default=SOUNDSCAPES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = make_engine_data(Path(folder), given.soundscapes, np.random.default_rng(0))
        for part in report(data, given.rounds):
            print(part, flush=True)
    return 0
