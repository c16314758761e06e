"""Head members, cross-fitted: a head a fold on a frozen embedder's output, with out-of-fold scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from lib.competition.folds import Folds
from lib.competition.prepared import Prepared
from lib.competition.row_ids import parse_soundscape
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.progress import progress
from lib.learn.head.base import FittedFold, Head, training_record
from lib.learn.head.data import HeadData, Sequences
from lib.learn.member_writer import empty_folder, median_seconds, score_held_out, write_member
from lib.learn.parallel_folds import available_devices, train_folds
from lib.models.embedder.packed import Embedder, open_embedder
from lib.models.member.card import MemberCard
from lib.models.member.golden_output import golden_sound
from lib.models.member.head import HEAD_OUTPUTS, HeadSessions, golden_soundscape, golden_tokens, site_number
from lib.sound.decode import soundscape_windows

_PARITY_LIMIT = 1e-4  # of a probability


def fit_head_members(
    prepared: Prepared, data: HeadData, heads: Mapping[Path, Head], embedder_folder: Path, seeds: Sequence[int]
) -> Iterator[MemberCard]:
    """Fit several heads, folds side by side in processes, then write one member after the other and yield its card."""
    fit = partial(_fit_heads, list(heads.values()), data, prepared.folds, seeds)
    fitted = train_folds(prepared.folds.numbers, fit, available_devices())
    for number, (folder, head) in enumerate(heads.items()):
        by_fold = {fold: of_heads[number] for fold, of_heads in fitted.items()}
        yield _write_head_member(prepared, data, head, by_fold, folder, embedder_folder, seeds)


def fit_head_member(
    prepared: Prepared, data: HeadData, head: Head, folder: Path, embedder_folder: Path, seeds: Sequence[int]
) -> MemberCard:
    """Fit one head in this process, write the member and return its card; a fold's seeds become one graph."""
    fitted = {fold: head.fit_fold(data, prepared.folds, fold, seeds) for fold in prepared.folds.numbers}
    return _write_head_member(prepared, data, head, fitted, folder, embedder_folder, seeds)


def _fit_heads(
    heads: list[Head], data: HeadData, folds: Folds, seeds: Sequence[int], fold: int, device: str
) -> list[FittedFold]:
    """Fit every head of a fold, on the CPU whatever the device: they are small."""
    return [
        head.fit_fold(data, folds, fold, seeds)
        for head in progress(heads, f"fitting {', '.join(head.kind for head in heads)}", len(heads))
    ]


def _write_head_member(
    prepared: Prepared,
    data: HeadData,
    head: Head,
    fitted: dict[int, FittedFold],
    folder: Path,
    embedder_folder: Path,
    seeds: Sequence[int],
) -> MemberCard:
    """Export the fitted folds, score what each of them holds out, write the member and return its card."""
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
    empty_folder(folder)
    for fold, of_fold in fitted.items():
        inputs = of_fold.export(folder / f"fold{fold}.onnx")
    golden = _golden_sequences(embedder, data)
    sessions = HeadSessions(folder, inputs, config)

    def predict(stem: str, folds: list[int]) -> np.ndarray:
        one = data.sequences.subset(np.array([data.sequences.stems.index(stem)]))
        return sessions.probabilities(one.embeddings, [parse_soundscape(stem).site], one.hours, folds)[0]

    oof = score_held_out(prepared, lambda stem, fold: predict(stem, [fold]))
    return write_member(
        folder,
        prepared,
        oof,
        training_record(prepared.folds, fitted),
        family="head",
        config=config | {"standin": embedder.card.standin},
        config_fingerprint=fingerprint.of_json(config),
        seed=seeds[0],
        inputs=inputs,
        outputs=HEAD_OUTPUTS,
        seconds=median_seconds(lambda stem: predict(stem, sessions.folds), data.sequences.stems),
        shared_seconds={  # heads on one embedder share its output, which is warm by now
            embedder_folder.name: median_seconds(embedder.embed, [soundscape_windows(golden_sound())])
        },
        parity=_parity(oof, prepared, data.sequences, fitted),
        golden_output=np.concatenate([of_fold.probabilities(golden) for of_fold in fitted.values()]),
    )


def _golden_sequences(embedder: Embedder, data: HeadData) -> Sequences:
    """The golden sound as a soundscape without labels."""
    soundscape = golden_soundscape(data.site_names)
    truth = np.zeros((1, *data.sequences.truth.shape[1:]), dtype=bool)
    known = np.zeros(truth.shape[:2], dtype=bool)
    embeddings = {name: value[None] for name, value in golden_tokens(embedder).items()}
    site = np.array([site_number(soundscape.site, data.site_names)])
    return Sequences((soundscape.stem,), embeddings, truth, known, site, np.array([soundscape.hour]))


def _parity(oof: Scores, prepared: Prepared, sequences: Sequences, fitted: dict[int, FittedFold]) -> float:
    """The largest difference between the files' probabilities and the fitted heads', which must be small."""
    fold_of_file = np.array([prepared.folds.of("soundscape")[stem] for stem in sequences.stems])
    of_files, worst = oof.values.reshape(sequences.truth.shape), 0.0
    for fold, of_fold in fitted.items():
        held = fold_of_file == fold
        worst = max(worst, np.abs(of_files[held] - of_fold.probabilities(sequences.subset(held))).max(initial=0.0))
    if not worst <= _PARITY_LIMIT:  # NaN is wrong too
        raise BadInput(
            "the exported head differs from the fitted one",
            expected=f"at most {_PARITY_LIMIT}",
            got=worst,
            do="fix the head's export: its graph must compute what the head's logits method does",
        )
    return float(worst)
