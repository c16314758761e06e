"""Heads and networks: shapes, what pools how, and which part learns from what."""

import pytest
import torch

from lib.core.errors import BadInput
from lib.learn.network.losses import distillation_loss, make_loss, output_loss
from lib.learn.network.settings import LossSettings
from lib.models.network.heads import ClassInteraction, GeM, SedHead
from lib.models.network.network import build_network
from lib.models.network.settings import HEADS, NetworkSettings

TINY = {"width": 8, "hidden": 16}


def network(seed=0, classes=5, **settings):
    torch.manual_seed(seed)
    return build_network(NetworkSettings(**(TINY | settings)), classes)


def spectrograms(rows=3):
    return torch.randn(rows, 1, 32, 40, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("head", HEADS)
def test_an_output_has_clip_frames_and_embedding(head):
    output = network(head=head)(spectrograms())
    assert output.clip_logits.shape == (3, 5)
    assert output.frame_logits.shape == (3, 5, 5 if head == "sed" else 1)
    assert output.embedding.shape == (3, 32)
    if head != "sed":
        assert torch.equal(output.frame_logits[..., 0], output.clip_logits)


def test_generalised_mean_goes_from_the_mean_to_the_maximum():
    features = torch.tensor([[[[1.0], [2.0], [3.0]]]])
    pool = GeM((2,))
    assert pool(features).item() == pytest.approx((36 / 3) ** (1 / 3))
    for p, expected in ((1.0, 2.0), (60.0, 3.0)):
        pool.p.data.fill_(p)
        assert pool(features).item() == pytest.approx(expected, rel=0.02)
    assert GeM((2, 3))(torch.full((1, 1, 2, 2), 60.0, dtype=torch.float16)).item() == pytest.approx(60.0)


def test_attention_over_time_weighs_the_frames():
    """One feature, two frames with 0 and 1 in them; attention logit = 2 × feature, class logit = 3 × feature + 1."""
    head = SedHead(features=1, n_classes=1, hidden=1, dropout_features=0.0, dropout_hidden=0.0)
    for layer, weight, bias in ((head.hidden[1], 1.0, 0.0), (head.attention, 2.0, 0.0), (head.classes, 3.0, 1.0)):
        layer.weight.data.fill_(weight)
        layer.bias.data.fill_(bias)
    clip, frames = head(torch.tensor([[[[0.0, 1.0]]]]))
    torch.testing.assert_close(frames, torch.tensor([[[1.0, 4.0]]]))
    late = torch.sigmoid(torch.tanh(torch.tensor(2.0)))  # softmax of tanh(0) and tanh(2)
    assert clip.item() == pytest.approx(1.0 + 3.0 * late.item(), rel=1e-4)


def test_a_new_network_starts_by_saying_that_most_is_absent():
    for head in HEADS:
        assert network(head=head).eval()(spectrograms()).clip_logits.sigmoid().mean() < 0.2


def test_class_interaction_starts_as_nothing_and_shifts_clip_and_frames_alike():
    plain, acting = network(3), network(3, interaction=8)
    acting.load_state_dict(plain.state_dict(), strict=False)
    plain.eval(), acting.eval()
    torch.testing.assert_close(acting(spectrograms()).clip_logits, plain(spectrograms()).clip_logits)
    acting.interaction.layers[2].bias.data = torch.arange(5.0)
    for before, after in zip(plain(spectrograms())[:2], acting(spectrograms())[:2], strict=True):
        shift = torch.arange(5.0).reshape(1, 5, *[1] * (before.ndim - 2)).expand_as(before)
        torch.testing.assert_close(after - before, shift)


def test_class_interaction_learns_from_unmixed_soundscapes_only():
    torch.manual_seed(0)
    interaction, logits = ClassInteraction(4, 8), torch.randn(2, 4)
    interaction.layers[2].weight.data.normal_()
    marks = torch.tensor([True, False])
    assert (interaction(logits, marks)[1] == 0).all()
    torch.testing.assert_close(interaction(logits, marks)[0], interaction(logits, None)[0])
    for row, learns in ((0, True), (1, False)):
        interaction.zero_grad()
        interaction(logits, marks)[row].sum().backward()
        assert any((p.grad != 0).any() for p in interaction.parameters()) == learns
    acting = network(interaction=8)
    acting.interaction.layers[2].bias.data.fill_(7.0)
    acting.eval()
    marked, everywhere = acting(spectrograms(2), marks).clip_logits, acting(spectrograms(2)).clip_logits
    torch.testing.assert_close(everywhere - marked, torch.tensor([[0.0] * 5, [7.0] * 5]))


def gradients(net, loss):
    net.zero_grad()
    loss.backward()
    return {
        part: any(p.grad is not None and (p.grad != 0).any() for p in getattr(net, part).parameters())
        for part in ("backbone", "head", "distil")
    }


def test_with_a_stop_gradient_the_backbone_learns_from_the_teacher_alone():
    cells = torch.ones(3, 5)
    for stopped in (False, True):
        net = network(distil_size=6, stop_gradient=stopped)
        output = net(spectrograms())
        of_classes = output_loss(make_loss(LossSettings()), LossSettings(), output, cells, cells)
        assert gradients(net, of_classes) == {"backbone": not stopped, "head": True, "distil": False}
        of_teacher = distillation_loss(
            LossSettings(), net.predict_teacher_embedding(net(spectrograms()).embedding), torch.ones(3, 6)
        )
        assert gradients(net, of_teacher) == {"backbone": True, "head": False, "distil": True}


@pytest.mark.parametrize(
    "settings", [{"head": "crown"}, {"stop_gradient": True}, {"backbone": "resnet_of_dreams"}], ids=str
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(BadInput):
        network(**settings)


def test_dropout_acts_in_training_only():
    for head in HEADS:
        net = network(head=head)
        net.backbone.eval()
        assert not torch.equal(net(spectrograms()).clip_logits, net(spectrograms()).clip_logits)
        net.eval()
        assert torch.equal(net(spectrograms()).clip_logits, net(spectrograms()).clip_logits)


@pytest.mark.parametrize("head", HEADS)
def test_half_precision_in_training_gives_finite_output_near_to_full(head):
    net = network(head=head).eval()
    with torch.autocast("cpu", torch.bfloat16):
        half = net(spectrograms())
    assert torch.isfinite(half.frame_logits.float()).all()
    torch.testing.assert_close(half.clip_logits.float(), net(spectrograms()).clip_logits, atol=0.05, rtol=0.05)
