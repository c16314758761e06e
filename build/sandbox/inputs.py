"""Did the kernel on Kaggle read what the rehearsal read? Its receipt against the rehearsal's, input by input."""

from dataclasses import dataclass
from pathlib import Path

from lib.core.records import read_json

REHEARSED = Path("dist", "rehearsal", "here-public", "receipt.json")


@dataclass(frozen=True)
class Compared:
    """One line for each input, and the names of those that differ (the competition's own files apart)."""

    lines: list[str]
    different: list[str]


def compared(fetched: Path, rehearsed: Path) -> Compared:
    """The inputs that two receipts name: the mount that satisfied each on Kaggle, and whether the same lay there."""
    there, here = (read_json(path).get("inputs", {}) for path in (fetched, rehearsed))
    lines, different = [], []
    for name in sorted(there.keys() | here.keys()):
        ours, theirs = here.get(name, {}), there.get(name, {})
        same = ours.get("manifest") == theirs.get("manifest")
        told = "as rehearsed" if same else f"ALARM {_hash(theirs)}, rehearsed with {_hash(ours)}"
        lines.append(f"  {name:<16} {theirs.get('path', 'not read')}  {told}")
        if not same and name != "competition":  # the miniature's tables are never those of the contest
            different.append(name)
    return Compared(lines, different)


def _hash(entry: dict) -> str:
    return entry.get("manifest", "nothing")
