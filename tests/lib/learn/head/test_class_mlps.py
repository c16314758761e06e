"""Probes are fitted for classes heard often enough, find what their windows tell, and stop where recordings say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from lib.core.errors import BadInput
from lib.learn.head import class_mlps as fitting
from lib.learn.head.class_mlps import ClassMlpSettings, _steps, draw_odds, fit_class_mlps, reduction
from lib.learn.head.loop import steady
from lib.models.head.class_mlps import Bank
from tests.support.plantedlesson import CALL, ECHO, FLAT, auc_of, lesson_of, soundscapes

SETTINGS = ClassMlpSettings(components=8, hidden=(16, 8), hidden_many=(24, 12), many_positives=90, steps=120)


@pytest.fixture(scope="module")
def lesson():
    return lesson_of()


def test_a_lesson_in_which_no_class_is_heard_often_enough_is_refused(lesson):
    with pytest.raises(BadInput, match=r"no class is heard often enough(.|\n)*zero-shot"):
        fit_class_mlps(lesson, replace(SETTINGS, fewest_positives=1000), seed=0)


@pytest.fixture(scope="module")
def head(lesson):
    return fit_class_mlps(lesson, SETTINGS, seed=0)


def test_it_finds_what_can_be_heard_and_what_has_no_logit_too(head):
    unheard = soundscapes(40, seed=7)
    base = unheard.tokens["logits"]
    assert auc_of(head, unheard, CALL) > 0.9
    assert auc_of(head, unheard, FLAT) > 0.9
    assert np.ptp(base[..., FLAT]) == 0


def test_the_run_of_a_classs_own_logit_is_read(lesson):
    """ECHO is heard a window after CALL: give it CALL's logit, and only the window before can tell."""

    def echoing(sequences):
        logits = sequences.tokens["logits"].copy()
        logits[..., ECHO] = logits[..., CALL]
        return replace(sequences, tokens=sequences.tokens | {"logits": logits})

    echo = replace(lesson, sequences=echoing(lesson.sequences))
    unheard = echoing(soundscapes(40, seed=7))
    alone = replace(SETTINGS, share=1.0, steps=300)
    assert auc_of(fit_class_mlps(echo, alone, seed=0), unheard, ECHO) > 0.75


def test_a_class_heard_too_seldom_keeps_what_the_embedder_said(lesson):
    truth = lesson.sequences.truth.copy()
    heard = np.argwhere(truth[..., CALL])
    truth[..., CALL] = False
    truth[tuple(heard[:4].T)] |= np.arange(4) == CALL
    rare = replace(lesson, sequences=replace(lesson.sequences, truth=truth))
    kept, probed = (
        fit_class_mlps(rare, replace(SETTINGS, fewest_positives=n, steps=3), seed=0).logits(rare.sequences)
        for n in (5, 4)
    )
    np.testing.assert_array_equal(kept[..., CALL], rare.sequences.tokens["logits"][..., CALL])
    assert (probed[..., CALL] != kept[..., CALL]).any()


def test_a_probe_has_its_share_and_all_where_the_embedder_is_silent(head, lesson):
    shares = head.network.shares.numpy()
    assert shares[[CALL, ECHO, FLAT]].tolist() == pytest.approx([0.4, 1.0, 1.0])
    sizes = {len(bank.weights[0][0, 0]): bank.columns for bank in head.network.banks}
    positives = lesson.sequences.truth.sum(axis=(0, 1))
    assert set(sizes[24]) == set(np.flatnonzero(positives >= 90))
    assert set(sizes[16]) == set(np.flatnonzero((positives < 90) & (positives >= 5)))


def test_the_embedding_of_an_unlabelled_window_teaches_nothing(head, lesson):
    tokens = lesson.sequences.tokens
    other = np.where(lesson.sequences.known[..., None], tokens["embedding"], np.float32(9))
    spoilt = replace(lesson.sequences, tokens=tokens | {"embedding": other})
    again = fit_class_mlps(replace(lesson, sequences=spoilt), SETTINGS, seed=0)
    np.testing.assert_array_equal(again.logits(lesson.sequences), head.logits(lesson.sequences))


def test_the_same_seed_gives_the_same_probes_and_another_seed_others(head, lesson):
    again, other = (fit_class_mlps(lesson, SETTINGS, seed=seed).logits(lesson.sequences) for seed in (0, 1))
    np.testing.assert_array_equal(again, head.logits(lesson.sequences))
    assert np.abs(other - again).max() > 0.01


def test_the_reduction_is_sklearns_up_to_sign_and_one_scale():
    rows = np.random.default_rng(0).normal(size=(50, 9)) * np.arange(9) + 3  # the first number never changes
    found = reduction(rows, 4)
    ours = (rows - found.centre) @ found.projection
    reference = PCA(4).fit_transform(StandardScaler().fit_transform(rows))
    assert np.square(ours).mean() == pytest.approx(1.0)
    scale = np.abs(reference).sum() / np.abs(ours).sum()
    np.testing.assert_allclose(np.abs(ours) * scale, np.abs(reference), atol=1e-8)


def test_a_positive_is_drawn_as_often_as_negatives_or_at_most_so_many_times():
    truth = torch.zeros(3, 100)
    truth[0, :2], truth[1, :20], truth[2, :70] = 1, 1, 1
    odds = draw_odds(truth, 8.0)
    np.testing.assert_allclose((odds * truth).sum(dim=1), [16 / 114, 0.5, 0.7], rtol=1e-5)
    np.testing.assert_allclose(odds.sum(dim=1), 1.0, rtol=1e-5)


def test_a_class_stops_where_recordings_it_was_not_shown_say_so():
    """The first class is contradicted by what is set aside, two are borne out, the last is not heard there."""
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 4))).float()
    aside = torch.arange(300) >= 200
    heard = rows[:, 0] > 0
    truth = torch.stack([heard ^ aside, heard, heard, heard & ~aside]).float()
    bank = Bank(range(4), 4, (8, 4), seed=0)
    with steady(0):
        steps = _steps(bank, rows.expand(4, -1, -1), truth, aside, SETTINGS, seed=0)
    assert steps[0] == SETTINGS.look_every
    assert steps[1:3].min() > 60
    assert steps[3] == steps[:3].median()


def test_a_class_has_the_weights_of_its_own_step(lesson, monkeypatch):
    """Stopped after five steps, a class answers as if all had stopped there, whatever the others do."""

    def said(*steps):
        monkeypatch.setattr(fitting, "_steps", lambda *given, **more: torch.tensor(steps))
        few = replace(SETTINGS, many_positives=1000)
        return fit_class_mlps(lesson, few, seed=0).logits(lesson.sequences)

    mixed, early, late = said(5, 5, 9, 9), said(5, 5, 5, 5), said(9, 9, 9, 9)
    np.testing.assert_array_equal(mixed[..., :2], early[..., :2])
    np.testing.assert_array_equal(mixed[..., 2:], late[..., 2:])
    assert (early[..., 2:] != late[..., 2:]).any()
