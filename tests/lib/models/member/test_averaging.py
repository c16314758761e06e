"""The table of averages is the one that inference and the exported graphs follow."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from lib.models.export.linear import export_linear
from lib.models.member import averaging
from lib.models.member.averaging import AVERAGING, Averaging, average_folds, average_probabilities, served_models
from lib.models.member.open import MEMBER_FAMILIES
from lib.models.member.windows import WindowSpec, mean_probabilities
from lib.models.runtime.onnx import OnnxSession

LOGITS = np.random.default_rng(0).normal(size=(3, 12, 4))
MEAN_PROBABILITY, MEAN_LOGIT = expit(LOGITS).mean(axis=0), expit(LOGITS.mean(axis=0))


def test_every_family_has_its_rule():
    assert set(AVERAGING) == set(MEMBER_FAMILIES)
    rules = {family: (rule.folds, rule.seeds) for family, rule in AVERAGING.items()}
    assert rules == {
        "prior": ("refit", None),
        "statistics": ("logit", None),
        "network": ("probability", None),
        "head": ("probability", "logit"),
    }


def test_heads_and_networks_average_probabilities_and_linear_models_logits():
    np.testing.assert_array_equal(average_folds("head", LOGITS), MEAN_PROBABILITY)
    np.testing.assert_array_equal(average_folds("statistics", LOGITS), MEAN_LOGIT)
    np.testing.assert_array_equal(average_probabilities("network", expit(LOGITS)), MEAN_PROBABILITY)


def test_models_of_all_folds_are_served_or_one_that_is_fitted_on_all():
    assert served_models("network", {0: "a", 2: "b"}) == ["a", "b"]
    assert served_models("prior", {0: "a", 2: "b"}, refit=lambda: "all") == ["all"]
    with pytest.raises(ValueError, match="'refit'"):
        served_models("prior", {0: "a"})


def linear(seed):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        centre=rng.normal(size=3), spread=np.ones(3), clip=4.0, weights=rng.normal(size=(3, 2)), bias=rng.normal(size=2)
    )


@pytest.mark.parametrize(("rule", "average"), [("logit", 0), ("probability", 1)])
def test_the_graph_of_linear_models_follows_the_table(rule, average, tmp_path, monkeypatch):
    monkeypatch.setitem(averaging.AVERAGING, "statistics", Averaging(folds=rule))
    models, features = [linear(seed) for seed in range(3)], np.random.default_rng(9).normal(size=(5, 3))
    logits = [np.clip(features - each.centre, -4, 4) @ each.weights + each.bias for each in models]
    expected = (expit(np.mean(logits, axis=0)), np.mean(expit(logits), axis=0))
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    export_linear(tmp_path / "a.onnx", models)
    session = OnnxSession(tmp_path / "a.onnx", inputs=["features"], outputs=["prob"])
    np.testing.assert_allclose(session.run(features=features.astype(np.float32))[0], expected[average], atol=1e-5)
    np.testing.assert_array_equal(average_folds("statistics", logits), expected[average])


def test_networks_are_not_averaged_by_a_rule_that_their_merged_outputs_cannot_follow(monkeypatch):
    monkeypatch.setitem(averaging.AVERAGING, "network", Averaging(folds="logit"))
    clip, frames = LOGITS[0], LOGITS[0][..., None]
    with pytest.raises(ValueError, match="'logit', not 'probability'"):
        mean_probabilities(np.zeros(1), WindowSpec(), [lambda mels: (clip, frames)])
