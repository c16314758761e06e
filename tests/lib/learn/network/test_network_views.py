"""What 02 shows of a trained network: frames laid end to end, and precisions measured on what its fold holds out."""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from lib.competition.prepared import load_prepared
from lib.learn.network import gallery as network_views
from lib.learn.network.gallery import activity_over_time, compare_precisions
from lib.models.export.parity import torch_runner
from lib.models.export.quantize import require_rank_agreement
from tests.support.tinyplan import TINY_PLAN, fit


@pytest.fixture(scope="module")
def fitted(network_member, prepared_folder, public):
    """The training that left the network member; it is finished, so nothing is trained again."""
    return fit(TINY_PLAN, "l2_tiny", prepared_folder, public, network_member.parent.parent)


def test_a_soundscape_is_heard_end_to_end_by_the_network_that_never_met_it(fitted, prepared_folder):
    prepared = load_prepared(prepared_folder)
    stem = prepared.windows.stem.iloc[0]
    picture, chances = activity_over_time(fitted.run, prepared, stem)
    seen = fitted.run.pictures([stem])
    fold = prepared.folds.of("soundscape")[stem]
    _, logits = torch_runner(fitted.run.trained_network(fold, len(prepared.classes)))(seen)
    assert picture.shape == (32, 12 * seen.shape[3])
    assert chances.shape == (len(prepared.classes), 12 * logits.shape[2])
    np.testing.assert_array_equal(picture[:, seen.shape[3] : 2 * seen.shape[3]], seen[1, 0])
    np.testing.assert_allclose(chances[:, : logits.shape[2]], expit(logits[0]), rtol=1e-6)


def test_precisions_are_a_row_each_with_a_verdict_and_leave_the_member_alone(
    fitted, network_member, prepared_folder, monkeypatch
):
    prepared = load_prepared(prepared_folder)
    files = {path.name: path.read_bytes() for path in network_member.iterdir()}
    table = compare_precisions(network_member, fitted.run, prepared)
    assert list(table.index) == ["float32", "float16", "int8"]
    assert table.loc["float32", ["rank_p5", "max_abs", "verdict"]].tolist() == [1.0, 0.0, "agrees"]
    assert table.megabytes["float16"] < table.megabytes["float32"]
    assert {path.name: path.read_bytes() for path in network_member.iterdir()} == files
    monkeypatch.setattr(
        network_views, "require_rank_agreement", partial(require_rank_agreement, least_rank=1.1)
    )  # as if nothing were good enough
    assert compare_precisions(network_member, fitted.run, prepared).verdict.str.startswith("refused").all()
