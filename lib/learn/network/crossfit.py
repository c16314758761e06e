"""A network member: a network a fold, trained, exported, compared with its export, and scored out of fold."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.competition.prepared import Prepared, load_prepared
from lib.competition.row_ids import SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES, WINDOWS_PER_SOUNDSCAPE
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.progress import progress
from lib.judge.leakage import Training, crossfit_training
from lib.learn.cache.audio import CacheSettings, fill_cache, sound_path
from lib.learn.member_writer import empty_folder, median_seconds, score_held_out, write_member
from lib.learn.network.config import NetworkPlan
from lib.learn.network.dataset import fold_examples, soundscape_stems
from lib.learn.network.fold import TrainingRun, distillation_embedder
from lib.learn.network.loop import Trained
from lib.learn.parallel_folds import available_devices, fold_name, train_folds
from lib.learn.soft_labels.crops import PseudoLabelSource, load_pseudo_labels
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OUTPUTS, export_network
from lib.models.export.parity import Runner, onnx_runner, parity, torch_runner
from lib.models.member.card import MemberCard
from lib.models.member.golden_output import golden_sound
from lib.models.member.network import FULL_DATA_FILE
from lib.models.member.windows import mean_probabilities
from lib.models.network.network import Network
from lib.sound.decode import decode, fit_length
from lib.sound.mel.cpu import file_peak_db
from lib.sound.mel.gpu import MelSpectrogram

_PARITY_SOUNDSCAPES = 2
_MAX_UNLABELLED = 1000  # soundscapes that become backgrounds: 4 GB decoded, and other air enough


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """The result of training: histories and out-of-fold scores; all folds together make a member, which has a card."""

    run: TrainingRun
    history: pd.DataFrame  # a row an epoch of each fold
    oof: Scores  # the labelled soundscapes that the trained folds hold out
    full_data_history: pd.DataFrame | None = None  # a row an epoch, where a network of the full data is served
    card: MemberCard | None = None
    parity: pd.DataFrame | None = None  # a row a fold and runtime


def fit_network(
    plan: NetworkPlan,
    prepared_folder: Path,
    competition: Path,
    member: Path,
    *,
    cache_folder: Path,
    seed: int,
    folds: Sequence[int] | None = None,
    labels: Path | None = None,
    pooled: bool = False,
    others: Mapping[str, Path] | None = None,
) -> TrainedNetworks:
    """Train the folds, all by default, side by side; if these are all, write the member.

    `labels` is a folder of soft labels, of which each fold trains on those of its own teachers; with `pooled`, on the
    mean of all teachers and on held-out soundscapes too, which no judge accepts. `others` are the folders of members by
    name, if teachers lie elsewhere than beside the member. Training lies beside the members, in a folder of its own a
    configuration: what is finished is not trained again, and what was interrupted goes on.
    """
    prepared = load_prepared(prepared_folder)
    requested = _requested_folds(prepared, folds)
    complete = requested == prepared.folds.numbers
    pseudo_labels = load_pseudo_labels(labels, pooled, plan.pseudo, prepared, competition, member.parent, others)
    jobs: list[int | None] = [*requested, *([None] if complete and plan.serve == "one" else [])]
    run = prepare_run(TrainingRun(plan, prepared, competition, member, seed, pseudo_labels), jobs, cache_folder)
    trained = train_folds(jobs, run, available_devices())
    if complete:
        return _write_network_member(run, trained)
    return TrainedNetworks(
        run, _history(trained), _score(run, {fold: torch_runner(run.network(fold)) for fold in jobs})
    )


def prepare_run(run: TrainingRun, folds: Sequence[int | None], cache_folder: Path) -> TrainingRun:
    """The run with everything decoded that the networks of these folds train on or are scored on."""
    plan, prepared = run.plan, run.prepared
    distillation_embedder(plan)  # refuse an unfit one before anything is decoded
    if plan.augment.background_p > 0:
        run = replace(run, unlabelled=_background_stems(run))
    examples = fold_examples(prepared, run.unlabelled, None, plan.targets, plan.crop.seconds)
    pseudo = _pseudo_stems(run, run.pseudo_labels, folds, cache_folder) if run.pseudo_labels else []
    items = [*examples.items, *prepared.windows.stem, *pseudo]
    cache = fill_cache(run.competition, items, cache_folder, CacheSettings())
    return replace(run, cache=cache, fingerprint=run.weights_fingerprint())


def _requested_folds(prepared: Prepared, folds: Sequence[int] | None) -> list[int]:
    """The numbers of the folds to train, in order; all if None."""
    numbers = prepared.folds.numbers
    requested = numbers if folds is None else sorted(set(folds))
    if not requested or not set(requested) <= set(numbers):
        raise BadInput(
            "no such fold", expected=f"some of {numbers}", got=requested, do="set fold to all, or to one of these"
        )
    return requested


def _background_stems(run: TrainingRun) -> tuple[str, ...]:
    """The unlabelled soundscapes that may become backgrounds: always the same choice, whatever else is there."""
    unlabelled = set(soundscape_stems(run.competition)) - set(run.prepared.windows.stem)
    return tuple(sorted(sorted(unlabelled, key=fingerprint.of_text)[:_MAX_UNLABELLED]))


def _pseudo_stems(
    run: TrainingRun, labels: PseudoLabelSource, folds: Sequence[int | None], cache_folder: Path
) -> list[str]:
    """The soundscapes of which crops pass the gate of any of the folds; prints how many, and their size decoded."""
    stems: dict[str, None] = {}
    for fold in folds:
        crops = run.pseudo_crops(labels, fold)
        print(f"{fold_name(fold)}: {labels.summary(run.prepared, fold, crops)}", flush=True)
        stems |= dict.fromkeys(crops.items)
    if missing := sorted(stem for stem in stems if not sound_path(run.competition, stem, cache_folder).is_file()):
        raise BadInput(
            "soundscapes that were labelled are not there",
            got=f"no {shorten(missing)}",
            expected=f"all {len(stems)} that pass the gate, in {run.competition}",
            do="attach the recordings that were labelled, or label those that are here",
        )
    gigabytes = 2e-9 * SOUNDSCAPE_SAMPLES * len(stems)
    print(f"pseudo-labels: {len(stems)} soundscapes, {gigabytes:.2f} GB once they are decoded", flush=True)
    return sorted(stems)


def _write_network_member(run: TrainingRun, trained: Mapping[int | None, Trained]) -> TrainedNetworks:
    """Export the networks of all folds, and of the full data where there is one, score them, write the member."""
    networks = {fold: run.network(fold) for fold in trained}
    served = [None] if None in trained else list(trained)
    empty_folder(run.member)
    table = _export(run, networks)
    files = {fold: onnx_runner(run.member / _file(fold)) for fold in networks}
    oof = _score(run, files)
    labels = run.pseudo_labels
    card = write_member(
        run.member,
        run.prepared,
        oof,
        _training_record(run),
        family="network",
        config=asdict(run.plan) | ({"labels": labels.manifest, "pooled": labels.pooled} if labels else {}),
        config_fingerprint=run.config_fingerprint,
        seed=run.seed,
        inputs=NETWORK_INPUTS,
        outputs=NETWORK_OUTPUTS,
        seconds=median_seconds(
            lambda stem: _predict(run, stem, [files[fold] for fold in served]), sorted(set(run.prepared.windows.stem))
        ),
        parity=float(table.max_abs.max()),
        golden_output=_golden_output(run, [networks[fold] for fold in served]),
    )
    of_folds = _history({fold: result for fold, result in trained.items() if fold is not None})
    of_full_data = _history({None: trained[None]}).drop(columns="fold") if None in trained else None
    return TrainedNetworks(run, of_folds, oof, of_full_data, card, table)


def _history(trained: Mapping[int | None, Trained]) -> pd.DataFrame:
    """A row an epoch of each fold: fold, epoch, loss, skipped steps, the scores, and how fast it went."""
    rows = [
        {"fold": fold, **epoch, **epoch["scores"], **speed}
        for fold, of_fold in trained.items()
        for epoch, speed in zip(of_fold.history, of_fold.pace, strict=True)
    ]
    return pd.DataFrame(rows).drop(columns="scores")


def _file(fold: int | None) -> str:
    """The name of a fold's graph."""
    return FULL_DATA_FILE if fold is None else f"fold{fold}.onnx"


def _export(run: TrainingRun, networks: Mapping[int | None, Network]) -> pd.DataFrame:
    """Write each fold's graph and compare it with its network on real windows; a row a fold and runtime."""
    windows = run.spectrograms(sorted(set(run.prepared.windows.stem))[:_PARITY_SOUNDSCAPES])
    tables = {}
    for fold, network in progress(networks.items(), "exporting folds", len(networks)):
        path = run.member / _file(fold)
        export_network(network, path, *windows.shape[2:])
        tables[fold_name(fold)] = parity(network, path, windows, run.plan.window_spec.probabilities)
    return pd.concat(tables, names=["fold", "runtime"])


def _score(run: TrainingRun, networks: Mapping[int | None, Runner]) -> Scores:
    """Out-of-fold scores of the labelled soundscapes that these folds hold out."""
    folds = [fold for fold in networks if fold is not None]
    return score_held_out(run.prepared, lambda stem, fold: _predict(run, stem, [networks[fold]]), folds)


def _predict(run: TrainingRun, stem: str, networks: list[Runner]) -> np.ndarray:
    """(12, classes) mean probabilities of a soundscape, from its file on."""
    audio = decode(run.competition / "train_soundscapes" / f"{stem}.ogg")
    return mean_probabilities(
        run.plan.window_spec.spectrograms(audio, run.plan.front_end), run.plan.window_spec, networks
    )


def _training_record(run: TrainingRun) -> Training:
    """The record of what each fold's network trained on: all it does not hold out, backgrounds, pseudo-labels.

    External recordings are left out: they are none of the contest's, and their names give no site and day.
    """
    training, labels = crossfit_training(run.prepared.folds), run.pseudo_labels
    card = labels.load(run.prepared).card if labels else None
    folds_of = defaultdict(set, {stem: set(folds) for stem, folds in training.soundscapes.items()})
    for fold in run.prepared.folds.numbers:
        examples = run.examples(fold)
        pseudo = set(examples.pseudo.items) - set(card.external) if examples.pseudo and card else set()
        for stem in [*examples.backgrounds, *sorted(pseudo)]:
            folds_of[stem].add(fold)
    teachers, pooled = list(card.teachers) if card else [], labels is not None and labels.pooled
    return replace(
        training,
        soundscapes={stem: sorted(folds) for stem, folds in folds_of.items()},
        teachers=[] if pooled else teachers,
        pooled_teachers=teachers if pooled else [],
    )


def _golden_output(run: TrainingRun, networks: Iterable[Network]) -> np.ndarray:
    """(networks, 12, classes) the training side's output: torch's front end, on windows cut one by one."""
    window_spec, front_end = run.plan.window_spec, run.plan.front_end
    mel = MelSpectrogram(front_end)
    inside = np.pad(fit_length(golden_sound(), SOUNDSCAPE_SAMPLES), window_spec.margin_samples, mode="reflect")
    padded = np.pad(inside, mel.context_samples, mode="reflect")
    length = window_spec.samples + 2 * mel.context_samples
    windows = [padded[row * WINDOW_SAMPLES :][:length] for row in range(WINDOWS_PER_SOUNDSCAPE)]
    peaks = torch.full((WINDOWS_PER_SOUNDSCAPE,), file_peak_db(inside, front_end))
    with torch.no_grad():
        spectrograms = mel(torch.from_numpy(np.stack(windows)), peaks)[:, None].numpy()
    return np.stack([mean_probabilities(spectrograms, window_spec, [torch_runner(network)]) for network in networks])
