"""The ledger keeps every line, and refuses what it cannot read."""

import pytest

from lib.competition.prepared import load_prepared
from lib.core.errors import BadInput
from lib.judge.bootstrap import score_with_interval
from lib.judge.leakage import load_oof_scores
from lib.judge.ledger import LedgerLine, append_ledger_line, log_run, read_ledger

LINE = LedgerLine("why?", "c", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, ("baseline",), "park")


def test_lines_are_kept_in_order(tmp_path):
    path = tmp_path / "runs" / "ledger.jsonl"
    assert read_ledger(path) == []
    append_ledger_line(path, LINE)
    append_ledger_line(path, LINE)
    assert read_ledger(path) == [LINE, LINE]


def test_a_torn_line_and_an_unknown_verdict_are_errors(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_ledger_line(path, LINE)
    path.write_text(path.read_text() + '{"question": "why')
    with pytest.raises(BadInput, match="torn"):
        read_ledger(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="torn"):
        read_ledger(path)
    with pytest.raises(BadInput, match="unknown verdict"):
        LedgerLine("why?", "c", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, (), "maybe")


def test_a_run_is_logged_with_its_score_and_the_versions_of_folds_and_data(prepared_folder, members, tmp_path):
    prepared = load_prepared(prepared_folder)
    scored = score_with_interval(prepared.labels, load_oof_scores(members / "l1_statistics", prepared.folds), draws=20)
    path = tmp_path / "ledger.jsonl"
    log_run(path, "q?", scored, prepared, config="c", seed=3, seconds=1.5, tags=("alone", "l1"), verdict="park")
    versions = (prepared.folds.version, prepared.facts.data_version)
    interval = (scored.low, scored.high)
    line = LedgerLine("q?", "c", *versions, 3, scored.macro, interval, scored.classes, 1.5, ("alone", "l1"), "park")
    assert read_ledger(path) == [line]
