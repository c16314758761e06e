"""The pages are made from the board; failure modes are found where they were planted."""

import base64
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from build import dashboard as command
from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES, row_ids
from lib.competition.scores import Labels, Scores
from lib.judge import ledger
from lib.judge.metric import class_auc
from lib.show import dashboard
from lib.show.error_analysis import (
    failure_modes,
    mode_table,
    rank_losses,
    signal_to_noise,
    window_figure,
    worst_windows,
)
from lib.sound.decode import ogg_bytes
from tests.support.pagecheck import faults_of

STEMS = [f"BC2026_Train_{n:04d}_S0{n % 2}_202501{n + 1:02d}_000000" for n in range(8)]
ROWS = tuple(row for stem in STEMS for row in row_ids(stem))
CLASSES = tuple("abcdef")
FOLDS = np.repeat([0, 1], 48)
SNR = dict(zip(ROWS, np.linspace(5, 20, len(ROWS)), strict=True))


def a_truth():
    rng = np.random.default_rng(0)
    truth = rng.random((len(ROWS), len(CLASSES))) < 0.3
    truth[:, 0] = False
    truth[[3, 60], 0] = True  # a rare class
    return truth


def mode(name, labels, scores):
    return next(one for one in failure_modes(labels, scores, SNR) if one.name == name)


def test_the_losses_of_present_cells_add_up_to_what_the_auc_lacks():
    labels = Labels(a_truth(), ROWS, CLASSES, FOLDS)
    scores = Scores(np.random.default_rng(1).integers(5, size=labels.values.shape), ROWS, CLASSES, "logit")
    lost = rank_losses(labels, scores)
    for fold in (0, 1):
        here = fold == FOLDS
        auc = class_auc(labels.values[here], scores.values[here])
        for column in range(len(CLASSES)):
            mark = labels.values[here, column]
            assert 1 - lost[here, column][mark].mean() == pytest.approx(auc[column], abs=1e-6)
            assert 1 - lost[here, column][~mark].mean() == pytest.approx(auc[column], abs=1e-6)


def test_perfect_scores_fail_nowhere_and_reversed_ones_everywhere():
    labels = Labels(a_truth(), ROWS, CLASSES, FOLDS)
    perfect = Scores(labels.values, ROWS, CLASSES, "logit")
    assert all(one.failed.sum() == 0 for one in failure_modes(labels, perfect, SNR))
    table = mode_table(failure_modes(labels, perfect.with_values(-perfect.values), SNR), list(CLASSES))
    assert (table.rate[:4] == 1).all()


def test_a_rare_class_that_is_missed_is_found_and_named():
    labels = Labels(a_truth(), ROWS, CLASSES, FOLDS)
    values = labels.values.astype(float)
    values[:, 0] *= -1
    scores = Scores(values, ROWS, CLASSES, "logit")
    modes = failure_modes(labels, scores, SNR)
    row = mode_table(modes, list(CLASSES)).iloc[0]
    assert (row["mode"], row.failed, row["rate elsewhere"], row["most often"]) == ("rare-class miss", 2, 0, "a 2")
    assert worst_windows(modes[0], labels, rank_losses(labels, scores), 3, set()) == [3, 60]
    assert worst_windows(modes[0], labels, rank_losses(labels, scores), 3, {3}) == [60]


def test_what_fails_among_many_classes_or_in_noise_is_separated_from_what_does_not():
    labels = Labels(a_truth(), ROWS, CLASSES, FOLDS)
    crowded = labels.values.sum(axis=1) >= 3
    values = np.where(crowded[:, None], -1.0, 1.0) * labels.values
    overlap = mode("overlap confusion", labels, Scores(values, ROWS, CLASSES, "logit"))
    assert (overlap.failed == (labels.values & crowded[:, None])).all()
    assert not overlap.others_failed.any()
    noisy = np.arange(len(ROWS)) < 24  # the lowest quarter of SNR
    assert (mode("noise", labels, Scores(values, ROWS, CLASSES, "logit")).exposed.any(axis=1) <= noisy).all()


def test_a_class_that_the_folds_model_never_met_at_a_site_drifts():
    truth = np.zeros((len(ROWS), 2), bool)
    site = np.array([row.split("_")[3] for row in ROWS])
    truth[5:8, 0] = True  # only in fold 0, at site S00
    truth[np.flatnonzero(site == "S01")[::5], 1] = True  # in both folds
    labels = Labels(truth, ROWS, ("x", "y"), FOLDS)
    drift = mode("site drift", labels, Scores(np.zeros(truth.shape), ROWS, ("x", "y"), "logit"))
    assert drift.exposed[5:8, 0].all()
    assert not drift.exposed[:, 1].any()


def test_a_false_positive_is_a_top_detection_that_is_wrong():
    truth = np.zeros((len(ROWS), 1), bool)
    truth[[0, 1, 50], 0] = True
    values = np.where(truth, 0.5, 0.0)
    values[7, 0] = 0.9
    labels = Labels(truth, ROWS, ("x",), FOLDS)
    false = mode("over-confident false positive", labels, Scores(values, ROWS, ("x",), "prob"))
    assert np.flatnonzero(false.failed).tolist() == [7]
    assert false.exposed.sum() == 3


def test_a_call_above_noise_has_more_signal_than_noise_alone():
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.normal(size=WINDOW_SAMPLES).astype(np.float32)
    time_s = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE
    sweep = np.cumsum(3000 + 1500 * np.sin(2 * np.pi * 3 * time_s)) / SAMPLE_RATE
    call = noise + 0.3 * np.sin(2 * np.pi * sweep) * (time_s < 1)
    quiet, loud = signal_to_noise(np.stack([noise, call.astype(np.float32)]))
    assert loud > quiet + 5


def test_a_window_shows_present_classes_and_false_positives():
    labels = Labels(a_truth(), ROWS, CLASSES, FOLDS)
    scores = Scores(np.random.default_rng(1).random(labels.values.shape), ROWS, CLASSES, "prob")
    audio = np.random.default_rng(2).normal(size=WINDOW_SAMPLES).astype(np.float32)
    bars = window_figure(audio, 3, labels, scores, {"a": "Rare frog"}).axes[1]
    present = int(labels.values[3].sum())
    assert len(bars.patches) == present + min(4, len(CLASSES) - present)
    expected = sorted(1 - rank_losses(labels, scores)[3][labels.values[3]], reverse=True)
    assert [bar.get_width() for bar in bars.patches[:present]] == pytest.approx(expected)
    assert "Rare frog" in [text.get_text() for text in bars.get_yticklabels()]


def test_a_player_holds_the_sound_at_half_the_rate():
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    samples, rate = soundfile.read(io.BytesIO(ogg_bytes(tone)))
    assert rate == SAMPLE_RATE // 2
    assert len(samples) == pytest.approx(2 * rate, abs=64)
    assert np.argmax(np.abs(np.fft.rfft(samples[:rate]))) == 440
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


def test_heatmaps_write_every_value_and_a_dash_where_there_is_none():
    table = pd.DataFrame({"a": [1.0, 0.25], "b": [0.25, 1.0]}, index=["a", "b"])
    texts = [text.get_text() for text in dashboard.correlation_heatmap(table).axes[0].texts]
    assert texts == ["1.00", "0.25", "0.25", "1.00"]
    views = pd.DataFrame({"grouping": "x", "subgroup": ["all", "p"], "windows": 9, "classes": 3, "a": [0.7, np.nan]})
    assert [text.get_text() for text in dashboard.subgroup_heatmap(views, ["a"]).axes[0].texts] == ["0.70", "–"]


def test_the_ledger_keeps_its_killed_lines():
    line = ledger.LedgerLine("why?", "c", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, ("x",), "kill")
    figure = dashboard.ledger_history([line, line])
    assert "kill (2)" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert dashboard.ledger_table([line, line]).verdict.tolist() == ["kill", "kill"]


def test_the_command_writes_both_pages(prepared_folder, members, public, tmp_path):
    runs = tmp_path / "runs/tiny"
    shutil.copytree(prepared_folder, runs / "01_data_prep/prepared")
    shutil.copytree(members, runs / "02_fold_training/members")
    page = tmp_path / "dist/dashboard.html"
    arguments = ["--runs", str(runs), "--data", str(public), "--page", str(page)]
    assert command.main(arguments) == 0
    board, errors = page.read_text(), page.with_name("errors.html").read_text()
    for heading in ("The board", "Go or no-go", "Rank correlations", "Subgroups", "The ledger"):
        assert re.search(rf'<h2 id="[\w-]+">{heading}</h2>', board)
    assert "No line yet." in board
    coded = re.findall(r'data:audio/ogg;base64,([^"]+)"', errors)
    assert coded
    assert all(base64.b64decode(sound)[:4] == b"OggS" for sound in coded)
    assert len(errors) < 4e6
    assert faults_of(page) == faults_of(page.with_name("errors.html")) == []
    assert not re.search(r'(src|href)="https?:', board + errors)


def test_runs_that_are_not_there_are_refused(public, tmp_path, capsys):
    assert command.main(["--runs", str(tmp_path / "nowhere"), "--data", str(public)]) == 2
    assert "was found" in capsys.readouterr().err
