"""Training, ours against the plain loop: clips a second, and the share of the time spent waiting for data.

The plain loop reads a crop of each file with soundfile (torchaudio.load now needs torchcodec), makes the spectrogram
with torchaudio in the Dataset, augments nothing, and lets a DataLoader have as many workers as ours has
threads. Both see the same examples and train the same network with the same loss. Ours also averages, guards and logs.
On the CPU everything has one core, as a fold has.
"""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from lib.competition.miniature.ogg import encode_ogg
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S, WINDOW_S, WINDOWS_PER_SOUNDSCAPE
from lib.learn.cache.audio import AudioCache, CacheSettings, fill_cache, sound_path
from lib.learn.network.config import NetworkPlan, override
from lib.learn.network.dataset import CropTable, Examples
from lib.learn.network.fold import make_step_loss, prefetch_batches
from lib.learn.network.loader import BatchLoader
from lib.learn.network.loop import train
from lib.learn.network.losses import make_loss, output_loss
from lib.learn.network.presets import PRESETS
from lib.learn.network.samplers import Sampler
from lib.models.network.network import Network, build_network
from lib.models.network.pretrained import load_torchaudio
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.gpu import MelSpectrogram

_CLASSES, _CLIPS, _CLIP_S, _LABELLED, _UNLABELLED = 234, 48, 15, 4, 4
_UNCOUNTED = 2  # first steps of a round: workers start, memory is touched for the first time
_AHEAD = 4

Times = list[tuple[float, float]]  # of each batch: when it was requested, and when it came


@dataclass(frozen=True, eq=False)
class TrainingBenchData:
    """A little training data, in files and in the cache."""

    folder: Path
    examples: Examples
    cache: AudioCache


def make_training_data(folder: Path, rng: np.random.Generator) -> TrainingBenchData:
    """Ogg files of noise as long as the competition's, with random labels."""
    clips = [f"class{number}/{number}.ogg" for number in range(_CLIPS)]
    stems = [f"soundscape{number}" for number in range(_LABELLED + _UNLABELLED)]
    noise = (0.1 * rng.normal(size=SOUNDSCAPE_S * SAMPLE_RATE)).astype(np.float32)
    for item in [*clips, *stems]:
        path, seconds = sound_path(folder, item), _CLIP_S if item in clips else SOUNDSCAPE_S
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_ogg(noise[: seconds * SAMPLE_RATE], SAMPLE_RATE, item))
    windows = [stem for stem in stems[:_LABELLED] for _ in range(WINDOWS_PER_SOUNDSCAPE)]
    starts = np.tile(WINDOW_S * np.arange(WINDOWS_PER_SOUNDSCAPE), _LABELLED)
    examples = Examples(
        _labelled(clips, None, rng), np.arange(_CLIPS), _labelled(windows, starts, rng), tuple(stems[_LABELLED:])
    )
    return TrainingBenchData(folder, examples, fill_cache(folder, examples.items, folder / "cache", CacheSettings()))


def _labelled(items: list[str], starts_s: np.ndarray | None, rng: np.random.Generator) -> CropTable:
    """The items with random targets, all of them known."""
    targets = (rng.random((len(items), _CLASSES)) < 0.01).astype(np.float32)
    return CropTable(tuple(items), targets, np.ones_like(targets), starts_s)


def torchaudio_mel(settings: FrontEnd) -> torch.nn.Module:
    """torchaudio's transform with the same settings."""
    return load_torchaudio().transforms.MelSpectrogram(
        SAMPLE_RATE,
        settings.n_fft,
        hop_length=settings.hop_samples,
        n_mels=settings.n_mels,
        f_min=settings.fmin_hz,
        f_max=settings.fmax_hz,
        mel_scale=settings.mel_scale,
    )


class PlainDataset(Dataset):
    """Crops of files as normalised spectrograms, with their targets and weights."""

    def __init__(self, data: TrainingBenchData, plan: NetworkPlan):
        self._data, self._samples = data, plan.crop.samples
        self._mel, self._decibels = (
            torchaudio_mel(plan.front_end),
            load_torchaudio().transforms.AmplitudeToDB(top_db=80),
        )

    def __getitem__(self, place: tuple[bool, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1, mels, frames) spectrogram, (classes,) targets, (classes,) weights."""
        of_soundscapes, row = place
        source = self._data.examples.soundscapes if of_soundscapes else self._data.examples.clips
        with soundfile.SoundFile(sound_path(self._data.folder, source.items[row])) as file:
            late = file.frames - self._samples
            starts = source.starts_s  # of soundscapes alone
            file.seek(np.random.randint(late + 1) if starts is None else int(starts[row]) * SAMPLE_RATE)
            audio = torch.from_numpy(file.read(self._samples, dtype="float32"))
        mel = self._decibels(self._mel(audio))
        mel = (mel - mel.mean()) / (mel.std() + 1e-6)
        return mel[None], torch.from_numpy(source.targets[row]), torch.from_numpy(source.weights[row])


def plain_loop(data: TrainingBenchData, plan: NetworkPlan, network: Network, device: str, steps: int) -> Times:
    """A round of the plain PyTorch loop."""
    sampler = Sampler(data.examples.primary, len(data.examples.soundscapes), plan.sampler, 0)
    rows = [[(bool(of), int(row)) for of in (0, 1) for row in sampler.rows(n)[of]] for n in range(_offered(steps))]
    loader = DataLoader(
        PlainDataset(data, plan),
        batch_sampler=rows,
        num_workers=1 if device == "cpu" else 4,
        prefetch_factor=_AHEAD,
        pin_memory=device != "cpu",
    )
    loss = make_loss(plan.loss, torch.ones(_CLASSES))
    times: Times = []
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), plan.loop.learning_rate)
    for spectrograms, targets, weights in time_batches(iter(loader), times, steps):
        optimizer.zero_grad()
        output = network(spectrograms.to(device))
        value = output_loss(loss, plan.loss, output, targets.to(device), weights.to(device))
        value.backward()
        optimizer.step()
        value.item()
    return times


def our_loop(data: TrainingBenchData, plan: NetworkPlan, network: Network, device: str, steps: int) -> Times:
    """A round of the loop that trains folds."""
    mel = MelSpectrogram(plan.front_end)
    times: Times = []
    feeder = BatchLoader(
        data.examples,
        data.cache,
        plan.crop,
        plan.sampler,
        0,
        context_samples=mel.context_samples,
        with_background=plan.augment.background_p > 0,
    )
    stream, step_loss = (
        prefetch_batches(feeder, _offered(steps), device),
        make_step_loss(plan, mel.to(device), data.examples),
    )
    loop = replace(plan.loop, epochs=1, steps_per_epoch=steps)
    with tempfile.TemporaryDirectory() as folder:
        train(
            network,
            lambda start: time_batches(stream(start), times, steps),
            step_loss,
            loop,
            Path(folder),
            seed=0,
            device=device,
        )
    return times


def _offered(steps: int) -> int:
    """More batches than a round takes, so that to its end some are made ahead."""
    return steps + 2 * _AHEAD


def time_batches(stream: Iterator, times: Times, steps: int) -> Iterator:
    """So many items of the stream; the times when each was requested and when it came are added to `times`."""
    try:
        for _ in range(steps):
            requested = time.perf_counter()
            item = next(stream)
            times.append((requested, time.perf_counter()))
            yield item
    finally:
        getattr(stream, "close", lambda: None)()


def _without_augmentation(plan: NetworkPlan) -> NetworkPlan:
    """The plan without any augmentation."""
    return override(plan, **{field.name: 0.0 for field in fields(plan.augment) if field.name.endswith("_p")})


def _plans(device: str) -> dict[str, tuple[NetworkPlan, int]]:
    """The plans that are trained, and the steps of a round of each."""
    small, s3 = PRESETS["small_sed"], override(PRESETS["s3"], weights="none")
    if device != "cpu":
        return {"small_sed": (small, 40), "s3, EfficientNet-B0": (s3, 20)}
    return {"small_sed": (small, 12), "s3, EfficientNet-B0, batches of 8": (override(s3, batch_size=8), 7)}


def compare(rounds: int) -> pd.DataFrame:
    """One row a plan and loop: clips a second, the share waited for data, how many times slower than ours."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        data = make_training_data(Path(folder), np.random.default_rng(0))
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            with one_core() if device == "cpu" else contextlib.nullcontext():
                for name, (plan, steps) in _plans(device).items():
                    rows += [(f"{name}, {device}", *row) for row in _measure(data, plan, device, steps, rounds)]
    table = pd.DataFrame(rows, columns=["training", "loop", "clips/s", "waiting %"])
    fastest = table.groupby("training")["clips/s"].transform("first")
    return table.assign(**{"times ours": fastest / table["clips/s"]})


def _measure(data: TrainingBenchData, plan: NetworkPlan, device: str, steps: int, rounds: int) -> Iterator[tuple]:
    """Name, clips a second, and share of waiting in percent of each loop: medians of rounds taken in turn."""
    loops = {
        "ours": partial(our_loop, data, plan),
        "ours, nothing augmented": partial(our_loop, data, _without_augmentation(plan)),
        "plain, nothing augmented": partial(plain_loop, data, plan),
    }
    networks = {name: build_network(plan.network, _CLASSES) for name in loops}
    for name, network in networks.items():
        if name.startswith("ours"):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            times = loop(networks[name], device, steps)[_UNCOUNTED:]
            seconds = times[-1][0] - times[0][0]
            waited = sum(came - requested for requested, came in times[:-1])
            seen[name].append((plan.sampler.batch_size * (len(times) - 1) / seconds, 100 * waited / seconds))
    for name, both in seen.items():
        yield name, median(pace for pace, _ in both), median(share for _, share in both)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Pin everything in the block to one core, where the system allows it: as much as a fold has on a CPU."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
