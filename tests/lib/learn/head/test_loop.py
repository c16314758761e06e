"""The loop stops in time, leaves the best weights, averages the last, and draws from its own seed on one thread."""

import numpy as np
import pytest
import torch

from lib.learn.head.loop import HeadLoopSettings, fit_with_early_stopping, reproducible


def number(start: float = 0.0):
    """A network that is one number."""
    network = torch.nn.Module()
    network.value = torch.nn.Parameter(torch.tensor(start))
    return network


def fit(network, settings, validate=None, steps=1):
    """Towards 1, the epochs seen counted."""
    epochs = []

    def losses():
        epochs.append(network.value.item())
        for _ in range(steps):
            yield (network.value - 1.0).square()

    fit_with_early_stopping(network, losses, steps, settings, validate)
    return epochs


PLAIN = HeadLoopSettings(epochs=30, learning_rate=0.1, weight_decay=0.0, average_from=1.0)


def test_without_validation_it_ends_with_the_last_weights():
    network = number()
    assert len(fit(network, PLAIN)) == 30
    assert network.value.item() == pytest.approx(1.0, abs=0.2)
    assert not network.training


def test_the_best_judged_weights_are_kept_and_patience_ends_it():
    network = number()
    validate = lambda: abs(network.value.item() - 0.4)  # noqa: E731
    epochs = fit(network, HeadLoopSettings(epochs=30, learning_rate=0.1, weight_decay=0.0, patience=3), validate)
    best = int(np.argmin(np.abs(np.array(epochs) - 0.4)))
    assert network.value.item() == epochs[best]
    assert len(epochs) == best + 3  # the weights before the first epoch are validated too


def test_what_never_gets_better_stays_as_it_was():
    network = number(0.25)
    fit(network, PLAIN, validate=lambda: abs(network.value.item() - 0.25))
    assert network.value.item() == 0.25


def test_the_last_weights_are_averaged_and_taken_when_judged_better():
    settings = HeadLoopSettings(
        epochs=10, learning_rate=0.1, weight_decay=0.0, average_from=0.5, average_learning_rate=0.02, patience=99
    )
    network = number()
    fit(network, settings)
    alone = network.value.item()
    later = number()
    states = []

    def validate():
        states.append(later.value.item())
        return abs(later.value.item() - alone)

    fit(later, settings, validate)
    assert alone == pytest.approx(np.mean(states[6:11]), abs=1e-6)  # states[0] is before the first epoch
    assert later.value.item() == pytest.approx(alone, abs=1e-6)
    fit(worse := number(), settings, validate=lambda: -worse.value.item())
    assert worse.value.item() > alone  # the last epoch is the best, and better than the mean


def test_the_rate_goes_up_and_down_and_stays_where_the_weights_are_averaged():
    network, values = number(), []

    def losses():
        values.append(network.value.item())
        yield -network.value  # whose slope is always the same, so that Adam's step is the rate

    settings = HeadLoopSettings(
        epochs=40, learning_rate=0.1, weight_decay=0.0, average_from=0.75, average_learning_rate=0.02
    )
    fit_with_early_stopping(network, losses, 1, settings, None)
    rates = np.diff(values)
    assert rates.argmax() == 3  # a tenth of the epochs warms up
    assert rates[3] == pytest.approx(0.1, rel=1e-3)
    assert rates[29] < 0.02
    np.testing.assert_allclose(rates[30:], 0.02, rtol=1e-3)


def test_a_steep_loss_moves_no_further_than_the_clip_allows():
    network, norms = number(), []
    network.value.register_post_accumulate_grad_hook(lambda p: norms.append(float(p.grad)))

    def losses():
        yield 1e6 * network.value

    fit_with_early_stopping(network, losses, 1, HeadLoopSettings(epochs=1, clip_norm=0.5), None)
    assert norms == [1e6]
    assert network.value.grad.item() == pytest.approx(0.5, rel=1e-5)


def test_inside_the_block_torch_draws_from_the_seed_on_one_thread_and_after_it_as_before():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    with reproducible(1):
        first = torch.rand(2)
        assert torch.get_num_threads() == 1
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads
    with reproducible(1):
        assert torch.equal(torch.rand(2), first)
