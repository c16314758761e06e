"""Inputs of a soundscape are computed once, however many members need them."""

import numpy as np

from lib.competition.row_ids import parse_soundscape
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.sound.decode import decode

NAME = "BC2026_Test_0001_S05_20250227_010002"


def inputs_of(seconds: float) -> SoundscapeInputs:
    return SoundscapeInputs(parse_soundscape(NAME), np.ones(round(32_000 * seconds), dtype=np.float32))


def test_a_value_is_computed_once_for_each_key():
    inputs, computed = inputs_of(60), []

    def compute(what):
        computed.append(what)
        return what

    assert [inputs.get_or_compute(key, lambda key=key: compute(key)) for key in "abab"] == list("abab")
    assert computed == ["a", "b"]


def test_a_soundscape_has_twelve_windows_cut_once_whatever_its_length():
    inputs = inputs_of(61)
    assert inputs.windows().shape == (12, 160_000)
    assert inputs.windows() is inputs.windows()


def test_two_members_with_one_front_end_compute_its_spectrograms_once(network_member, classes, public, monkeypatch):
    members = [open_member(network_member, classes) for _ in range(2)]
    path = sorted((public / "train_soundscapes").glob("*.ogg"))[0]
    inputs = SoundscapeInputs(parse_soundscape(path.name), decode(path))
    first = members[0].score(inputs)
    monkeypatch.setattr("lib.models.member.network.tta_spectrograms", lambda *arguments: [1 / 0 for _ in arguments[3]])
    np.testing.assert_array_equal(members[1].score(inputs), first)
