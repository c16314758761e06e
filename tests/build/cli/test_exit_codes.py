"""Exit codes: one table, which the guide shows; every tool ends by it, its code's meaning on the last line."""

import re

import pytest

from build.cli.exit_codes import CODES, FAILED, INTERRUPTED, REFUSED, UNKNOWN, Failed, Parser, end, tool
from build.kaggle_io.client import KaggleError, OutcomeUnknown
from build.project import ROOT
from lib.core.errors import BadInput

PARTS = {"expected": "a", "got": "b", "do": "c"}


def test_the_guide_shows_the_table():
    guide = (ROOT / "docs/guide.md").read_text()
    assert "".join(f"| {code} | {meaning} |\n" for code, meaning in CODES.items()) in guide


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x", **PARTS), REFUSED),
        (Failed("x", **PARTS), FAILED),
        (KaggleError("x", **PARTS), FAILED),
        (OutcomeUnknown("x", **PARTS), UNKNOWN),
        (OSError(28, "No space left on device", "a.bin"), FAILED),
        (KeyboardInterrupt(), INTERRUPTED),
    ],
)
def test_an_error_becomes_a_code_and_its_meaning_the_last_line(error, code, capsys):
    @tool
    def main():
        raise error

    with pytest.raises(SystemExit) as ended:
        end(main)
    assert ended.value.code == code
    assert capsys.readouterr().err.splitlines()[-1] == f"exit {code}: {CODES[code]}"


def test_a_fault_of_our_own_keeps_its_traceback(capsys):
    with pytest.raises(SystemExit) as ended:
        end(tool(lambda: 1 // 0))
    assert ended.value.code == FAILED
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_command_line_that_cannot_be_read_has_four_parts(capsys):
    assert tool(lambda: Parser(prog="x").parse_args(["--no"]) and 0)() == REFUSED
    assert re.search(r"expected: .*\n  got: .*--no\n  do this: ", capsys.readouterr().err)


def test_every_tool_ends_by_the_table():
    tools = [path for path in (ROOT / "build").rglob("*.py") if "\ndef main(arguments" in path.read_text()]
    assert len(tools) > 22
    for path in tools:
        assert "end(main)\n" in path.read_text(), path
        assert "ArgumentParser" not in path.read_text(), path
