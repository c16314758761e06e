"""500 mutated tables: read as they were, with a finding, or refused; no file elsewhere is opened."""

import shutil
import sys

import numpy as np
import pytest

from lib.competition.classes import read_class_list
from lib.competition.folds import make_folds
from lib.competition.prepared import load_prepared, save_prepared
from lib.competition.qa import drop_excluded, qa_table
from lib.competition.qa_checks import check_cooccurrence, check_joins, check_label_map, check_ratings
from lib.competition.sound_files import clip_files, soundscape_files
from lib.competition.tables import Findings, read_clips, read_taxonomy, read_windows, window_labels
from lib.sound.quality.scan import take_inventory
from tests.support.hostile.cases import run_cases
from tests.support.hostile.tables import MEANING_KEPT, MUTATIONS, cells

NAMES = ["train.csv", "train.csv", "train_soundscapes_labels.csv", "train_soundscapes_labels.csv", "taxonomy.csv"]
COLUMNS = ["filename", "primary_label", "secondary", "kinds", "latitude", "longitude", "rating", "author"]
OPENED: list[str] | None = None  # the files that were opened, while a case runs


def note_open(event, arguments):
    if event == "open" and OPENED is not None and isinstance(arguments[0], str | bytes):
        OPENED.append(str(arguments[0]))


def prepare(competition, folder):
    """What 01 makes of the tables, and all that it reports."""
    findings, classes = Findings(), read_class_list(competition)
    taxonomy = read_taxonomy(competition, classes, findings)
    clips, windows = read_clips(competition, classes, findings), read_windows(competition, classes, findings)
    files = [str(path.relative_to(competition / "train_audio")) for path in clip_files(competition)]
    take_inventory(competition / "train_audio", sorted(set(clips.filename) - set(files)), "strange files")
    stems = [path.stem for path in soundscape_files(competition, "train")]
    qa = qa_table(
        [
            check_joins(clips, windows, files, stems),
            check_label_map(clips, taxonomy),
            check_ratings(clips),
            check_cooccurrence(window_labels(windows, classes), windows.stem.tolist()),
        ]
    )
    clips, windows = drop_excluded(clips, windows, qa, findings)
    folds = make_folds(clips, windows, classes, n_folds=2, seed=0)
    save_prepared(folder, classes, clips, windows, folds, qa=qa, data_version="x", seed=0)
    prepared = load_prepared(folder)
    reported = [*findings.frame().astype(str).agg(" ".join, axis=1), *qa["check"] + qa["item"] + qa.detail]
    truth = [
        prepared.clips[COLUMNS].astype(str).sort_values("filename").to_csv(index=False),
        prepared.windows.sort_values("row_id").astype(str).to_csv(index=False),
        prepared.classes.labels,
    ]
    return truth, reported


@pytest.mark.slow
def test_mutated_tables(public, tmp_path, capsys):
    global OPENED
    sys.addaudithook(note_open)
    competition = tmp_path / "birdclef-2026"
    competition.mkdir()
    tables = {path.name: path.read_bytes() for path in public.glob("*.csv")}
    for name in ("train_audio", "train_soundscapes"):
        (competition / name).symlink_to(public / name)
    for name, data in tables.items():
        (competition / name).write_bytes(data)
    truth, usual = prepare(competition, tmp_path / "prepared")

    def case(seed):
        global OPENED
        rng = np.random.default_rng(seed)
        name, mutation = NAMES[seed % len(NAMES)], MUTATIONS[seed % len(MUTATIONS)]
        if seed % 50 == 49:
            name = "sample_submission.csv"
        (competition / name).write_bytes(mutation(tables[name], rng))
        shutil.rmtree(tmp_path / "prepared", ignore_errors=True)
        OPENED = []
        try:
            found, reported = prepare(competition, tmp_path / "prepared")
        finally:
            opened, OPENED = OPENED, None
            (competition / name).write_bytes(tables[name])
        assert not [path for path in opened if path.startswith("/etc/") or "/../" in path], opened
        if found == truth:
            return "the same"
        if set(reported) - set(usual) or len(reported) > len(usual):
            return "with a finding"
        assert mutation not in MEANING_KEPT, f"{mutation.__name__} of {name} changed what it says, silently"
        assert mutation is cells or found[1:] == truth[1:], f"{mutation.__name__} of {name} changed labels, silently"
        return "another table"

    run_cases("tables", case, capsys)
