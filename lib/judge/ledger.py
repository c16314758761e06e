"""The ledger: one JSON line a run, so that no result, good or bad, is forgotten."""

import json
from dataclasses import dataclass
from pathlib import Path

from lib.core.errors import BadInput
from lib.core.records import from_json, to_json

VERDICTS = ("promote", "park", "kill", "merge")


@dataclass(frozen=True)
class LedgerLine:
    """What was asked, of what, and what came out."""

    question: str
    config: str
    fold_version: str
    data_version: str
    seed: int
    score: float
    interval: tuple[float, float]
    classes: int
    seconds: float
    tags: tuple[str, ...]
    verdict: str

    def __post_init__(self):
        object.__setattr__(self, "interval", tuple(self.interval))
        object.__setattr__(self, "tags", tuple(self.tags))
        if self.verdict not in VERDICTS:
            raise BadInput("unknown verdict", expected=VERDICTS, got=self.verdict, do="choose one of them")


def append(path: Path, line: LedgerLine) -> None:
    """Add one line, in one write, so that parallel runs do not tear each other's lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(to_json(line), sort_keys=True, allow_nan=False) + "\n")


def read(path: Path) -> list[LedgerLine]:
    """All lines so far; a torn or foreign line is an error that gives its number."""
    lines = path.read_text().splitlines() if path.is_file() else []
    try:
        return [from_json(LedgerLine, json.loads(text), f"{path} line {n}") for n, text in enumerate(lines, start=1)]
    except json.JSONDecodeError as error:
        raise BadInput(f"{path} is torn", expected="one JSON object a line", got=error, do="mend the line") from error
