"""A sweep's parameter space: lists of choices and ranges of numbers, combined or drawn at random."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from lib.core.errors import BadInput


@dataclass(frozen=True)
class Range:
    """The numbers from low to high, both included; drawn evenly by size, or by magnitude where `log` is set."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        """Refuse a range that holds no number."""
        if not self.low < self.high or not math.isfinite(self.high - self.low) or (self.log and self.low <= 0):
            raise BadInput(
                "not a range of numbers",
                expected="low < high, and low > 0 where log is true",
                got=f"low {self.low:g}, high {self.high:g}, log {self.log}",
                do="fix low and high",
            )

    def draw(self, rng: np.random.Generator) -> float | int:
        """One number of the range; of a whole range each whole number is as likely."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole and not self.log else (self.low, self.high)
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if self.log else rng.uniform(low, high)
        return min(max(round(value), self.low), self.high) if self.whole else float(value)


Space = Mapping[str, tuple | Range]


def combinations(grid: Mapping[str, tuple]) -> list[dict]:
    """Every combination of the values, the last name varying fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def draw_points(space: Space, runs: int, seed: int) -> list[dict]:
    """So many different points of the space, the same for the same seed; a space with fewer is an error."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(100 * runs):
        point = {
            name: values.draw(rng) if isinstance(values, Range) else values[rng.integers(len(values))]
            for name, values in space.items()
        }
        if point not in found:
            found.append(point)
        if len(found) == runs:
            return found
    raise BadInput(
        "the space has too few points",
        expected=f"{runs} different ones",
        got=len(found),
        do=f"set runs to {len(found)} or less, or try all of them as a grid",
    )
