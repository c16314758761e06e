"""The correction trains on out-of-fold first scores, finds what the first pass cannot, and is exported with it."""

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
from tests.support.plantedsignals import CALL, ECHO, SITES, auc_of, planted_data, soundscapes

SETTINGS = ResidualSettings(
    first_pass=LinearHeadSettings(),
    network=ResidualNetwork(width=12, states=4, dropout=0.3, correction_weight=3.0),
    loop=HeadLoopSettings(epochs=60, learning_rate=1e-2, average_learning_rate=4e-3, patience=60),
)
SHORT = replace(SETTINGS, loop=HeadLoopSettings(epochs=3, learning_rate=1e-2))
OTHERS = soundscapes(40, seed=9)


@dataclass
class Remembering:
    """A first pass whose logits are 1 for recording groups it was fitted on, else 0."""

    groups: set

    def logits(self, sequences):
        return np.array([group in self.groups for group in sequences.groups])[:, None, None] + np.zeros(
            sequences.truth.shape
        )


@pytest.fixture(scope="module")
def corrected():
    return fit_residual_ssm(planted_data(72), SETTINGS, seed=0, fit_first=fit_linear_head)


def test_the_first_scores_come_from_heads_fitted_without_the_night_and_with_the_clips():
    data, fitted_on = planted_data(24), []

    def fit(of, settings, *, seed):
        fitted_on.append(of)
        return Remembering(set(of.sequences.groups))

    logits = first_pass_out_of_fold(data, SETTINGS, seed=0, fit_first=fit)
    assert len(fitted_on) == SETTINGS.first_pass_folds
    assert all(len(of.clips) == len(data.clips) for of in fitted_on)
    assert (logits == 0).all()
    whole = fit_residual_ssm(data, SHORT, seed=0, fit_first=fit)
    assert whole.first_pass.groups == set(data.sequences.groups)  # what is applied was fitted on all


def test_it_finds_what_follows_a_call_where_its_first_pass_cannot(corrected):
    assert abs(auc_of(corrected.first_pass, OTHERS, ECHO) - 0.5) < 0.1
    assert auc_of(corrected, OTHERS, ECHO) > 0.75
    assert auc_of(corrected, OTHERS, CALL) > auc_of(corrected.first_pass, OTHERS, CALL) - 0.02


def test_at_weight_nought_the_member_is_its_first_pass_exactly():
    none = replace(SHORT, network=replace(SHORT.network, correction_weight=0.0))
    head = fit_residual_ssm(planted_data(12), none, seed=0, fit_first=fit_linear_head)
    np.testing.assert_array_equal(head.logits(OTHERS), head.first_pass.logits(OTHERS).astype(np.float32))


def test_first_pass_and_correction_are_exported_as_one_graph(corrected, tmp_path):
    corrected.export(tmp_path / "fold0.onnx")
    session = OnnxSession(tmp_path / "fold0.onnx", inputs=["embedding", "logits"], outputs=["logit"])
    (logits,) = session.run(embedding=OTHERS.embeddings["embedding"], logits=OTHERS.embeddings["logits"])
    np.testing.assert_allclose(logits, corrected.logits(OTHERS), atol=1e-4)
    assert np.abs(logits - corrected.first_pass.logits(OTHERS)).max() > 0.1


def test_by_default_it_corrects_proto_ssm_with_site_and_hour_and_is_applied_as_that_is(tmp_path):
    first = ProtoSettings(
        rolls=(-1, 0), flip=True, network=ProtoNetwork(width=8, states=4, layers=1), loop=HeadLoopSettings(epochs=2)
    )
    settings = replace(SHORT, first_pass=first)
    head = fit_residual_ssm(planted_data(12), settings, seed=0)
    head.export(tmp_path / "fold0.onnx")
    inputs = ["embedding", "logits", "site", "hour"]
    session = OnnxSession(tmp_path / "fold0.onnx", inputs=inputs, outputs=["logit"])
    everything = OTHERS.embeddings | {"site": OTHERS.sites, "hour": OTHERS.hours}
    (logits,) = session.run(**{name: everything[name] for name in inputs})
    np.testing.assert_allclose(logits, head.logits(OTHERS), atol=1e-4)
    assert (settings.rolls, settings.flip) == ((-1, 0), True)


def test_the_same_seed_gives_the_same_head_and_another_seed_another():
    heads = [fit_residual_ssm(planted_data(12), SHORT, seed=seed, fit_first=fit_linear_head) for seed in (3, 3, 4)]
    logits = [head.logits(OTHERS) for head in heads]
    assert np.array_equal(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2])


def test_truth_in_unlabelled_windows_changes_nothing():
    data = planted_data(12)
    truth = data.sequences.truth.copy()
    truth[~data.sequences.known] = True
    changed = replace(data, sequences=replace(data.sequences, truth=truth))
    logits = [fit_residual_ssm(of, SHORT, seed=0, fit_first=fit_linear_head).logits(OTHERS) for of in (data, changed)]
    assert np.array_equal(*logits)


def test_a_single_recording_group_is_refused():
    data = planted_data(12)
    night = data.subset(np.arange(12) < 2, np.ones(len(data.clips.names), dtype=bool))
    assert len(SITES) == len(night.site_names)
    with pytest.raises(BadInput, match="two recording groups"):
        fit_residual_ssm(night, SHORT, seed=0, fit_first=fit_linear_head)
