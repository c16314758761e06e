"""A network member: a network a fold, exported and held against itself, with scores of what each fold never heard."""

import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.competition.prepared import Prepared, load_prepared
from lib.competition.row_ids import SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES, WINDOWS_PER_SOUNDSCAPE, row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.progress import progress
from lib.judge.leakage import Training, training_on
from lib.learn.cache.audio import AudioCache, CacheSettings, fill_cache, sound_path
from lib.learn.member_writer import seal_member
from lib.learn.network.config import NetworkPlan
from lib.learn.network.dataset import fold_examples, soundscape_stems
from lib.learn.network.fold import TrainingRun, distillation_embedder
from lib.learn.network.loop import Trained
from lib.learn.parallel_folds import available_devices, fold_name, train_folds
from lib.learn.soft_labels.crops import load_pseudo_labels
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OUTPUTS, export_network
from lib.models.export.parity import Runner, onnx_runner, parity, torch_runner
from lib.models.member.card import MemberCard
from lib.models.member.golden_output import golden_sound, write_golden_output
from lib.models.member.network import FULL_DATA_FILE
from lib.models.member.windows import mean_probabilities
from lib.models.network.network import Network
from lib.sound.decode import decode, fit_length
from lib.sound.mel.cpu import file_peak_db
from lib.sound.mel.gpu import MelSpectrogram

_PARITY_SOUNDSCAPES = 2
_TIMED = 8  # soundscapes that a member's seconds are taken from
_MOST_UNLABELLED = 1000  # soundscapes that become backgrounds: 4 GB decoded, and other air enough


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """What training a network left; all folds together make a member, which has a card."""

    history: pd.DataFrame  # a row an epoch of each fold
    oof: Scores  # the labelled soundscapes that the trained folds hold out
    run: TrainingRun
    whole: pd.DataFrame | None = None  # a row an epoch of the network of everything, where one is served
    card: MemberCard | None = None
    parity: pd.DataFrame | None = None  # a row a fold and runtime

    @property
    def config_fingerprint(self) -> str:
        """What tells this plan and seed from another, on a card and in the ledger."""
        taught = [self.run.taught.manifest, self.run.taught.pooled] if self.run.taught else []
        return fingerprint.of_json([asdict(self.run.plan), self.run.seed, *taught])


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

    `labels` is a folder of soft labels, of which each fold hears what its own teachers said; with `pooled`, everything
    and what all of them said, which no judge accepts. `others` says where members are, if teachers lie elsewhere.
    Training lies beside the members, in a folder of its own a configuration: what is finished is not trained again,
    and what was interrupted goes on.
    """
    prepared = load_prepared(prepared_folder)
    wanted = prepared.folds.numbers if folds is None else sorted(set(folds))
    if not wanted or not set(wanted) <= set(prepared.folds.numbers):
        raise BadInput("no such fold", expected=f"some of {prepared.folds.numbers}", got=wanted, do="correct fold")
    whole = [None] if plan.serve == "one" and wanted == prepared.folds.numbers else []
    taught = load_pseudo_labels(labels, pooled, plan.pseudo, prepared, competition, member.parent, others)
    run = prepare_run(
        TrainingRun(plan, prepared_folder, (), AudioCache(cache_folder, {}), member, seed, taught),
        prepared,
        competition,
        cache_folder,
        [*wanted, *whole],
    )
    trained = train_folds([*wanted, *whole], run, available_devices())
    history = pd.concat([_history(fold, trained[fold]) for fold in wanted], ignore_index=True)
    networks = {fold: run.trained_network(fold, len(prepared.classes)) for fold in trained}
    if wanted != prepared.folds.numbers:
        asked = {fold: torch_runner(network) for fold, network in networks.items()}
        return TrainedNetworks(history, _held_out(plan, prepared, competition, asked), run)
    served = whole or wanted
    shutil.rmtree(member, ignore_errors=True)
    member.mkdir(parents=True)
    table = _export(plan, run, prepared, networks, member)
    write_golden_output(member, _probe_answers(plan, [networks[fold] for fold in served]))
    files = {fold: onnx_runner(member / _file(fold)) for fold in networks}
    oof = _held_out(plan, prepared, competition, {fold: files[fold] for fold in wanted})
    of_whole = _history(None, trained[None]).drop(columns="fold") if whole else None
    fitted = TrainedNetworks(history, oof, run, of_whole, parity=table)
    card = MemberCard(
        name=member.name,
        family="network",
        class_hash=prepared.classes.hash,
        config=asdict(plan) | ({"labels": taught.manifest, "pooled": pooled} if taught else {}),
        config_fingerprint=fitted.config_fingerprint,
        lib_fingerprint=fingerprint.of_lib(),
        data_version=prepared.facts.data_version,
        seed=seed,
        inputs=NETWORK_INPUTS,
        outputs=NETWORK_OUTPUTS,
        seconds_per_soundscape=_seconds(plan, prepared, competition, [files[fold] for fold in served]),
        parity_max_abs=float(table.max_abs.max()),
    )
    seal_member(member, card, oof, _training(run, prepared))
    return replace(fitted, card=card)


def prepare_run(
    run: TrainingRun, prepared: Prepared, competition: Path, cache_folder: Path, wanted: Sequence[int | None]
) -> TrainingRun:
    """What each fold's process is told, once all that it will hear is decoded."""
    plan = run.plan
    distillation_embedder(plan)  # what is wrong with it should be said before anything is decoded
    unlabelled = sorted(set(soundscape_stems(competition)) - set(prepared.windows.stem), key=fingerprint.of_text)
    unlabelled = tuple(sorted(unlabelled[:_MOST_UNLABELLED])) if plan.augment.background_p > 0 else ()
    run = replace(run, unlabelled=unlabelled)
    examples = fold_examples(prepared, unlabelled, None, plan.targets, plan.crop.seconds)
    taught = _stems_that_teach(run, prepared, competition, cache_folder, wanted) if run.taught else []
    items = [*examples.items, *prepared.windows.stem, *taught]
    folder = run.folder.parent.parent / "training" / f"{run.folder.name}-{run.config(prepared)[:8]}"
    return replace(run, cache=fill_cache(competition, items, cache_folder, CacheSettings()), folder=folder)


def _stems_that_teach(
    run: TrainingRun, prepared: Prepared, competition: Path, cache_folder: Path, wanted: Sequence[int | None]
) -> list[str]:
    """The soundscapes of which crops pass the gate of any of the folds; what they take is said."""
    stems = {}
    for fold in wanted:
        source = run.examples(prepared, fold).pseudo
        print(f"{fold_name(fold)}: {run.taught.told(prepared, fold, source)}", flush=True)
        stems |= dict.fromkeys(source.items)
    if missing := sorted(stem for stem in stems if not sound_path(competition, stem, cache_folder).is_file()):
        raise BadInput(
            "soundscapes that were labelled are not there",
            got=f"no {shorten(missing)}",
            expected=f"all {len(stems)} that pass the gate, in {competition}",
            do="attach the recordings that were labelled, or label those that are here",
        )
    gigabytes = 2e-9 * SOUNDSCAPE_SAMPLES * len(stems)
    print(f"pseudo-labels: {len(stems)} soundscapes, {gigabytes:.2f} GB once they are decoded", flush=True)
    return sorted(stems)


def _history(fold: int | None, trained: Trained) -> pd.DataFrame:
    """A row an epoch: fold, epoch, loss, skipped steps, the scores, and how fast it went."""
    rows = [
        {"fold": fold, **epoch, **epoch["scores"], **speed}
        for epoch, speed in zip(trained.history, trained.pace, strict=True)
    ]
    return pd.DataFrame(rows).drop(columns="scores")


def _file(fold: int | None) -> str:
    """The name of a fold's graph."""
    return FULL_DATA_FILE if fold is None else f"fold{fold}.onnx"


def _export(
    plan: NetworkPlan, run: TrainingRun, prepared: Prepared, networks: dict[int | None, Network], member: Path
) -> pd.DataFrame:
    """Write each fold's graph, and hold it against its network on real pictures; a row a fold and runtime."""
    seen = run.pictures(sorted(set(prepared.windows.stem))[:_PARITY_SOUNDSCAPES])
    tables = {}
    for fold, network in progress(networks.items(), "exporting folds", len(networks)):
        path = member / _file(fold)
        export_network(network, path, *seen.shape[2:])
        tables[fold_name(fold)] = parity(network, path, seen, plan.window_spec.probabilities)
    return pd.concat(tables, names=["fold", "runtime"])


def _held_out(plan: NetworkPlan, prepared: Prepared, competition: Path, networks: dict[int, Runner]) -> Scores:
    """The labelled soundscapes that these folds hold out, each by its fold's network."""
    held = {stem: fold for stem, fold in sorted(prepared.folds.of("soundscape").items()) if fold in networks}
    values = [
        mean_probabilities(_seen(plan, competition, stem), plan.window_spec, [networks[fold]])
        for stem, fold in progress(held.items(), "scoring what was held out", len(held))
    ]
    rows = [row for stem in held for row in row_ids(stem)]
    return Scores(np.concatenate(values), rows, prepared.classes.labels, "prob")


def _seconds(plan: NetworkPlan, prepared: Prepared, competition: Path, served: Sequence[Runner]) -> float:
    """What the served networks take for a soundscape, from its file on: the median of some."""
    spent = []
    for stem in sorted(set(prepared.windows.stem))[:_TIMED]:
        start = time.perf_counter()
        mean_probabilities(_seen(plan, competition, stem), plan.window_spec, served)
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def _seen(plan: NetworkPlan, competition: Path, stem: str) -> np.ndarray:
    """(rows, 1, mels, frames) what networks see of a soundscape."""
    return plan.window_spec.spectrograms(decode(competition / "train_soundscapes" / f"{stem}.ogg"), plan.front_end)


def _training(run: TrainingRun, prepared: Prepared) -> Training:
    """What each fold's network has met: all that the fold does not hold out, its backgrounds, what teachers labelled.

    External recordings are left out: they are none of the contest's, and their names tell no site and day.
    """
    training, taught = training_on(prepared.folds), run.taught
    card = taught.opened(prepared).card if taught else None
    met = defaultdict(set, {stem: set(folds) for stem, folds in training.soundscapes.items()})
    for fold in prepared.folds.numbers:
        examples = run.examples(prepared, fold)
        heard = set(examples.pseudo.items) - set(card.external) if taught else set()
        for stem in [*examples.backgrounds, *sorted(heard)]:
            met[stem].add(fold)
    names = list(card.teachers) if taught else []
    return replace(
        training,
        soundscapes={stem: sorted(folds) for stem, folds in met.items()},
        teachers=[] if taught and taught.pooled else names,
        pooled_teachers=names if taught and taught.pooled else [],
    )


def _probe_answers(plan: NetworkPlan, networks: Iterable[Network]) -> np.ndarray:
    """(folds, 12, classes) what the training side says of the probe: torch's front end, on windows cut one by one."""
    window_spec, mel = plan.window_spec, MelSpectrogram(plan.front_end)
    seen = np.pad(fit_length(golden_sound(), SOUNDSCAPE_SAMPLES), window_spec.margin_samples, mode="reflect")
    whole, length = np.pad(seen, mel.context_samples, mode="reflect"), window_spec.samples + 2 * mel.context_samples
    windows = [whole[row * WINDOW_SAMPLES :][:length] for row in range(WINDOWS_PER_SOUNDSCAPE)]
    peaks = torch.full((WINDOWS_PER_SOUNDSCAPE,), file_peak_db(seen, plan.front_end))
    with torch.no_grad():
        pictures = mel(torch.from_numpy(np.stack(windows)), peaks)[:, None].numpy()
    return np.stack([mean_probabilities(pictures, window_spec, [torch_runner(network)]) for network in networks])
