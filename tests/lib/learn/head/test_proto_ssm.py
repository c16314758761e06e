"""LightProtoSSM finds what only neighbours and sites predict, and ignores windows without labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.learn.head.loop import HeadLoopSettings
from lib.learn.head.proto_ssm import ProtoLoss, ProtoSettings, fit_proto_ssm, init_prototypes
from lib.models.head.proto_ssm import ProtoNetwork, ProtoSSM
from tests.support.plantedsignals import CALL, CLASSES, ECHO, FLAT, LOCAL, auc_of, planted_data, soundscapes

SETTINGS = ProtoSettings(
    network=ProtoNetwork(width=24, states=4, layers=1, dropout=0.05),
    loop=HeadLoopSettings(epochs=60, learning_rate=1e-2, average_learning_rate=4e-3, patience=60),
)
SHORT = replace(SETTINGS, loop=HeadLoopSettings(epochs=4, learning_rate=1e-2, average_learning_rate=4e-3))
OTHERS = soundscapes(40, seed=9)


@pytest.fixture(scope="module")
def fitted():
    return fit_proto_ssm(planted_data(), SETTINGS, seed=0)


def network_of(data):
    train = data.sequences
    return ProtoSSM(SETTINGS.network, train.windows("embedding"), train.windows("logits"), train.sites)


def test_it_finds_a_call_and_what_inaudibly_follows_a_call_by_a_window(fitted):
    assert auc_of(fitted, OTHERS, CALL) > 0.9
    assert auc_of(fitted, OTHERS, FLAT) > 0.85
    assert auc_of(fitted, OTHERS, ECHO) > 0.8


def test_it_finds_what_only_the_site_predicts_and_at_an_unknown_site_still_audible_classes(fitted):
    nowhere = replace(OTHERS, sites=np.zeros_like(OTHERS.sites))
    assert auc_of(fitted, OTHERS, LOCAL) > 0.8
    assert auc_of(fitted, nowhere, LOCAL) < 0.65
    assert auc_of(fitted, nowhere, CALL) > 0.9
    assert auc_of(fitted, nowhere, FLAT) > 0.85


def test_the_same_seed_gives_the_same_head_whatever_was_drawn_before_and_another_seed_another():
    heads = []
    for drawn, seed in ((1, 3), (2, 3), (1, 4)):
        torch.manual_seed(drawn)
        heads.append(fit_proto_ssm(planted_data(12), SHORT, seed=seed).logits(OTHERS))
    assert np.array_equal(heads[0], heads[1])
    assert not np.allclose(heads[0], heads[2])


def test_truth_in_unlabelled_windows_changes_nothing():
    data = planted_data(12)
    truth = data.sequences.truth.copy()
    truth[~data.sequences.known] = True
    changed = replace(data, sequences=replace(data.sequences, truth=truth))
    heads = [fit_proto_ssm(of, SHORT, seed=0).logits(OTHERS) for of in (data, changed)]
    assert np.array_equal(*heads)


def test_prototypes_start_at_the_mean_window_or_clip_and_biases_at_the_odds():
    data = planted_data(12)
    truth = data.sequences.truth.copy()
    truth[..., FLAT] = False  # in clips alone
    sequences = replace(data.sequences, truth=truth)
    network = network_of(data)
    before = network.prototypes[LOCAL].clone()
    truth[..., LOCAL] = False  # nowhere
    init_prototypes(network, sequences, data.clips)
    with torch.no_grad():
        windows = network.project_tokens(torch.from_numpy(sequences.windows("embedding")))
        clips = network.project_tokens(torch.from_numpy(data.clips.embeddings["embedding"]))
    present = torch.from_numpy(truth[sequences.known])
    for label, rows, of in (
        (CALL, windows, present[:, CALL]),
        (FLAT, clips, torch.from_numpy(data.clips.truth[:, FLAT])),
    ):
        mean = rows[of].mean(0) - rows.mean(0)
        torch.testing.assert_close(network.prototypes[label], mean / mean.norm(), atol=1e-5, rtol=1e-4)
    assert torch.equal(network.prototypes[LOCAL], before)
    share = torch.sigmoid(network.bias[CALL]).item()
    assert share == pytest.approx((present[:, CALL].sum().item() + 0.5) / (len(present) + 1), abs=1e-6)


class Constant:
    """A network whose output is always these logits."""

    widths, context = {"embedding": 12, "logits": CLASSES}, ()

    def __init__(self, logits):
        self.logits = logits

    def __call__(self, inputs):
        return self.logits


def test_the_loss_weighs_positives_leaves_out_classes_without_any_and_holds_to_mapped_logits():
    data = planted_data(4)
    sequences = data.sequences
    truth = np.zeros_like(sequences.truth)
    truth[0, 0, CALL] = truth[0, :4, FLAT] = True  # 46 labelled windows: 45 : 1, capped, and 42 : 4
    sequences = replace(sequences, truth=truth)
    n = sequences.known.sum()
    loss = ProtoLoss(network_of(data), sequences, SETTINGS)
    assert loss.weights.tolist()[:1] == [25.0]
    assert loss.weights[FLAT].item() == pytest.approx((n - 4) / 4)
    assert loss.counted.tolist() == [True, False, False, True]
    own = torch.from_numpy(sequences.embeddings["logits"])
    base = loss(Constant(own), sequences)
    changed = own.clone()
    changed[..., [ECHO, LOCAL]] += 9.0  # no positive, no mapped logit: they do not count
    assert loss(Constant(changed), sequences) == base
    cells = [
        torch.nn.functional.binary_cross_entropy_with_logits(
            own[..., label][torch.from_numpy(sequences.known)],
            torch.from_numpy(truth[..., label][sequences.known]).float(),
            pos_weight=loss.weights[label],
        )
        for label in (CALL, FLAT)
    ]
    assert base.item() == pytest.approx(torch.stack(cells).mean().item(), rel=1e-5)
    spread = data.sequences.windows("logits")[:, CALL].std()
    away = own.clone()
    away[..., CALL] += float(spread)
    without = ProtoLoss(network_of(data), sequences, replace(SETTINGS, logits_share=0.0))
    assert (loss(Constant(away), sequences) - without(Constant(away), sequences)).item() == pytest.approx(
        0.15, rel=1e-3
    )
