"""The schedules equal torch's, as functions of the step alone."""

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR

from lib.learn.network.optim import learning_rate_share


def rates(make, steps: int) -> list[float]:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(optimizer), []
    for _step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(found) < steps else None
    return found


@pytest.mark.parametrize(("steps", "warmup_share"), [(40, 0.25), (7, 0.3), (10, 0.0)])
def test_cosine_is_a_linear_warm_up_and_half_a_cosine(steps, warmup_share):
    warmup = round(steps * warmup_share)

    def make(optimizer):
        cosine = CosineAnnealingLR(optimizer, T_max=steps - warmup)
        if not warmup:
            return cosine
        rising = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        return SequentialLR(optimizer, [rising, cosine], milestones=[warmup])

    ours = [learning_rate_share(step, steps, "cosine", warmup_share) for step in range(steps)]
    assert ours == pytest.approx(rates(make, steps), rel=1e-6, abs=1e-9)
    assert max(ours) == 1
    assert min(ours) > 0


@pytest.mark.parametrize(("steps", "warmup_share"), [(40, 0.3), (25, 0.1), (10, 0.0), (1, 0.3)])
def test_one_cycle_is_torchs(steps, warmup_share):
    def make(optimizer):
        return OneCycleLR(optimizer, max_lr=1.0, total_steps=steps, pct_start=warmup_share, cycle_momentum=False)

    ours = [learning_rate_share(step, steps, "one-cycle", warmup_share) for step in range(steps)]
    assert ours == pytest.approx(rates(make, steps), rel=1e-6)
