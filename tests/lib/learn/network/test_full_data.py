"""Networks of the full data: one a seed, found again, and trained on pseudo-labels as the folds would be."""

import pytest
import torch

from lib.competition.prepared import load_prepared
from lib.learn.network import full_data as whole_networks
from lib.learn.network.config import override
from lib.learn.network.full_data import fit_full_data_networks
from tests.support.tinylabels import tiny_labels
from tests.support.tinyplan import TINY_PLAN


@pytest.fixture
def here(monkeypatch):
    """One after the other in this process, which starts at once."""
    monkeypatch.setattr(whole_networks, "train_folds", lambda seeds, run, places: {n: run(n, "cpu") for n in seeds})


def weights(network):
    return torch.cat([value.flatten().float() for value in network.state_dict().values()])


def test_each_seed_has_a_network_of_its_own_that_is_found_again(
    here, prepared_folder, public, network_member, tmp_path, capsys
):
    plan = override(TINY_PLAN, epochs=1, steps_per_epoch=2)
    how = {"cache_folder": tmp_path / "audio", "seeds": [1, 2]}
    first = fit_full_data_networks(plan, prepared_folder, public, tmp_path / "members" / "a", **how)
    assert list(first) == [1, 2]
    assert not torch.equal(weights(first[1]), weights(first[2]))
    again = fit_full_data_networks(plan, prepared_folder, public, tmp_path / "members" / "a", **how)
    assert capsys.readouterr().out.count("finished before") == 2
    assert torch.equal(weights(first[1]), weights(again[1]))
    teachers = {network_member.name: network_member}
    labels = tiny_labels(tmp_path / "labels", load_prepared(prepared_folder), public, teachers)
    with_labels = override(plan, pseudo_ratio=1.0)
    student = fit_full_data_networks(
        with_labels,
        prepared_folder,
        public,
        tmp_path / "members" / "a",
        labels=labels,
        others=teachers,
        **how | {"seeds": [1]},
    )
    assert not torch.equal(weights(student[1]), weights(first[1]))
    assert not (tmp_path / "members").exists()
