"""A checkpoint is whole or not used: killed while written, damaged, or made by another configuration."""

import pytest
import torch

from lib.core.errors import BadInput
from lib.learn.network import checkpoint
from lib.learn.network.checkpoint import LATEST, PREVIOUS, load_checkpoint, save_checkpoint


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((3,), float(step)), "history": [{"loss": 0.5, "scores": {"a": None}}]}


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_was_saved_last_comes_back(tmp_path):
    assert load_checkpoint(tmp_path, "f") is None
    for step in (1, 2, 3):
        save_checkpoint(tmp_path / "new", "f", state(step))
    found = load_checkpoint(tmp_path / "new", "f")
    assert found["weights"].tolist() == [3, 3, 3]
    assert found["history"] == state(3)["history"]


def test_another_configuration_is_refused(tmp_path):
    save_checkpoint(tmp_path, "one", state(1))
    with pytest.raises(BadInput, match=r"another configuration(.|\n)*one"):
        load_checkpoint(tmp_path, "two")


@pytest.mark.parametrize("how", ["a flipped bit", "cut short", "empty"])
def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, capsys, how):
    for step in (1, 2):
        save_checkpoint(tmp_path, "f", state(step))
    path = tmp_path / LATEST
    damage(path) if how == "a flipped bit" else path.write_bytes(path.read_bytes()[: 100 if how == "cut short" else 0])
    assert load_checkpoint(tmp_path, "f")["step"] == 1
    assert "damaged" in capsys.readouterr().out
    save_checkpoint(tmp_path, "f", state(5))
    damage(tmp_path / LATEST)
    assert load_checkpoint(tmp_path, "f")["step"] == 1  # the good one was not overwritten by the damaged


def test_nothing_but_damaged_ones_is_an_error_once(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, "f", state(step))
    for name in (LATEST, PREVIOUS):
        damage(tmp_path / name)
    with pytest.raises(BadInput, match="run again"):
        load_checkpoint(tmp_path, "f")
    assert load_checkpoint(tmp_path, "f") is None


@pytest.mark.parametrize("killed_at", [1, 2])
def test_killed_between_its_two_renames_one_of_both_is_there(tmp_path, monkeypatch, killed_at):
    save_checkpoint(tmp_path, "f", state(1))
    renames, replace = [], checkpoint.os.replace

    def killed(*paths):
        renames.append(paths)
        if len(renames) == killed_at:
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(checkpoint.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, "f", state(2))
    monkeypatch.undo()
    assert load_checkpoint(tmp_path, "f")["step"] == 1
    save_checkpoint(tmp_path, "f", state(3))
    assert load_checkpoint(tmp_path, "f")["step"] == 3
