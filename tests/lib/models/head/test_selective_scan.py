"""The scan equals a slow loop, uses one direction only, has right gradients, and both directions mirror each other."""

import numpy as np
import pytest
import torch

from lib.models.head.proto_ssm import BidirectionalScan, SelectiveScan, selective_scan


@pytest.fixture
def windows():
    return torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(0))


def test_the_scan_equals_a_loop_over_everything():
    random = np.random.default_rng(0)
    x, dt = random.normal(size=(2, 5, 3)), random.random((2, 5, 3))
    a, b, c = -random.random((3, 4)), random.normal(size=(2, 5, 4)), random.normal(size=(2, 5, 4))
    expected = np.zeros_like(x)
    for row in range(2):
        for channel in range(3):
            state = [0.0] * 4
            for t in range(5):
                for n in range(4):
                    keep = np.exp(dt[row, t, channel] * a[channel, n])
                    state[n] = keep * state[n] + dt[row, t, channel] * b[row, t, n] * x[row, t, channel]
                    expected[row, t, channel] += state[n] * c[row, t, n]
    scanned = selective_scan(*(torch.from_numpy(values) for values in (x, dt, a, b, c)))
    np.testing.assert_allclose(scanned.numpy(), expected, rtol=1e-12)


def test_its_gradients_are_those_of_small_differences():
    draw = torch.Generator().manual_seed(0)
    shapes = (1, 4, 2), (1, 4, 2), (2, 3), (1, 4, 3), (1, 4, 3)
    values = [torch.rand(shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(selective_scan, values)


def test_a_window_hears_those_before_it_and_none_after_it(windows):
    torch.manual_seed(0)
    scan, changed = SelectiveScan(8, states=4), windows.clone()
    changed[:, 6] += 1.0
    apart = (scan(windows) - scan(changed)).abs().amax((0, 2))
    assert (apart[:6] == 0).all()
    assert (apart[6:] > 0).all()  # beyond the four windows of the convolution: the state remembers


def test_the_step_sizes_start_where_they_are_said_to_and_the_decays_at_one_to_sixteen():
    scan = SelectiveScan(64, states=16)
    first = torch.nn.functional.softplus(scan.step.bias)
    assert 0.0499 < first.min() < 0.1 < 0.25 < first.max() < 0.5001
    np.testing.assert_allclose(scan.a_log.exp().detach()[0], np.arange(1, 17), rtol=1e-5)


def test_what_comes_in_reverse_goes_out_in_reverse_when_the_two_ways_are_exchanged(windows):
    torch.manual_seed(0)
    layer = BidirectionalScan(8, states=4, dropout=0.0)
    mirrored = BidirectionalScan(8, states=4, dropout=0.0)
    mirrored.load_state_dict(layer.state_dict())
    mirrored.forwards, mirrored.backwards = mirrored.backwards, mirrored.forwards
    mirrored.merge.weight.data = mirrored.merge.weight.data.roll(8, dims=1)
    torch.testing.assert_close(mirrored(windows.flip(1)).flip(1), layer(windows))
    assert not torch.allclose(layer(windows.flip(1)).flip(1), layer(windows))


def test_both_ways_the_first_window_hears_the_last(windows):
    torch.manual_seed(0)
    layer, changed = BidirectionalScan(8, states=4, dropout=0.0), windows.clone()
    changed[:, -1] += 1.0
    assert (layer(windows) - layer(changed))[:, 0].abs().max() > 0
