"""One fold of a network: trained where it is told, on what its fold may hear, and scored on what it may not."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lib.competition.prepared import Prepared, load_prepared
from lib.competition.row_ids import WINDOW_S
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.judge.metric import class_auc
from lib.learn.cache.audio import AudioCache, as_float
from lib.learn.network.config import NetworkPlan
from lib.learn.network.dataset import Batch, Examples, fold_examples
from lib.learn.network.loader import BatchLoader, Prefetcher
from lib.learn.network.loop import Trained, train
from lib.learn.network.losses import distillation_loss, make_loss, mixed_loss, output_loss, soft_label_loss
from lib.learn.network.mixing import augment_batch, mix_pseudo_with_clips
from lib.learn.parallel_folds import fold_name
from lib.learn.soft_labels.crops import PseudoLabelSource
from lib.models.embedder.base import find_embedder
from lib.models.embedder.perch import Perch
from lib.models.export.parity import batch_probabilities, torch_runner
from lib.models.network.network import Network, build_network
from lib.models.runtime.onnx import OnnxFile
from lib.sound.augment.spectrogram import augment_spectrograms
from lib.sound.crops import crop_start, cut
from lib.sound.mel.cpu import spectrograms
from lib.sound.mel.gpu import MelSpectrogram

_SEED_OF_WHOLE = 999  # beyond any fold's number
_CLIPS_A_CLASS = 5  # held-out clips that an epoch's score is taken from
_CLIP_ROWS = 64
_ROOMS = ("competition", "sound", "models", "learn")  # whose code decides on weights: a changed line trains anew


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What the process of a fold needs to know; calling it trains one."""

    plan: NetworkPlan
    prepared: Path
    unlabelled: tuple[str, ...]  # soundscapes that may become backgrounds
    cache: AudioCache
    folder: Path
    seed: int
    taught: PseudoLabelSource | None = None

    def __call__(self, fold: int | None, device: str) -> Trained:
        """Train the fold, or go on where it stopped; its weights are then in `network.pt` of its folder.

        None is the network of everything. Nothing is left to score it by, so it has no patience.
        """
        prepared, plan, whole = load_prepared(self.prepared), self.plan, fold is None
        seed = 1000 * self.seed + (_SEED_OF_WHOLE if whole else fold)
        examples = self.examples(prepared, fold)
        mel = MelSpectrogram(plan.front_end)
        feeder = BatchLoader(
            examples,
            self.cache,
            plan.crop,
            plan.sampler,
            seed,
            context_samples=mel.context_samples,
            with_background=plan.augment.background_p > 0,
            pseudo=plan.pseudo,
        )
        loop = replace(
            plan.loop,
            steps_per_epoch=plan.loop.steps_per_epoch or feeder.batches_per_pass,
            patience=0 if whole else plan.loop.patience,
        )
        torch.manual_seed(seed)
        network = build_network(plan.network, len(prepared.classes), plan.weights)
        network = network.to(memory_format=torch.channels_last)  # as measured, a third faster on a CPU, more on a GPU
        folder = self.folder_of(fold)
        batches, step_loss = (
            prefetch_batches(feeder, loop.steps, device),
            make_step_loss(plan, mel.to(device), examples),
        )
        trained = train(
            network,
            batches,
            step_loss,
            loop,
            folder,
            seed=seed,
            config=self.config(prepared),
            score=None if whole else _score(self, prepared, fold),
            device=device,
        )
        torch.save(network.cpu().state_dict(), folder / "network.pt")
        return trained

    def examples(self, prepared: Prepared, fold: int | None) -> Examples:
        """What the fold's network may hear."""
        plan, seconds = self.plan, self.plan.crop.seconds
        own = fold_examples(prepared, self.unlabelled, fold, plan.targets, seconds)
        if not self.taught:
            return own
        return replace(own, pseudo=self.taught.crops(prepared, fold, seconds, plan.gate, plan.pseudo))

    def folder_of(self, fold: int | None) -> Path:
        """Where the training of the fold lies."""
        return self.folder / fold_name(fold).replace(" ", "")

    def config(self, prepared: Prepared) -> str:
        """The fingerprint of all that the weights depend on, beside the fold."""
        facts = [prepared.facts.data_version, prepared.folds.version, fingerprint.of_lib(*_ROOMS)]
        facts += [fingerprint.of_file(find_embedder(self.plan.embedder))] if self.plan.embedder else []
        facts += [self.taught.manifest, self.taught.pooled] if self.taught else []
        plan = replace(self.plan, serve="folds")  # who is served does not change what a fold learns
        return fingerprint.of_json([asdict(plan), self.seed, *facts])

    def spectrograms(self, stems: list[str]) -> np.ndarray:
        """(12 a soundscape, 1, mels, frames) what networks see of soundscapes."""
        plan = self.plan
        return np.concatenate(
            [plan.window_spec.spectrograms(as_float(self.cache.samples(s)), plan.front_end) for s in stems]
        )

    def trained_network(self, fold: int | None, n_classes: int) -> Network:
        """The trained network of a fold, ready to be asked."""
        network = build_network(self.plan.network, n_classes, pretrained_from="")
        network.load_state_dict(torch.load(self.folder_of(fold) / "network.pt", weights_only=True))
        return network.eval()


def prefetch_batches(feeder: BatchLoader, stop: int, device: str) -> Callable:
    """What the loop asks for batches; on one core a thread that works ahead still overlaps reading from disk."""

    def stream(start: int):
        for _, batch in Prefetcher(feeder, start, stop, threads=1 if device == "cpu" else 4, pinned=device != "cpu"):
            yield batch

    return stream


def make_step_loss(plan: NetworkPlan, mel: MelSpectrogram, examples: Examples) -> Callable:
    """What a step makes of a batch: augmentation, pictures, answers, loss."""
    positives = sum(torch.from_numpy(source.targets.sum(axis=0)) for source in (examples.clips, examples.soundscapes))
    loss, of_taught, embedder = (
        make_loss(plan.loss, positives),
        soft_label_loss(plan.pseudo),
        distillation_embedder(plan),
    )

    def step_loss(network: Network, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        with torch.no_grad():
            if batch.taught is not None and plan.pseudo.pseudo_mode == "mixup":
                batch = mix_pseudo_with_clips(batch, generator)
            batch = augment_batch(batch, generator, plan.augment)
            seen = augment_spectrograms(mel(batch.audio), generator, plan.augment)[:, None]
        output = network(seen.contiguous(memory_format=torch.channels_last), batch.soundscape)
        of_rows = loss if batch.taught is None else mixed_loss(loss, of_taught, batch.taught)
        value = output_loss(of_rows, plan.loss, output, batch.targets, batch.weights)
        if embedder:  # it hears what the network is shown, mixtures too
            heard = batch.audio[:, mel.context_samples :][:, : plan.crop.samples].cpu().numpy()
            taught = torch.from_numpy(embedder.embeddings(heard)).to(batch.audio.device)
            value = value + distillation_loss(plan.loss, network.predict_teacher_embedding(output.embedding), taught)
        return value

    return step_loss


def distillation_embedder(plan: NetworkPlan) -> Perch | None:
    """The embedder that the plan distils from, opened, if it names one; a plan that cannot is an error."""
    if not plan.embedder and not plan.network.distil_size:
        return None
    if not plan.embedder or plan.crop.seconds != WINDOW_S:
        raise BadInput(
            "the plan cannot distil",
            expected=f"an embedder, and crops of {WINDOW_S} seconds",
            got=f"embedder {plan.embedder!r}, {plan.crop.seconds} seconds",
            do="name an embedder, or set distil_size to 0",
        )
    embedder = Perch(OnnxFile(find_embedder(plan.embedder)))
    if embedder.embedding_size != plan.network.distil_size:
        raise BadInput(
            f"{plan.embedder} has other embeddings than the network is to foretell",
            expected=f"distil_size {embedder.embedding_size}",
            got=plan.network.distil_size,
            do="set distil_size to it",
        )
    return embedder


def _score(run: TrainingRun, prepared: Prepared, fold: int) -> Callable:
    """What the judge says after an epoch, on the soundscapes and on some clips that the fold holds out."""
    plan, cache = run.plan, run.cache
    windows = prepared.windows.stem.map(prepared.folds.of("soundscape")).to_numpy() == fold
    table, truth = prepared.windows[windows], prepared.labels.values[windows]
    stems = sorted(set(table.stem))
    at = table.stem.map(stems.index).to_numpy(dtype=int), table.end_s.to_numpy() // WINDOW_S - 1
    of_stem = [run.pictures([stem]) for stem in stems]
    clips = prepared.clips[prepared.clips.filename.map(prepared.folds.of("clip")) == fold]
    clips = clips.groupby("primary_label").head(_CLIPS_A_CLASS)
    primary = prepared.classes.multi_hot([(label,) for label in clips.primary_label])

    def score(network: Network) -> dict[str, float]:
        ask, chances = torch_runner(network), plan.window_spec.probabilities
        heard = np.stack([batch_probabilities(ask, seen, chances) for seen in of_stem])
        of_clips = [
            batch_probabilities(ask, seen, chances) for seen in _clip_pictures(plan, cache, clips.filename.tolist())
        ]
        return {
            "soundscapes": _macro(truth, heard[at]),
            "clips": _macro(primary, np.concatenate(of_clips)) if of_clips else float("nan"),
        }

    return score


def _clip_pictures(plan: NetworkPlan, cache: AudioCache, names: list[str]):
    """(rows, 1, mels, frames) pictures of the clips' loudest crops, some at a time."""
    samples = plan.crop.samples + 2 * plan.front_end.context_samples
    loudest, rng = replace(plan.crop, kind="energy", jitter_s=0.0), np.random.default_rng(0)
    for first in range(0, len(names), _CLIP_ROWS):
        crops = []
        for name in names[first : first + _CLIP_ROWS]:
            audio = cache.samples(name)
            start = crop_start(len(audio), samples, loudest, rng, cache.tenths(name))
            crops.append(as_float(cut(audio, start, samples)))
        yield spectrograms(np.stack(crops), plan.front_end)[:, None]


def _macro(truth: np.ndarray, values: np.ndarray) -> float:
    """The mean AUC over the classes that have one, or NaN."""
    auc = class_auc(truth, values)
    return float(auc[np.isfinite(auc)].mean()) if np.isfinite(auc).any() else float("nan")
