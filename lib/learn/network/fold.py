"""The training of one fold of a network, in the process it is sent to, with scores on what the fold holds out."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from lib.competition.prepared import Prepared
from lib.competition.row_ids import WINDOW_S
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.staging import final_place
from lib.judge.metric import class_auc
from lib.learn.cache.audio import AudioCache, as_float
from lib.learn.network.config import NetworkPlan
from lib.learn.network.dataset import Batch, CropTable, Examples, fold_examples
from lib.learn.network.loader import BatchLoader, Prefetcher
from lib.learn.network.loop import ScoreCallback, Trained, train
from lib.learn.network.losses import distillation_loss, make_loss, mixed_loss, output_loss, soft_label_loss
from lib.learn.network.mixing import augment_batch, mix_pseudo_with_clips
from lib.learn.network.train_step import StepLoss
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

_FULL_DATA_SEED = 999  # beyond any fold's number
_CLIPS_A_CLASS = 5  # held-out clips that an epoch's score is taken from
_CLIP_ROWS = 64
_ROOMS = ("competition", "sound", "models", "learn")  # whose code decides on weights: a changed line trains anew


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A plan, its data and its seed: everything that the weights of every fold depend on. Calling it trains a fold.

    A fold of None is the network of the full data, which holds nothing out.
    """

    plan: NetworkPlan
    prepared: Prepared
    competition: Path
    member: Path  # the folder of the member that the folds make together
    seed: int
    pseudo_labels: PseudoLabelSource | None = None
    unlabelled: tuple[str, ...] = ()  # soundscapes that may become backgrounds
    cache: AudioCache = field(default_factory=lambda: AudioCache(Path(), {}))  # empty until `prepare_run` fills one
    fingerprint: str = ""  # of all that the weights depend on, beside the fold; set once, before processes start

    @property
    def folder(self) -> Path:
        """The folder of the training, beside the published `members/`: one for each configuration."""
        return final_place(self.member).parent.parent / "training" / f"{self.member.name}-{self.fingerprint[:8]}"

    def weights_fingerprint(self) -> str:
        """Compute the fingerprint of all that the weights depend on, beside the fold."""
        facts = [self.prepared.facts.data_version, self.prepared.folds.version, fingerprint.of_lib(*_ROOMS)]
        facts += [fingerprint.of_file(find_embedder(self.plan.embedder))] if self.plan.embedder else []
        plan = replace(self.plan, serve="folds")  # which networks are served does not change what a fold learns
        return fingerprint.of_json([asdict(plan), self.seed, *facts, *self._label_facts])

    @property
    def config_fingerprint(self) -> str:
        """The fingerprint of plan, seed and pseudo-labels, as on the member's card and in the ledger."""
        return fingerprint.of_json([asdict(self.plan), self.seed, *self._label_facts])

    @property
    def _label_facts(self) -> list:
        return [self.pseudo_labels.manifest, self.pseudo_labels.pooled] if self.pseudo_labels else []

    def fold_folder(self, fold: int | None) -> Path:
        """The folder with checkpoint, history and weights of a fold."""
        return self.folder / fold_name(fold).replace(" ", "")

    def examples(self, fold: int | None) -> Examples:
        """The examples that a fold's network may train on."""
        plan = self.plan
        examples = fold_examples(self.prepared, self.unlabelled, fold, plan.targets, plan.crop.seconds)
        return replace(examples, pseudo=self.pseudo_crops(self.pseudo_labels, fold)) if self.pseudo_labels else examples

    def pseudo_crops(self, labels: PseudoLabelSource, fold: int | None) -> CropTable:
        """The crops of these pseudo-labels that a fold's network may train on."""
        plan = self.plan
        return labels.crops(self.prepared, fold, plan.crop.seconds, plan.gate, plan.pseudo)

    def spectrograms(self, stems: list[str]) -> np.ndarray:
        """(12 a soundscape, 1, mels, frames) the networks' input for soundscapes of the cache."""
        window_spec, front_end = self.plan.window_spec, self.plan.front_end
        return np.concatenate([window_spec.spectrograms(as_float(self.cache.samples(s)), front_end) for s in stems])

    def network(self, fold: int | None) -> Network:
        """The trained network of a fold, in eval mode."""
        network = build_network(self.plan.network, len(self.prepared.classes), pretrained_from="")
        network.load_state_dict(torch.load(self.fold_folder(fold) / "network.pt", weights_only=True))
        return network.eval()

    def __call__(self, fold: int | None, device: str) -> Trained:
        """Train the fold, or go on where it stopped; its weights are then in `network.pt` of its folder."""
        plan, seed = self.plan, 1000 * self.seed + (_FULL_DATA_SEED if fold is None else fold)
        examples = self.examples(fold)
        mel = MelSpectrogram(plan.front_end)
        loader = BatchLoader(
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
            steps_per_epoch=plan.loop.steps_per_epoch or loader.batches_per_pass,
            patience=0 if fold is None else plan.loop.patience,  # nothing is left to score the full data's network by
        )
        torch.manual_seed(seed)
        network = build_network(plan.network, len(self.prepared.classes), plan.weights)
        # as measured, a third faster on a CPU, more on a GPU
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        trained = train(
            network,
            prefetch_batches(loader, loop.steps, device),
            make_step_loss(plan, mel.to(device), examples),
            loop,
            self.fold_folder(fold),
            seed=seed,
            config=self.fingerprint,
            score=None if fold is None else _held_out_score(self, fold),
            device=device,
        )
        torch.save(network.cpu().state_dict(), self.fold_folder(fold) / "network.pt")
        return trained


def prefetch_batches(loader: BatchLoader, stop: int, device: str) -> Callable[[int], Iterator[Batch]]:
    """The loop's source of batches, made ahead by threads; even on one core that overlaps reading from disk."""

    def stream(start: int) -> Iterator[Batch]:
        for _, batch in Prefetcher(loader, start, stop, threads=1 if device == "cpu" else 4, pinned=device != "cpu"):
            yield batch

    return stream


def make_step_loss(plan: NetworkPlan, mel: MelSpectrogram, examples: Examples) -> StepLoss:
    """The function from network and batch to the loss of a step: augmentation, spectrograms, forward pass, loss."""
    positives = torch.from_numpy(examples.clips.targets.sum(axis=0))
    positives = positives + torch.from_numpy(examples.soundscapes.targets.sum(axis=0))
    hard, soft = make_loss(plan.loss, positives), soft_label_loss(plan.pseudo)
    embedder = distillation_embedder(plan)

    def step_loss(network: Network, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        with torch.no_grad():
            if batch.pseudo is not None and plan.pseudo.pseudo_mode == "mixup":
                batch = mix_pseudo_with_clips(batch, generator)
            batch = augment_batch(batch, generator, plan.augment)
            inputs = augment_spectrograms(mel(batch.audio), generator, plan.augment)[:, None]
        output = network(inputs.contiguous(memory_format=torch.channels_last), batch.soundscape)
        loss = hard if batch.pseudo is None else mixed_loss(hard, soft, batch.pseudo)
        value = output_loss(loss, plan.loss, output, batch.targets, batch.weights)
        if embedder:  # it embeds what the network sees, mixtures too
            audio = batch.audio[:, mel.context_samples :][:, : plan.crop.samples].cpu().numpy()
            teacher = torch.from_numpy(embedder.embeddings(audio)).to(batch.audio.device)
            student = network.predict_teacher_embedding(output.embedding)
            value = value + distillation_loss(plan.loss, student, teacher)
        return value

    return step_loss


def distillation_embedder(plan: NetworkPlan) -> Perch | None:
    """The opened embedder that the plan distils from, or None where it names none; a plan that cannot is an error."""
    if not plan.embedder and not plan.network.distil_size:
        return None
    if not plan.embedder or plan.crop.seconds != WINDOW_S:
        raise BadInput(
            "the plan cannot distil",
            expected=f"an embedder, and crops of {WINDOW_S} seconds",
            got=f"embedder {plan.embedder!r}, {plan.crop.seconds} seconds",
            do=f"set embedder to an ONNX file and seconds to {WINDOW_S}, or set distil_size to 0",
        )
    embedder = Perch(OnnxFile(find_embedder(plan.embedder)))
    if embedder.embedding_size != plan.network.distil_size:
        raise BadInput(
            f"distil_size is not the size of {plan.embedder}'s embeddings",
            expected=f"distil_size {embedder.embedding_size}",
            got=plan.network.distil_size,
            do=f"set distil_size={embedder.embedding_size}",
        )
    return embedder


def _held_out_score(run: TrainingRun, fold: int) -> ScoreCallback:
    """The judge's score after an epoch, on the soundscapes and on some clips that the fold holds out."""
    plan, prepared, cache = run.plan, run.prepared, run.cache
    windows = prepared.windows.stem.map(prepared.folds.of("soundscape")).to_numpy() == fold
    table, truth = prepared.windows[windows], prepared.labels.values[windows]
    stems = sorted(set(table.stem))
    at = table.stem.map(stems.index).to_numpy(dtype=int), table.end_s.to_numpy() // WINDOW_S - 1
    of_stem = [run.spectrograms([stem]) for stem in stems]
    clips = prepared.clips[prepared.clips.filename.map(prepared.folds.of("clip")) == fold]
    clips = clips.groupby("primary_label").head(_CLIPS_A_CLASS)
    primary = prepared.classes.multi_hot([(label,) for label in clips.primary_label])

    def score(network: Network) -> dict[str, float]:
        runner, to_probabilities = torch_runner(network), plan.window_spec.probabilities
        of_soundscapes = np.stack([batch_probabilities(runner, inputs, to_probabilities) for inputs in of_stem])
        of_clips = [
            batch_probabilities(runner, inputs, to_probabilities)
            for inputs in _clip_spectrograms(plan, cache, clips.filename.tolist())
        ]
        return {
            "soundscapes": _macro(truth, of_soundscapes[at]),
            "clips": _macro(primary, np.concatenate(of_clips)) if of_clips else float("nan"),
        }

    return score


def _clip_spectrograms(plan: NetworkPlan, cache: AudioCache, names: list[str]) -> Iterator[np.ndarray]:
    """(rows, 1, mels, frames) spectrograms of the clips' loudest crops, some at a time."""
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
