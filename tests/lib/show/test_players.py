"""A player is a real audio element whose data decode to the sound; a button names the stretch it plays."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from lib.competition.row_ids import SAMPLE_RATE
from lib.show.audio import play_button, player


def decoded(html: str) -> list[tuple[np.ndarray, int]]:
    data = re.findall(r'<audio controls.*? src="data:audio/ogg;base64,([^"]+)"></audio>', html)
    return [soundfile.read(io.BytesIO(base64.b64decode(part))) for part in data]


def tone(hertz: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE).astype(np.float32)


def test_a_player_decodes_back_to_the_sound():
    (samples, rate), *more = decoded(player(tone(1000, 2.5)).html)
    assert not more
    assert len(samples) / rate == pytest.approx(2.5, abs=0.01)
    assert np.abs(np.fft.rfft(samples[:rate])).argmax() == 1000


def test_a_button_finds_the_player_by_its_name():
    html = player(tone(500, 0.2), "minute-x").html
    button = play_button("minute-x", 20, 25).html
    name = re.search(r"getElementById\('([^']+)'\)", button)[1]
    assert f' id="{name}"' in html
    assert "currentTime=20" in button
    assert "dataset.stop=25" in button
    assert "ontimeupdate" in html
    assert "▶ 20–25" in button


def test_a_player_without_a_name_has_no_id():
    assert " id=" not in player(tone(500, 0.2)).html
