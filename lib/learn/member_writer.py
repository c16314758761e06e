"""Writing a member: held-out scores, seconds per soundscape, card, golden output and training record, sealed.

Every family of members comes through here, so that scores, times and cards mean the same for all of them.
"""

import shutil
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from lib.competition.prepared import Prepared
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.progress import progress
from lib.core.records import seal, to_json, write_json
from lib.judge.leakage import Training
from lib.models.member.card import Measured, MemberCard, write_card
from lib.models.member.golden_output import write_golden_output

TIMED_SOUNDSCAPES = 8  # enough for a median that one slow read does not move

Item = TypeVar("Item")


def empty_folder(folder: Path) -> Path:
    """Make the folder, without anything that an earlier run left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def score_held_out(
    prepared: Prepared, score: Callable[[str, int], np.ndarray], folds: Collection[int] | None = None
) -> Scores:
    """Out-of-fold scores: all windows of each labelled soundscape that one of the folds (all by default) holds out.

    `score(stem, fold)` returns the (12, classes) probabilities of a soundscape by the model of the fold that holds it
    out.
    """
    fold_of = prepared.folds.of("soundscape")
    stems = [stem for stem in sorted(fold_of) if folds is None or fold_of[stem] in folds]
    values = [score(stem, fold_of[stem]) for stem in progress(stems, "out-of-fold scores", len(stems))]
    rows = tuple(row for stem in stems for row in row_ids(stem))
    return Scores(np.concatenate(values), rows, prepared.classes.labels, "prob")


def median_seconds(infer: Callable[[Item], object], items: Sequence[Item]) -> float:
    """The median time that a call takes on the first few items."""
    seconds = []
    for item in items[:TIMED_SOUNDSCAPES]:
        start = time.perf_counter()
        infer(item)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def write_member(
    folder: Path,
    prepared: Prepared,
    oof: Scores,
    training: Training,
    *,
    family: str,
    config: dict,
    seed: int,
    inputs: list[str],
    outputs: list[str],
    seconds: float,
    parity: float,
    shared_seconds: dict[str, float] | None = None,
    config_fingerprint: str | None = None,
    golden_output: np.ndarray | None = None,
) -> MemberCard:
    """Write everything beside the model files, which are in the folder already, seal it and return the card.

    `seconds` is the time per soundscape of all served models together, `shared_seconds` that of embedders which other
    members need too. `config_fingerprint` is that of `config` by default. `golden_output` is the (models, 12, classes)
    output for the golden sound, for families that are checked against it when they are opened.
    """
    if golden_output is not None:
        write_golden_output(folder, golden_output)
    card = MemberCard(
        name=folder.name,
        family=family,
        class_hash=prepared.classes.hash,
        config=config,
        config_fingerprint=config_fingerprint or fingerprint.of_json(config),
        data_version=prepared.facts.data_version,
        seed=seed,
        inputs=inputs,
        outputs=outputs,
        measured=Measured(seconds, shared_seconds or {}, parity, fingerprint.of_lib()),
    )
    seal_member(folder, card, oof, training)
    return card


def seal_member(folder: Path, card: MemberCard, oof: Scores, training: Training) -> None:
    """Put card, out-of-fold scores and training record beside the model files, and seal the folder."""
    write_card(folder, card)
    write_json(folder / "training.json", to_json(training))
    oof.save(folder / "oof.parquet")
    seal(folder, "member")
