"""Seeded cases: each runs a mutation and a check, and is counted by its outcome; a failure names its seed."""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext

from lib.core.errors import BadInput

CASES = 500


def run_cases(what: str, case: Callable[[int], str], capsys=None) -> None:
    """Run `case(seed)` for each seed: it returns its outcome, or raises BadInput; anything else is a failure.

    A line of counts is printed, with pytest's `capsys` where pytest would keep it for itself.
    """
    outcomes, failures = Counter(), []
    for seed in range(CASES):
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
    with capsys.disabled() if capsys else nullcontext():
        print(f"\n{what}: {CASES} cases, {counts}")
    assert not failures, f"{what}: {len(failures)} of {CASES} cases failed\n" + "\n".join(failures[:40])
