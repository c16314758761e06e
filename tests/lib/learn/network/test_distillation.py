"""A network comes to foretell an embedder's embeddings, and may learn from pseudo-labels at the same time."""

import pytest

from lib.competition.prepared import load_prepared
from lib.core.errors import BadInput
from lib.learn.network import crossfit as fit_network
from lib.learn.network.config import override
from tests.support.standin import write_standin
from tests.support.tinylabels import tiny_labels
from tests.support.tinyplan import TINY_PLAN, fit


def test_a_network_learns_to_predict_its_teachers_embeddings_and_a_plan_that_cannot_distil_is_refused(
    prepared_folder, public, tmp_path
):
    write_standin(tmp_path / "e.onnx")
    plan = override(TINY_PLAN, embedder=str(tmp_path / "e.onnx"), distil_size=1536, distil_weight=10.0, mixup_p=0.5)
    history = fit(plan, "distilled", prepared_folder, public, tmp_path, folds=[0]).history
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    for wrong in ({"distil_size": 5}, {"embedder": ""}, {"seconds": 10}, {"embedder": "owl.onnx"}):
        with pytest.raises(BadInput, match=r"cannot distil|distil_size is not|not there"):
            fit(override(plan, **wrong), "wrong", prepared_folder, public, tmp_path, folds=[0])


def test_distillation_is_added_to_pseudo_labels(prepared_folder, public, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_network, "train_folds", lambda folds, run, places: {n: run(n, "cpu") for n in folds})
    write_standin(tmp_path / "e.onnx")
    labels = tiny_labels(tmp_path / "labels", load_prepared(prepared_folder), public, {})
    both = override(
        TINY_PLAN, embedder=str(tmp_path / "e.onnx"), distil_size=1536, pseudo_ratio=1.0, epochs=1, steps_per_epoch=1
    )
    lost = []
    for weight in (0.0, 1.0, 2.0):
        plan = override(both, distil_weight=weight)
        history = fit(plan, "both", prepared_folder, public, tmp_path, folds=[0], labels=labels).history
        assert history.skipped.tolist() == [0]
        lost.append(history.loss.item())
    assert 0 < lost[0] < lost[1] < lost[2]
    assert lost[2] - lost[1] == pytest.approx(lost[1] - lost[0], rel=1e-3)
