"""The learning rate as a pure function of the step: there is no scheduler whose state a resumed run could lose."""

import math

SCHEDULES = ("cosine", "one-cycle")
_FIRST, _LAST = 1 / 25, 1 / 25 / 1e4  # where one-cycle starts and ends: torch's defaults


def share_of_peak(step: int, steps: int, schedule: str, warmup_share: float) -> float:
    """The learning rate of step 0, 1, … `steps` - 1 as a share of the peak, above 0 and at most 1."""
    if schedule == "one-cycle":
        peak = warmup_share * steps - 1
        if step < peak:
            return _between(_FIRST, 1, step / peak)
        return _between(1, _LAST, (step - peak) / (steps - 1 - peak))
    warmup = round(warmup_share * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _between(1, 0, (step - warmup) / (steps - warmup))


def _between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
