"""The correction learns from out-of-fold first scores, finds what the first pass cannot, and leaves with it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head
from lib.learn.head.loop import HeadLoopSettings
from lib.learn.head.proto_ssm import ProtoSettings
from lib.learn.head.residual_ssm import ResidualSettings, first_pass_out_of_fold, fit_residual_ssm
from lib.models.head.proto_ssm import ProtoNetwork
from lib.models.head.residual_ssm import ResidualNetwork
from lib.models.runtime.onnx import OnnxSession
from tests.support.plantedlesson import CALL, ECHO, SITES, auc_of, lesson_of, soundscapes

SETTINGS = ResidualSettings(
    first_pass=LinearHeadSettings(),
    network=ResidualNetwork(width=12, states=4, dropout=0.3, correction_weight=3.0),
    loop=HeadLoopSettings(epochs=60, rate=1e-2, average_rate=4e-3, patience=60),
)
SHORT = replace(SETTINGS, loop=HeadLoopSettings(epochs=3, rate=1e-2))
OTHERS = soundscapes(40, seed=9)


@dataclass
class Remembering:
    """A first pass that says how often it has met a file's recording group."""

    met: set

    def logits(self, sequences):
        return np.array([group in self.met for group in sequences.groups])[:, None, None] + np.zeros(
            sequences.truth.shape
        )


@pytest.fixture(scope="module")
def corrected():
    return fit_residual_ssm(lesson_of(72), SETTINGS, seed=0, fit_first=fit_linear_head)


def test_the_first_scores_come_from_heads_that_have_not_met_the_night_and_have_met_the_clips():
    lesson, taught = lesson_of(24), []

    def fit(of, settings, *, seed):
        taught.append(of)
        return Remembering(set(of.sequences.groups))

    logits = first_pass_out_of_fold(lesson, SETTINGS, seed=0, fit_first=fit)
    assert len(taught) == SETTINGS.first_pass_folds
    assert all(len(of.clips) == len(lesson.clips) for of in taught)
    assert (logits == 0).all()
    whole = fit_residual_ssm(lesson, SHORT, seed=0, fit_first=fit)
    assert whole.first_pass.met == set(lesson.sequences.groups)  # what is applied has learnt from all


def test_it_finds_what_follows_a_call_where_its_first_pass_cannot(corrected):
    assert abs(auc_of(corrected.first_pass, OTHERS, ECHO) - 0.5) < 0.1
    assert auc_of(corrected, OTHERS, ECHO) > 0.75
    assert auc_of(corrected, OTHERS, CALL) > auc_of(corrected.first_pass, OTHERS, CALL) - 0.02


def test_at_weight_nought_the_member_is_its_first_pass_exactly():
    none = replace(SHORT, network=replace(SHORT.network, correction_weight=0.0))
    head = fit_residual_ssm(lesson_of(12), none, seed=0, fit_first=fit_linear_head)
    np.testing.assert_array_equal(head.logits(OTHERS), head.first_pass.logits(OTHERS).astype(np.float32))


def test_first_pass_and_correction_leave_in_one_graph(corrected, tmp_path):
    corrected.export(tmp_path / "fold0.onnx")
    session = OnnxSession(tmp_path / "fold0.onnx", inputs=["embedding", "logits"], outputs=["logit"])
    (said,) = session.run(embedding=OTHERS.tokens["embedding"], logits=OTHERS.tokens["logits"])
    np.testing.assert_allclose(said, corrected.logits(OTHERS), atol=1e-4)
    assert np.abs(said - corrected.first_pass.logits(OTHERS)).max() > 0.1


def test_by_default_it_corrects_proto_ssm_with_site_and_hour_and_is_applied_as_that_is(tmp_path):
    first = ProtoSettings(
        rolls=(-1, 0), flip=True, network=ProtoNetwork(width=8, states=4, layers=1), loop=HeadLoopSettings(epochs=2)
    )
    settings = replace(SHORT, first_pass=first)
    head = fit_residual_ssm(lesson_of(12), settings, seed=0)
    head.export(tmp_path / "fold0.onnx")
    inputs = ["embedding", "logits", "site", "hour"]
    session = OnnxSession(tmp_path / "fold0.onnx", inputs=inputs, outputs=["logit"])
    everything = OTHERS.tokens | {"site": OTHERS.sites, "hour": OTHERS.hours}
    (said,) = session.run(**{name: everything[name] for name in inputs})
    np.testing.assert_allclose(said, head.logits(OTHERS), atol=1e-4)
    assert (settings.rolls, settings.flip) == ((-1, 0), True)


def test_the_same_seed_gives_the_same_head_and_another_seed_another():
    heads = [fit_residual_ssm(lesson_of(12), SHORT, seed=seed, fit_first=fit_linear_head) for seed in (3, 3, 4)]
    said = [head.logits(OTHERS) for head in heads]
    assert np.array_equal(said[0], said[1])
    assert not np.allclose(said[0], said[2])


def test_windows_that_nobody_labelled_teach_the_correction_nothing():
    lesson = lesson_of(12)
    truth = lesson.sequences.truth.copy()
    truth[~lesson.sequences.known] = True
    lied_to = replace(lesson, sequences=replace(lesson.sequences, truth=truth))
    said = [fit_residual_ssm(of, SHORT, seed=0, fit_first=fit_linear_head).logits(OTHERS) for of in (lesson, lied_to)]
    assert np.array_equal(*said)


def test_a_single_recording_group_cannot_judge_its_own_first_pass():
    lesson = lesson_of(12)
    night = lesson.only(np.arange(12) < 2, np.ones(len(lesson.clips.names), dtype=bool))
    assert len(SITES) == len(night.site_names)
    with pytest.raises(BadInput, match="two recording groups"):
        fit_residual_ssm(night, SHORT, seed=0, fit_first=fit_linear_head)
