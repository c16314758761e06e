"""Seeded cases: each runs a mutation and a check, and is counted by its outcome; a failure names its seed."""

from collections import Counter
from collections.abc import Callable

from lib.core.errors import BadInput

CASES = 500


def run_cases(what: str, case: Callable[[int], str], cases: int = CASES) -> None:
    """Run `case(seed)` for each seed: it returns its outcome, or raises BadInput; anything else is a failure."""
    outcomes, failures = Counter(), []
    for seed in range(cases):
        try:
            outcomes[case(seed)] += 1
        except BadInput as error:
            outcomes["refused"] += 1
            if not (error.what and error.do and len(f"{error}") < 9000):
                failures.append(f"seed {seed}: not four short parts: {error!r:.300}")
        except Exception as error:  # what the fuzz is for
            outcomes["failed"] += 1
            failures.append(f"seed {seed}: {type(error).__name__}: {error!s:.300}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{what}: {cases} cases, {counts}")
    assert not failures, f"{what}: {len(failures)} of {cases} cases failed\n" + "\n".join(failures[:40])
