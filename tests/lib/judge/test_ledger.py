"""The ledger keeps every line, and refuses what it cannot read."""

import pytest

from lib.core.errors import BadInput
from lib.judge.ledger import LedgerLine, append, read

LINE = LedgerLine("why?", "c", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, ("baseline",), "park")


def test_lines_are_kept_in_order(tmp_path):
    path = tmp_path / "runs" / "ledger.jsonl"
    assert read(path) == []
    append(path, LINE)
    append(path, LINE)
    assert read(path) == [LINE, LINE]


def test_a_torn_line_and_an_unknown_verdict_are_errors(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, LINE)
    path.write_text(path.read_text() + '{"question": "why')
    with pytest.raises(BadInput, match="torn"):
        read(path)
    with pytest.raises(BadInput, match="unknown verdict"):
        LedgerLine("why?", "c", "f", "d", 1, 0.7, (0.6, 0.8), 30, 2.0, (), "maybe")
