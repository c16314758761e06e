"""S2's heads have S2's size, score each window alone, and weight normalised tokens by a softmax."""

import numpy as np
import pytest
import torch

from lib.models.head.sequence import S2_BLOCKS, ScalarMix, SequenceHead, SequenceNetwork

RANDOM = np.random.default_rng(0)


def rows(widths, n=50):
    return {name: RANDOM.normal(size=(n, width)).astype(np.float32) for name, width in widths.items()}


def test_on_s2s_blocks_and_234_classes_it_has_s2s_430_thousand_weights():
    network = SequenceHead(SequenceNetwork(), rows(dict(zip(S2_BLOCKS, (232, 384, 384), strict=True))), 234)
    assert sum(weights.numel() for weights in network.parameters()) == 429_498


@pytest.mark.parametrize("kind", [SequenceHead, ScalarMix])
def test_a_window_is_heard_alone_whatever_lies_around_it(kind):
    torch.manual_seed(0)
    network = kind(SequenceNetwork(width=8), rows({"a": 3, "b": 5}), 4).eval()
    tokens = {"a": torch.randn(2, 12, 3), "b": torch.randn(2, 12, 5)}
    logits = network(tokens)
    assert logits.shape == (2, 12, 4)
    alone = network({name: values[1, 7][None] for name, values in tokens.items()})
    torch.testing.assert_close(alone[0], logits[1, 7])


def test_every_token_is_attended_to():
    torch.manual_seed(0)
    network = SequenceHead(SequenceNetwork(width=8), rows({"a": 3, "b": 5}), 4).eval()
    tokens = {"a": torch.randn(1, 3), "b": torch.randn(1, 5)}
    for name in tokens:
        changed = tokens | {name: tokens[name] + 1.0}
        assert not torch.allclose(network(changed), network(tokens))


def test_the_mix_is_by_the_softmax_of_what_is_preferred_whatever_a_projections_size():
    network = ScalarMix(SequenceNetwork(width=8), rows({"a": 3, "b": 5}), 4).eval()
    network.preference.data = torch.log(torch.tensor([1.0, 3.0]))
    assert network.shares() == pytest.approx({"a": 0.25, "b": 0.75})
    tokens = {"a": torch.randn(6, 3), "b": torch.randn(6, 5)}
    before = network(tokens)
    network.projections[0].weight.data *= 100.0
    network.projections[0].bias.data *= 100.0
    torch.testing.assert_close(network(tokens), before, atol=1e-3, rtol=1e-3)
    network.preference.data = torch.tensor([100.0, 0.0])
    torch.testing.assert_close(network(tokens | {"b": torch.randn(6, 5)}), network(tokens))
