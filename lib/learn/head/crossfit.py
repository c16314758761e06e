"""Head members, cross-fitted: a head a fold on an embedder's tokens, and scores of what each fold never met."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from lib.competition.folds import Folds
from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.learn.head.base import FittedFold, Head, training_record
from lib.learn.head.data import HeadData, Sequences
from lib.learn.member_writer import seal_member
from lib.learn.parallel_folds import available_devices, train_folds
from lib.models.embedder.packed import Embedder, open_embedder
from lib.models.member.card import MemberCard
from lib.models.member.golden_output import golden_sound, write_golden_output
from lib.models.member.head import HEAD_OUTPUTS, HeadSessions, golden_soundscape, golden_tokens, site_number
from lib.sound.decode import soundscape_windows

PARITY_LIMIT = 1e-4  # of a chance


def fit_head_members(
    prepared: Prepared, data: HeadData, heads: Mapping[Path, Head], embedder_folder: Path, seeds: Sequence[int]
) -> Iterator[MemberCard]:
    """Fit several heads, folds side by side in processes, then write one member after the other and give its card."""
    work = partial(_teach_all, list(heads.values()), data, prepared.folds, seeds)
    taught = train_folds(prepared.folds.numbers, work, available_devices())
    for number, (folder, head) in enumerate(heads.items()):
        of_fold = {fold: of_heads[number] for fold, of_heads in taught.items()}
        yield _write_member(prepared, data, head, of_fold, folder, embedder_folder, seeds)


def fit_head_member(
    prepared: Prepared, data: HeadData, head: Head, folder: Path, embedder_folder: Path, seeds: Sequence[int]
) -> MemberCard:
    """Fit one head in this process, write the member and return its card; a fold's seeds become one graph."""
    folds = prepared.folds
    taught = {fold: head.fit_fold(data, folds, fold, seeds) for fold in folds.numbers}
    return _write_member(prepared, data, head, taught, folder, embedder_folder, seeds)


def _teach_all(
    heads: list[Head], data: HeadData, folds: Folds, seeds: Sequence[int], fold: int, device: str
) -> list[FittedFold]:
    """Every head of a fold; they are small, so `device` is not asked for."""
    return [
        head.fit_fold(data, folds, fold, seeds)
        for head in progress(heads, f"fitting {', '.join(head.kind for head in heads)}", len(heads))
    ]


def _write_member(
    prepared: Prepared,
    data: HeadData,
    head: Head,
    taught: dict[int, FittedFold],
    folder: Path,
    embedder_folder: Path,
    seeds: Sequence[int],
) -> MemberCard:
    """The card of the member, which is then whole: graphs, probe, scores of what each fold never met."""
    embedder = open_embedder(embedder_folder, prepared.classes)
    config = {
        "head": head.kind,
        "settings": asdict(head.settings),
        "seeds": list(seeds),
        "rolls": list(head.rolls),
        "flip": head.flip,
        "sites": list(data.site_names),
        "embedder": embedder_folder.name,
        "embedder_manifest": embedder.manifest,
    }
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for fold, of in taught.items():
        inputs = of.export(folder / f"fold{fold}.onnx")
    probe = _probe_sequences(embedder, data)
    write_golden_output(folder, np.concatenate([of.probabilities(probe) for of in taught.values()]))
    files = HeadSessions(folder, inputs, config)
    oof, seconds = _held_out(prepared, data.sequences, files)
    seconds["embedder"] = _seconds(embedder)
    card = MemberCard(
        name=folder.name,
        family="head",
        class_hash=prepared.classes.hash,
        config=config
        | {"seconds": seconds, "standin": embedder.card.standin},  # heads on one embedder hear it once together
        config_fingerprint=fingerprint.of_json(config),
        lib_fingerprint=fingerprint.of_lib(),
        data_version=prepared.facts.data_version,
        seed=seeds[0],
        inputs=inputs,
        outputs=HEAD_OUTPUTS,
        seconds_per_soundscape=sum(seconds.values()),
        parity_max_abs=_parity(oof, prepared, data.sequences, taught),
    )
    seal_member(folder, card, oof, training_record(prepared.folds, taught))
    return card


def _probe_sequences(embedder: Embedder, data: HeadData) -> Sequences:
    """The probe as one soundscape that nobody labelled."""
    probe = golden_soundscape(data.site_names)
    truth = np.zeros((1, *data.sequences.truth.shape[1:]), dtype=bool)
    embeddings = {name: value[None] for name, value in golden_tokens(embedder).items()}
    site = np.array([site_number(probe.site, data.site_names)])
    return Sequences((probe.stem,), embeddings, truth, truth.any(axis=2), site, np.array([probe.hour]))


def _held_out(prepared: Prepared, sequences: Sequences, files: HeadSessions) -> tuple[Scores, dict[str, float]]:
    """All windows of each soundscape by the file of the fold that holds it out; the seconds that all files take."""
    fold_of = prepared.folds.of("soundscape")
    values, spent = [], []
    for row, stem in enumerate(sequences.stems):
        one, site = sequences.only(np.array([row])), parse_soundscape(stem).site
        start = time.perf_counter()
        values.append(files.probabilities(one.embeddings, [site], one.hours, [fold_of[stem]])[0])
        spent.append(len(files.folds) * (time.perf_counter() - start))
    rows = [row for stem in sequences.stems for row in row_ids(stem)]
    oof = Scores(np.concatenate(values), rows, prepared.classes.labels, "prob")
    return oof, {"head": float(np.median(spent))}


def _parity(oof: Scores, prepared: Prepared, sequences: Sequences, taught: dict[int, FittedFold]) -> float:
    """The largest difference between the files' chances and the fitted heads', which must be small."""
    fold_of_file = np.array([prepared.folds.of("soundscape")[stem] for stem in sequences.stems])
    said, worst = oof.values.reshape(sequences.truth.shape), 0.0
    for fold, of in taught.items():
        held = fold_of_file == fold
        worst = max(worst, np.abs(said[held] - of.probabilities(sequences.only(held))).max(initial=0.0))
    if not worst <= PARITY_LIMIT:  # NaN is wrong too
        raise BadInput(
            "the exported head differs from the fitted one",
            expected=f"at most {PARITY_LIMIT}",
            got=worst,
            do="look at its export",
        )
    return float(worst)


def _seconds(embedder: Embedder) -> float:
    """The seconds in which the embedder, warm by now, hears a soundscape."""
    windows = soundscape_windows(golden_sound())
    start = time.perf_counter()
    embedder.embed(windows)
    return time.perf_counter() - start
