"""Batched probes compute each MLP's output, from the reduced embedding and the course of the class's own logit."""

import numpy as np
import pytest
import torch

from lib.models.export.head import export_head
from lib.models.head.class_mlps import ClassMlps, MlpBank, Reduction, score_features
from lib.models.runtime.onnx import OnnxSession

CLASSES, WIDTH, COMPONENTS = 5, 7, 3


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=(4, 12, n)).astype(np.float32)
        for name, n in (("embedding", WIDTH), ("logits", CLASSES))
    }


@pytest.fixture(scope="module")
def network(inputs):
    random = np.random.default_rng(1)
    reduction = Reduction(random.normal(size=WIDTH), random.normal(size=(WIDTH, COMPONENTS)))
    network = ClassMlps(reduction, inputs["logits"], np.array([0.4, 0, 0.4, 1.0, 0]))
    network.banks.append(MlpBank([0, 3], COMPONENTS + 6, (4, 2), seed=0))
    network.banks.append(MlpBank([2], COMPONENTS + 6, (5, 3), seed=1))
    return network.eval().requires_grad_(False)


def run(network, inputs):
    return network({name: torch.from_numpy(values) for name, values in inputs.items()}).numpy()


def test_the_features_of_a_score_are_its_neighbours_and_its_file():
    logits = torch.arange(12.0).square()[None, :, None]
    own, before, after, mean, highest, spread = score_features(logits)[0, :, 0].T
    assert own.tolist() == [n**2 for n in range(12)]
    assert before.tolist() == [0, *own[:-1].tolist()]
    assert after.tolist() == [*own[1:].tolist(), 121]
    assert set(highest.tolist()) == {121}
    np.testing.assert_allclose(mean, own.mean())
    np.testing.assert_allclose(spread, own.numpy().std(), rtol=1e-6)


def test_each_class_is_the_share_of_its_own_mlp_and_a_class_without_one_keeps_its_logit(network, inputs):
    found = run(network, inputs)
    np.testing.assert_array_equal(found[..., [1, 4]], inputs["logits"][..., [1, 4]])
    reduced = (inputs["embedding"].reshape(48, -1) - network.centre.numpy()) @ network.projection.numpy()
    scores = score_features(torch.from_numpy(inputs["logits"])).numpy().reshape(48, CLASSES, 6)
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0, ddof=1)
    for column, share, bank, place in ((0, 0.4, 0, 0), (3, 1.0, 0, 1), (2, 0.4, 1, 0)):
        rows = np.concatenate([reduced, scores[:, column]], axis=1)
        layers = list(zip(network.banks[bank].weights, network.banks[bank].biases, strict=True))
        for n, (weight, bias) in enumerate(layers):
            rows = rows @ weight[place].numpy() + bias[place].numpy()
            rows = np.maximum(rows, 0) if n < len(layers) - 1 else rows
        expected = (1 - share) * inputs["logits"].reshape(48, -1)[:, column] + share * rows[:, 0]
        np.testing.assert_allclose(found.reshape(48, -1)[:, column], expected, atol=1e-4)


def test_the_export_says_the_same_for_any_number_of_files(network, inputs, tmp_path):
    export_head(network, tmp_path / "a.onnx")
    session = OnnxSession(tmp_path / "a.onnx", inputs=["embedding", "logits"], outputs=["logit"])
    for files in (1, 4):
        some = {name: values[:files] for name, values in inputs.items()}
        np.testing.assert_allclose(session.run(**some)[0], run(network, some), atol=1e-5)
