"""MLPs are fitted for classes with enough labels, find planted signals, and stop where other recordings do best."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from lib.core.errors import BadInput
from lib.learn.head import class_mlps as fitting
from lib.learn.head.class_mlps import ClassMlpSettings, _steps, draw_probabilities, fit_class_mlps, fit_reduction
from lib.learn.head.loop import reproducible
from lib.models.head.class_mlps import MlpBank
from tests.support.plantedsignals import CALL, ECHO, FLAT, auc_of, planted_data, soundscapes

SETTINGS = ClassMlpSettings(components=8, hidden=(16, 8), hidden_many=(24, 12), many_positives=90, steps=120)


@pytest.fixture(scope="module")
def data():
    return planted_data()


def test_data_in_which_no_class_has_enough_windows_is_refused(data):
    with pytest.raises(BadInput, match=r"no class has enough labelled windows(.|\n)*zero-shot"):
        fit_class_mlps(data, replace(SETTINGS, fewest_positives=1000), seed=0)


@pytest.fixture(scope="module")
def head(data):
    return fit_class_mlps(data, SETTINGS, seed=0)


def test_it_finds_audible_classes_and_those_without_a_logit_too(head):
    others = soundscapes(40, seed=7)
    base = others.embeddings["logits"]
    assert auc_of(head, others, CALL) > 0.9
    assert auc_of(head, others, FLAT) > 0.9
    assert np.ptp(base[..., FLAT]) == 0


def test_the_run_of_a_classs_own_logit_is_read(data):
    """ECHO follows CALL by a window: with CALL's logit in its place, only the window before can tell."""

    def echoing(sequences):
        logits = sequences.embeddings["logits"].copy()
        logits[..., ECHO] = logits[..., CALL]
        return replace(sequences, embeddings=sequences.embeddings | {"logits": logits})

    echo = replace(data, sequences=echoing(data.sequences))
    others = echoing(soundscapes(40, seed=7))
    alone = replace(SETTINGS, share=1.0, steps=300)
    assert auc_of(fit_class_mlps(echo, alone, seed=0), others, ECHO) > 0.75


def test_a_class_with_too_few_windows_keeps_the_embedders_logit(data):
    truth = data.sequences.truth.copy()
    present = np.argwhere(truth[..., CALL])
    truth[..., CALL] = False
    truth[tuple(present[:4].T)] |= np.arange(4) == CALL
    rare = replace(data, sequences=replace(data.sequences, truth=truth))
    kept, probed = (
        fit_class_mlps(rare, replace(SETTINGS, fewest_positives=n, steps=3), seed=0).logits(rare.sequences)
        for n in (5, 4)
    )
    np.testing.assert_array_equal(kept[..., CALL], rare.sequences.embeddings["logits"][..., CALL])
    assert (probed[..., CALL] != kept[..., CALL]).any()


def test_an_mlp_has_its_share_and_all_where_the_embedders_logit_is_flat(head, data):
    shares = head.network.shares.numpy()
    assert shares[[CALL, ECHO, FLAT]].tolist() == pytest.approx([0.4, 1.0, 1.0])
    sizes = {len(bank.weights[0][0, 0]): bank.columns for bank in head.network.banks}
    positives = data.sequences.truth.sum(axis=(0, 1))
    assert set(sizes[24]) == set(np.flatnonzero(positives >= 90))
    assert set(sizes[16]) == set(np.flatnonzero((positives < 90) & (positives >= 5)))


def test_the_embedding_of_an_unlabelled_window_changes_nothing(head, data):
    embeddings = data.sequences.embeddings
    other = np.where(data.sequences.known[..., None], embeddings["embedding"], np.float32(9))
    spoilt = replace(data.sequences, embeddings=embeddings | {"embedding": other})
    again = fit_class_mlps(replace(data, sequences=spoilt), SETTINGS, seed=0)
    np.testing.assert_array_equal(again.logits(data.sequences), head.logits(data.sequences))


def test_the_same_seed_gives_the_same_mlps_and_another_seed_others(head, data):
    again, other = (fit_class_mlps(data, SETTINGS, seed=seed).logits(data.sequences) for seed in (0, 1))
    np.testing.assert_array_equal(again, head.logits(data.sequences))
    assert np.abs(other - again).max() > 0.01


def test_the_reduction_is_sklearns_up_to_sign_and_one_scale():
    rows = np.random.default_rng(0).normal(size=(50, 9)) * np.arange(9) + 3  # the first number never changes
    found = fit_reduction(rows, 4)
    ours = (rows - found.centre) @ found.projection
    reference = PCA(4).fit_transform(StandardScaler().fit_transform(rows))
    assert np.square(ours).mean() == pytest.approx(1.0)
    scale = np.abs(reference).sum() / np.abs(ours).sum()
    np.testing.assert_allclose(np.abs(ours) * scale, np.abs(reference), atol=1e-8)


def test_a_positive_is_drawn_as_often_as_negatives_or_at_most_so_many_times():
    truth = torch.zeros(3, 100)
    truth[0, :2], truth[1, :20], truth[2, :70] = 1, 1, 1
    odds = draw_probabilities(truth, 8.0)
    np.testing.assert_allclose((odds * truth).sum(dim=1), [16 / 114, 0.5, 0.7], rtol=1e-5)
    np.testing.assert_allclose(odds.sum(dim=1), 1.0, rtol=1e-5)


def test_a_class_stops_where_validation_recordings_do_best():
    """The validation rows contradict the first class, agree with two, and lack the last."""
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 4))).float()
    validation = torch.arange(300) >= 200
    present = rows[:, 0] > 0
    truth = torch.stack([present ^ validation, present, present, present & ~validation]).float()
    bank = MlpBank(range(4), 4, (8, 4), seed=0)
    with reproducible(0):
        steps = _steps(bank, rows.expand(4, -1, -1), truth, validation, SETTINGS, seed=0)
    assert steps[0] == SETTINGS.validate_every
    assert steps[1:3].min() > 60
    assert steps[3] == steps[:3].median()


def test_a_class_has_the_weights_of_its_own_step(data, monkeypatch):
    """Stopped after five steps, a class predicts as if all had stopped there, whatever the others do."""

    def logits_after(*steps):
        monkeypatch.setattr(fitting, "_steps", lambda *given, **more: torch.tensor(steps))
        few = replace(SETTINGS, many_positives=1000)
        return fit_class_mlps(data, few, seed=0).logits(data.sequences)

    mixed, early, late = logits_after(5, 5, 9, 9), logits_after(5, 5, 5, 5), logits_after(9, 9, 9, 9)
    np.testing.assert_array_equal(mixed[..., :2], early[..., :2])
    np.testing.assert_array_equal(mixed[..., 2:], late[..., 2:])
    assert (early[..., 2:] != late[..., 2:]).any()
