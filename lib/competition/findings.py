"""What was found in the data and what was done about it: the report that no repair escapes."""

from dataclasses import dataclass, field

import pandas as pd

from lib.core.errors import shortened


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    table: str
    what: str
    count: int
    done: str
    examples: str = ""


@dataclass
class Findings:
    """The report, growing as tables and sounds are read."""

    lines: list[Finding] = field(default_factory=list)

    def add(self, table: str, what: str, items, done: str) -> None:
        """Note what was found in a table (items, or a count) and what was done about it; nothing found, no line."""
        count, examples = (items, "") if isinstance(items, int) else (len(items), shortened(items, 3))
        if count:
            self.lines.append(Finding(table, what, count, done, examples))

    def frame(self) -> pd.DataFrame:
        """The report as a table, in the order of discovery."""
        columns = ["table", "what", "count", "done", "examples"]
        return pd.DataFrame([[getattr(line, column) for column in columns] for line in self.lines], columns=columns)
