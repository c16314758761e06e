"""Compare the inputs of the kernel on Kaggle with those of the rehearsal, by their receipts."""

from dataclasses import dataclass
from pathlib import Path

from lib.core.records import read_json

REHEARSAL_RECEIPT = Path("dist", "rehearsal", "here-public", "receipt.json")


@dataclass(frozen=True)
class InputComparison:
    """A line for each input, and the names of those that differ (the competition's own files apart)."""

    lines: list[str]
    different: list[str]


def compare_inputs(fetched: Path, rehearsed: Path) -> InputComparison:
    """The inputs of two receipts: each one's folder on Kaggle, and an alarm where its manifest differs."""
    there, here = (read_json(path).get("inputs", {}) for path in (fetched, rehearsed))
    lines, different = [], []
    for name in sorted(there.keys() | here.keys()):
        ours, theirs = here.get(name, {}), there.get(name, {})
        same = ours.get("manifest") == theirs.get("manifest")
        state = "as rehearsed" if same else f"ALARM {_hash(theirs)}, rehearsed with {_hash(ours)}"
        lines.append(f"  {name:<16} {theirs.get('path', 'not read')}  {state}")
        if not same and name != "competition":  # the miniature's tables are never those of the contest
            different.append(name)
    return InputComparison(lines, different)


def _hash(entry: dict) -> str:
    return entry.get("manifest", "nothing")
