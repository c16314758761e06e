"""A soundscape is heard once, however many members listen."""

import numpy as np

from lib.competition.row_ids import parse_soundscape
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.sound.decode import decode

NAME = "BC2026_Test_0001_S05_20250227_010002"


def hearing(seconds: float) -> SoundscapeInputs:
    return SoundscapeInputs(parse_soundscape(NAME), np.ones(round(32_000 * seconds), dtype=np.float32))


def test_what_is_made_of_a_soundscape_is_made_once_for_each_key():
    heard, made = hearing(60), []

    def make(what):
        made.append(what)
        return what

    assert [heard.get_or_compute(key, lambda key=key: make(key)) for key in "abab"] == list("abab")
    assert made == ["a", "b"]


def test_a_soundscape_has_twelve_windows_cut_once_whatever_its_length():
    heard = hearing(61)
    assert heard.windows().shape == (12, 160_000)
    assert heard.windows() is heard.windows()


def test_two_members_with_one_front_end_draw_its_pictures_once(network_member, classes, public, monkeypatch):
    members = [open_member(network_member, classes) for _ in range(2)]
    path = sorted((public / "train_soundscapes").glob("*.ogg"))[0]
    heard = SoundscapeInputs(parse_soundscape(path.name), decode(path))
    first = members[0].score(heard)
    monkeypatch.setattr("lib.models.member.network.NetworkMember._pictures", lambda self, audio: 1 / 0)
    np.testing.assert_array_equal(members[1].score(heard), first)
