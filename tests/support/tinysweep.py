"""Sweeps without notebooks: records, and members whose scores have just the quality that was planted."""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd

from build.sweeps.record import RunRecord, write_record
from lib.competition.classes import ClassList
from lib.competition.folds import make_folds
from lib.competition.prepared import Prepared, load_prepared, save_prepared
from lib.competition.qa import QA_COLUMNS
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import Labels, Scores
from lib.core.records import read_json, write_json
from lib.judge.leakage import crossfit_training
from lib.judge.metric import judge
from lib.judge.subgroups import fold_spread
from lib.learn.member_writer import seal_member
from lib.models.member.card import Measured, MemberCard

CLASSES = tuple(f"bird{n}" for n in range(12))
STEMS = [f"BC2026_Train_{n:04d}_S{n % 8:02d}_202501{n + 1:02d}_0{n % 10}0000" for n in range(30)]
SPREAD = 1.6  # of the noise that hides the classes present, from window to window


def make_prepared(runs: Path) -> Prepared:
    """The prepared folder of thirty recordings in five folds, below `runs`."""
    rng = np.random.default_rng(7)
    classes = ClassList(CLASSES)
    rows = [(stem, 5 * n, row) for stem in STEMS for n, row in enumerate(row_ids(stem), start=1)]
    present = [tuple(name for name in CLASSES if rng.random() < 0.12) for _ in rows]
    windows = pd.DataFrame(rows, columns=["stem", "end_s", "row_id"]).assign(labels=present)
    scenes = windows.stem.map(parse_soundscape)
    windows = windows.assign(**{name: scenes.map(attrgetter(name)) for name in ("site", "date", "group")})
    clips = pd.DataFrame(
        {"filename": f"{name}/XC{n}.ogg", "primary_label": name, "secondary": (), "kinds": (), "author": f"a{n}"}
        for name in CLASSES
        for n in range(6)
    )
    folds = make_folds(clips, windows, classes, n_folds=5, seed=0)
    qa = pd.DataFrame(columns=QA_COLUMNS, dtype=str)
    folder = runs / "01_data_prep" / "prepared"
    save_prepared(folder, classes, clips, windows, folds, qa=qa, data_version="d", seed=0)
    return load_prepared(folder)


def make_sweep(runs: Path, name: str = "tiny", **settings) -> Path:
    """Write sweep.json; return the sweep's folder."""
    folder = runs / "sweeps" / name
    defaults = {
        "name": name,
        "question": "what helps?",
        "notebook": "02_fold_training",
        "fixed": {},
        "points": [],
        "search": None,
        "seeds": [],
        "metric": "",
        "promote": None,
        "runs": [],
    }
    write_json(folder / "sweep.json", defaults | settings)
    return folder


def planted_scores(labels: Labels, lift: float, luck: int) -> Scores:
    """Scores that are `lift` higher where a class is present, under own noise and noise that all runs share."""
    shared, own = (np.random.default_rng(seed).normal(size=labels.values.shape) for seed in (99, [5, luck]))
    return Scores(lift * labels.values + SPREAD * (0.8 * shared + 0.6 * own), labels.row_ids, labels.classes, "logit")


def make_member(folder: Path, prepared: Prepared, lift: float, luck: int, teachers: tuple[str, ...] = ()) -> Scores:
    """The scores of a member of that quality, stored in the folder."""
    scores, training = planted_scores(prepared.labels, lift, luck), crossfit_training(prepared.folds)
    name, of = folder.name, prepared.facts.class_hash
    card = MemberCard(name, "network", of, {}, f"c{luck}", "d", 1, [], [], Measured(0.1))
    folder.mkdir(parents=True)
    seal_member(folder, card, scores, replace(training, teachers=list(teachers)))
    return scores


def output(number: int, notebook: str = "02_fold_training") -> Path:
    """The output folder of a run's notebook, in the sweep's folder."""
    return Path("runs", f"{number:012d}", "runs", notebook)


def ledger_line(score: float, *tags: str) -> dict:
    """A ledger line as a run's record holds it."""
    return {
        "question": "q",
        "config": "c",
        "fold_version": "f",
        "data_version": "d",
        "seed": 1,
        "score": score,
        "interval": [score - 0.05, score + 0.05],
        "classes": 3,
        "seconds": 0.1,
        "tags": list(tags),
        "verdict": "park",
    }


def make_finished_run(
    folder: Path, prepared: Prepared, number: int, parameters: dict, lift: float, luck: int, **otherwise
) -> RunRecord:
    """The record of a run that ended well, its member stored beside it."""
    labels, member = prepared.labels, output(number) / "members/net"
    scores = make_member(folder / member, prepared, lift, luck)
    score = judge(labels, scores).macro
    by_fold = {str(fold): value for fold, value in fold_spread(labels, scores).scores.items()}
    figures = {
        "score": score,
        "interval": [score - 0.02, score + 0.02],
        "per_fold": by_fold,
        "member": member.as_posix(),
    }
    return make_record(folder, number, parameters, **figures, **otherwise)


def make_record(folder: Path, number: int, parameters: dict, **otherwise) -> RunRecord:
    """Write a record into the sweep's folder and return it."""
    defaults = {
        "id": f"{number:012d}",
        "number": number,
        "stage": "only",
        "parameters": parameters,
        "status": "done",
        "score": None,
        "interval": None,
        "per_fold": {},
        "seed": parameters.get("seed"),
        "seconds": 20.0 + number,
        "started": "2026-01-01T00:00:00+00:00",
        "error": "",
        "member": "",
        "ledger": [],
        "notebook": f"runs/{number:012d}/notebook.ipynb",
    }
    record = RunRecord(**(defaults | otherwise))
    write_record(folder, record)
    sweep = read_json(folder / "sweep.json")
    write_json(folder / "sweep.json", sweep | {"runs": [*sweep["runs"], record.id]})
    return record
