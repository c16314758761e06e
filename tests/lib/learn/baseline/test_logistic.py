"""The linear models equal sklearn's, leave unknown cells out, and arrive in ONNX unchanged."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from lib.core.errors import BadInput
from lib.learn.baseline.logistic import LogisticSettings, fit_logistic
from lib.models.export.linear import export_linear
from lib.models.runtime.onnx import OnnxSession


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 12)) * rng.uniform(0.1, 50, 12) + rng.normal(size=12)
    truth = expit((features - features.mean(0)) / features.std(0) @ rng.normal(size=(12, 4)) - 1) > rng.random((300, 4))
    return features, truth


def test_each_class_equals_sklearns_balanced_regression(data):
    features, truth = data
    settings = LogisticSettings(l2=0.01, clip=1e9, max_iterations=2000)
    ours = fit_logistic(features, truth, np.ones(truth.shape), settings)
    standard = (features - features.mean(0)) / features.std(0)
    for column in range(truth.shape[1]):
        weight = np.where(truth[:, column], 0.5 / truth[:, column].sum(), 0.5 / (~truth[:, column]).sum())
        reference = LogisticRegression(C=1 / settings.l2, tol=1e-8, max_iter=5000)
        reference.fit(standard, truth[:, column], sample_weight=weight)
        np.testing.assert_allclose(ours.logits(features)[:, column], reference.decision_function(standard), atol=2e-3)


def test_cells_of_weight_zero_do_not_count(data):
    features, truth = data
    cells = np.ones(truth.shape)
    cells[:100, 0] = 0
    spoilt = truth.copy()
    spoilt[:100, 0] = ~spoilt[:100, 0]
    one, other = (fit_logistic(features, t, cells, LogisticSettings()) for t in (truth, spoilt))
    np.testing.assert_allclose(one.logits(features), other.logits(features), atol=1e-6)


def test_a_class_without_positives_gives_finite_scores(data):
    features, truth = data
    none = truth.copy()
    none[:, 1] = False
    assert np.isfinite(fit_logistic(features, none, np.ones(truth.shape), LogisticSettings()).logits(features)).all()


def test_the_exported_graph_is_the_mean_of_the_folds_and_the_same_bytes_each_time(data, tmp_path):
    features, truth = data
    models = [fit_logistic(features[n::2], truth[n::2], np.ones(truth[n::2].shape), LogisticSettings()) for n in (0, 1)]
    for name in ("a.onnx", "b.onnx"):
        export_linear(tmp_path / name, models)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    session = OnnxSession(tmp_path / "a.onnx", inputs=["features"], outputs=["prob"])
    prob = session.run(features=features.astype(np.float32))[0]
    np.testing.assert_allclose(prob, expit(np.mean([m.logits(features) for m in models], axis=0)), atol=1e-5)


def test_a_file_with_another_interface_is_refused(data, tmp_path):
    features, truth = data
    export_linear(tmp_path / "a.onnx", [fit_logistic(features, truth, np.ones(truth.shape), LogisticSettings())])
    for inputs, outputs in ((["audio"], ["prob"]), (["features"], ["embedding"])):
        with pytest.raises(BadInput, match="another interface"):
            OnnxSession(tmp_path / "a.onnx", inputs=inputs, outputs=outputs)


def test_a_fit_in_all_directions_but_a_constant_one_is_the_fit_itself():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, 5))
    features = np.concatenate([features, features[:, :1]], axis=1)  # rank 5
    targets = rng.random((200, 3)) < 1 / (1 + np.exp(-2 * features[:, :3]))
    cells = np.ones(targets.shape)
    whole = fit_logistic(features, targets, cells, LogisticSettings())
    reduced = fit_logistic(features, targets, cells, LogisticSettings(components=5))
    np.testing.assert_allclose(reduced.logits(features), whole.logits(features), atol=1e-3)
    fewer = fit_logistic(features, targets, cells, LogisticSettings(components=2))
    assert np.linalg.matrix_rank(fewer.weights) == 2
