"""Tokens come to one scale, clipped; attention equals torch's own."""

import numpy as np
import torch

from lib.models.head.layers import CLIP, Attention, Standardizer


def test_rows_leave_with_mean_nought_and_spread_one_and_a_flat_column_as_nought():
    rows = np.random.default_rng(0).normal(5.0, 3.0, size=(400, 3)).astype(np.float32)
    rows[:, 2] = -6.0
    scaled = Standardizer(rows)(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-2)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-2)


def test_what_lies_far_outside_is_clipped():
    standard = Standardizer(np.array([[-1.0], [1.0]], dtype=np.float32))
    assert standard(torch.tensor([[-50.0], [0.5], [50.0]])).flatten().tolist() == [-CLIP, 0.5, CLIP]


def test_attention_equals_torchs():
    torch.manual_seed(0)
    own, torchs = Attention(8, heads=2, dropout=0.5).eval(), torch.nn.MultiheadAttention(8, 2, batch_first=True)
    torchs.load_state_dict(
        {
            "in_proj_weight": own.enter.weight,
            "in_proj_bias": own.enter.bias,
            "out_proj.weight": own.leave.weight,
            "out_proj.bias": own.leave.bias,
        }
    )
    tokens = torch.randn(3, 5, 8)
    torch.testing.assert_close(own(tokens), torchs(tokens, tokens, tokens)[0])


def test_attention_drops_out_in_training_only():
    torch.manual_seed(0)
    attention, tokens = Attention(8, heads=2, dropout=0.5), torch.randn(3, 5, 8)
    assert not torch.equal(attention(tokens), attention(tokens))
    attention.eval()
    assert torch.equal(attention(tokens), attention(tokens))
