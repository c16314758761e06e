"""A network comes to foretell an embedder's embeddings."""

import pytest
from standin import write_standin
from tinyplan import TINY_PLAN, fit

from lib.competition.errors import BadInput
from lib.learn.plan import changed


def test_a_network_comes_to_foretell_its_embeddings_and_a_plan_that_cannot_distil_is_refused(
    prepared_folder, public, tmp_path
):
    write_standin(tmp_path / "e.onnx")
    taught = changed(TINY_PLAN, embedder=str(tmp_path / "e.onnx"), distil_size=1536, distil_weight=10.0, mixup_p=0.5)
    history = fit(taught, "taught", prepared_folder, public, tmp_path, folds=[0]).history
    assert history.loss.iloc[-1] < history.loss.iloc[0]
    for wrong in ({"distil_size": 5}, {"embedder": ""}, {"seconds": 10}, {"embedder": "owl.onnx"}):
        with pytest.raises(BadInput, match=r"cannot distil|other embeddings|not there"):
            fit(changed(taught, **wrong), "wrong", prepared_folder, public, tmp_path, folds=[0])
