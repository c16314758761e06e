"""The ledger: one JSON line a run, the negative results included."""

import json
from dataclasses import dataclass
from pathlib import Path

from lib.competition.prepared import Prepared
from lib.core.errors import BadInput
from lib.core.records import from_json, to_json
from lib.judge.bootstrap import ScoreWithInterval

VERDICTS = ("promote", "park", "kill", "merge")


@dataclass(frozen=True)
class LedgerLine:
    """One run: the question it answers, the configuration and data it used, and the result."""

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
            raise BadInput("unknown verdict", expected=VERDICTS, got=self.verdict, do="set verdict to one of them")


def append_ledger_line(path: Path, line: LedgerLine) -> None:
    """Append one line, in one write, so that parallel runs do not tear each other's lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(to_json(line), sort_keys=True, allow_nan=False) + "\n")


def log_run(
    path: Path,
    question: str,
    scored: ScoreWithInterval,
    prepared: Prepared,
    *,
    config: str,
    seed: int,
    seconds: float,
    tags: tuple[str, ...],
    verdict: str,
) -> None:
    """Append the line of a run that was scored on the labelled windows; `config` is a fingerprint of its settings."""
    line = LedgerLine(
        question=question,
        config=config,
        fold_version=prepared.folds.version,
        data_version=prepared.facts.data_version,
        seed=seed,
        score=scored.macro,
        interval=(scored.low, scored.high),
        classes=scored.classes,
        seconds=seconds,
        tags=tags,
        verdict=verdict,
    )
    append_ledger_line(path, line)


def read_ledger(path: Path) -> list[LedgerLine]:
    """All lines of the ledger; a torn or foreign line is an error with its number."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return [from_json(LedgerLine, json.loads(text), f"{path} line {n}") for n, text in enumerate(lines, start=1)]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BadInput(
            f"{path} is torn", expected="one JSON object a line", got=error, do="fix or delete it"
        ) from error
