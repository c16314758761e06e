"""The losses equal their papers on cases small enough for a pencil, and no input makes their gradients infinite."""

import math

import pytest
import torch

from lib.core.errors import BadInput
from lib.learn.network.losses import (
    class_weights,
    distillation_loss,
    make_loss,
    mixed_loss,
    output_loss,
    soft_label_loss,
)
from lib.learn.network.settings import LossSettings
from lib.learn.soft_labels.settings import PseudoSettings
from lib.models.network.network import NetworkOutput

ALL = [
    LossSettings(),
    LossSettings(kind="focal"),
    LossSettings(kind="focal", focal_gamma=0.0, focal_alpha=-1.0),
    LossSettings(kind="asymmetric"),
    LossSettings(kind="asymmetric", gamma_positive=1.0, clip_shift=0.0),
    LossSettings(kind="soft_auc"),
    LossSettings(kind="soft_auc", auc_pairs="class", bce_share=0.25),
    LossSettings(label_smoothing=0.1),
]


def value(settings, logits, targets, weights=None, positives=None):
    logits, targets = torch.tensor(logits), torch.tensor(targets)
    weights = torch.ones_like(targets) if weights is None else torch.tensor(weights)
    return make_loss(settings, positives)(logits, targets, weights).item()


def logit(p):
    return math.log(p / (1 - p))


def test_binary_cross_entropy_is_the_weighted_mean_over_cells():
    expected = -(3 * math.log(0.8) + 1 * math.log(0.7)) / 4
    got = value(LossSettings(), [[logit(0.8), logit(0.3), 5.0]], [[1.0, 0.0, 0.0]], [[3.0, 1.0, 0.0]])
    assert got == pytest.approx(expected)


def test_focal_equals_its_paper():
    """FL = -alpha_t (1 - p_t)^gamma log p_t, with p_t = .9 for the positive and .6 for the negative."""
    got = value(LossSettings(kind="focal"), [[logit(0.9), logit(0.4)]], [[1.0, 0.0]])
    assert got == pytest.approx((-0.25 * 0.1**2 * math.log(0.9) - 0.75 * 0.4**2 * math.log(0.6)) / 2)
    flat = LossSettings(kind="focal", focal_gamma=0.0, focal_alpha=-1.0)
    cells = [[0.3, -2.0]], [[0.7, 0.2]]
    assert value(flat, *cells) == pytest.approx(value(LossSettings(), *cells))


def test_asymmetric_equals_its_paper():
    """Positive: (1 - p)^g+ log p. Negative: p_m^g- log(1 - p_m), with p_m = max(p - m, 0)."""
    settings = LossSettings(kind="asymmetric", gamma_positive=1.0)
    got = value(settings, [[logit(0.9), logit(0.4), logit(0.04)]], [[1.0, 0.0, 0.0]])
    assert got == pytest.approx((-0.1 * math.log(0.9) - 0.35**4 * math.log(0.65) - 0.0) / 3)
    plain = LossSettings(kind="asymmetric", gamma_negative=0.0, clip_shift=0.0)
    cells = [[0.3, -2.0]], [[0.7, 0.2]]
    assert value(plain, *cells) == pytest.approx(value(LossSettings(), *cells))


def softplus(x):
    return math.log1p(math.exp(x))


def test_soft_auc_is_over_pairs_of_a_positive_and_a_negative():
    """Two rows, two classes. Class 0: positive 2, negative -1. Class 1 has only negatives: 1 and 0."""
    logits, targets = [[2.0, 1.0], [-1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]
    everywhere = (softplus(-1 - 2) + softplus(1 - 2) + softplus(0 - 2)) / 3
    assert value(LossSettings(kind="soft_auc"), logits, targets) == pytest.approx(everywhere)
    assert value(LossSettings(kind="soft_auc", auc_pairs="class"), logits, targets) == pytest.approx(softplus(-3))
    mixed = LossSettings(kind="soft_auc", bce_share=0.25)
    expected = 0.75 * everywhere + 0.25 * value(LossSettings(), logits, targets)
    assert value(mixed, logits, targets) == pytest.approx(expected)


def test_soft_auc_weighs_soft_targets_by_their_distance_from_a_half():
    logits, targets, weights = [[1.0], [3.0], [0.0]], [[0.75], [0.5], [0.0]], [[1.0], [1.0], [2.0]]
    for pairs in ("batch", "class"):
        assert value(LossSettings(kind="soft_auc", auc_pairs=pairs), logits, targets, weights) == pytest.approx(
            softplus(-1.0)
        )
    two = [[1.0], [3.0], [0.0]], [[0.75], [1.0], [0.0]]
    expected = (0.5 * softplus(-1.0) + 1.0 * softplus(-3.0)) / 1.5
    assert value(LossSettings(kind="soft_auc"), *two) == pytest.approx(expected)


def test_in_soft_auc_by_class_every_class_counts_once():
    """Class 0 has one pair, class 1 two: a mean over pairs would give another number."""
    logits = [[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    targets = [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    weights = [[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    got = value(LossSettings(kind="soft_auc", auc_pairs="class"), logits, targets, weights)
    assert got == pytest.approx((softplus(-2.0) + softplus(1.0)) / 2)


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_a_cell_of_weight_zero_has_no_gradient_and_no_say(settings):
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 5, requires_grad=True), (torch.rand(6, 5) < 0.4).float()
    weights = (torch.rand(6, 5) < 0.6).float()
    loss = make_loss(settings)
    first = loss(logits, targets, weights)
    first.backward()
    assert (logits.grad[weights == 0] == 0).all()
    assert (logits.grad[weights > 0] != 0).float().mean() > 0.5
    other = torch.where(weights == 0, 1.0 - targets, targets)
    assert loss(torch.where(weights == 0, logits + 9, logits), other, weights).item() == pytest.approx(first.item())


@pytest.mark.parametrize("settings", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_extreme_logits_have_finite_losses_and_gradients(settings, dtype):
    logits = torch.tensor([[60000.0, -60000.0, 100.0], [-100.0, 0.0, 17.0]]).to(dtype).requires_grad_()
    targets = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    with torch.autocast("cpu", torch.bfloat16):
        loss = make_loss(settings)(logits, targets, torch.ones_like(targets))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("settings", ALL, ids=str)
def test_a_batch_in_which_nothing_counts_is_zero_and_does_not_stop_training(settings):
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = make_loss(settings)(logits, torch.zeros(2, 3), torch.zeros(2, 3))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_label_smoothing_moves_targets_towards_a_half():
    assert value(LossSettings(label_smoothing=0.2), [[1.5]], [[1.0]]) == pytest.approx(
        value(LossSettings(), [[1.5]], [[0.9]])
    )


def test_rare_classes_weigh_more_and_the_mean_weight_is_one():
    weights = class_weights(torch.tensor([100.0, 4.0, 0.0]), 0.5)
    torch.testing.assert_close(weights / weights[2], torch.tensor([0.1, 0.5, 1.0]))
    assert weights.mean().item() == pytest.approx(1.0)
    logits, targets = [[0.0, 2.0, 0.0]], [[0.0, 0.0, 0.0]]
    got = value(LossSettings(class_weight_power=0.5), logits, targets, positives=torch.tensor([100.0, 4.0, 0.0]))
    expected = (1.1 * softplus(0.0) + 0.5 * softplus(2.0)) / 1.6
    assert got == pytest.approx(expected)


def test_an_output_is_judged_by_clip_and_loudest_frame():
    output = NetworkOutput(torch.tensor([[1.0]]), torch.tensor([[[-3.0, 2.0]]]), torch.zeros(1, 1))
    ones = torch.ones(1, 1)
    got = output_loss(make_loss(LossSettings()), LossSettings(frame_weight=0.25), output, ones, ones).item()
    assert got == pytest.approx(0.75 * softplus(-1.0) + 0.25 * softplus(-2.0))


def test_distillation_measures_the_distance_to_the_teacher():
    student, teacher = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    assert distillation_loss(LossSettings(), student, teacher).item() == pytest.approx(12.5)
    assert distillation_loss(
        LossSettings(distil="cosine", distil_weight=0.1), student, teacher
    ).item() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kind": "hinge"}, "hinge"),
        ({"kind": "focal", "focal_gamma": 0.5}, "focal_gamma"),
        ({"kind": "soft_auc", "auc_pairs": "row"}, "row"),
        ({"distil": "kl"}, "kl"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, named):
    with pytest.raises(BadInput, match=named):
        LossSettings(**settings)


def soft_label_value(logits, targets, weights=None, **settings):
    logits, targets = torch.tensor(logits), torch.tensor(targets)
    weights = torch.ones_like(targets) if weights is None else torch.tensor(weights)
    return soft_label_loss(PseudoSettings(**settings))(logits, targets, weights).item()


def test_soft_labels_have_a_cross_entropy_whose_two_sides_are_softened():
    plain = soft_label_value([[0.3, -2.0]], [[0.7, 0.2]], [[1.0, 3.0]])
    assert plain == pytest.approx(value(LossSettings(), [[0.3, -2.0]], [[0.7, 0.2]], [[1.0, 3.0]]))
    soft = 1 / (1 + math.exp(-logit(0.7) / 2))
    p = 1 / (1 + math.exp(-0.3 / 2))
    expected = -4 * (soft * math.log(p) + (1 - soft) * math.log(1 - p))
    assert soft_label_value([[0.3]], [[0.7]], temperature=2.0) == pytest.approx(expected, rel=1e-5)


def test_the_divergence_is_that_of_two_softmaxes_at_the_temperature_averaged_over_classes():
    probabilities, logits = [0.5, 0.2, 0.8], [1.0, -1.0, 0.5]
    theirs, ours = (
        torch.tensor(x).softmax(0) for x in ([logit(c) / 2 for c in probabilities], [z / 2 for z in logits])
    )
    expected = 4 * (theirs * (theirs / ours).log()).sum().item() / 3
    assert soft_label_value([logits], [probabilities], pseudo_loss="kld", temperature=2.0) == pytest.approx(
        expected, rel=1e-5
    )
    assert soft_label_value(
        [[logit(c) + 3 for c in probabilities]], [probabilities], pseudo_loss="kld"
    ) == pytest.approx(0, abs=1e-6)


def test_a_class_without_a_soft_label_has_no_part_in_the_divergence_and_a_row_without_any_none_at_all():
    weights = [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    rows = [[1.0, 40.0, 0.5]] * 2, [[0.5, 1.0, 0.8]] * 2
    two = soft_label_value([[1.0, 0.5]], [[0.5, 0.8]], pseudo_loss="kld", temperature=3.0)
    assert soft_label_value(*rows, weights, pseudo_loss="kld", temperature=3.0) == pytest.approx(two, rel=1e-5)


@pytest.mark.parametrize("kind", ["bce", "kld"])
@pytest.mark.parametrize("targets", [[[1.0, 0.0]], [[0.0, 0.0]], [[1.0, 1.0]]])
def test_certain_teachers_leave_the_gradient_finite(kind, targets):
    logits = torch.tensor([[30.0, -30.0]], requires_grad=True)
    loss = soft_label_loss(PseudoSettings(pseudo_loss=kind, temperature=2.0))(
        logits, torch.tensor(targets), torch.ones(1, 2)
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_pseudo_labelled_rows_have_their_own_loss_and_count_by_the_weight_of_their_cells():
    logits, targets = torch.tensor([[0.3, -1.0], [2.0, 0.5]]), torch.tensor([[1.0, 0.0], [0.6, 0.3]])
    weights, pseudo = torch.tensor([[1.0, 1.0], [0.25, 0.25]]), torch.tensor([False, True])
    alone = make_loss(LossSettings(kind="asymmetric"))(logits[:1], targets[:1], weights[:1])
    soft = soft_label_loss(PseudoSettings(pseudo_loss="kld"))(logits[1:], targets[1:], weights[1:])
    both = mixed_loss(
        make_loss(LossSettings(kind="asymmetric")), soft_label_loss(PseudoSettings(pseudo_loss="kld")), pseudo
    )
    torch.testing.assert_close(both(logits, targets, weights), 0.8 * alone + 0.2 * soft)
    bce = make_loss(LossSettings())
    same = mixed_loss(bce, soft_label_loss(PseudoSettings()), pseudo)
    torch.testing.assert_close(same(logits, targets, weights), bce(logits, targets, weights))
