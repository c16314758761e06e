"""The loudest stretch is found where it was put, to a tenth of a second."""

import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.crops import loudest_start, loudest_stretch


@pytest.mark.parametrize("second", [0, 2, 7])
def test_the_loud_second_is_found(second):
    audio = np.full(8 * SAMPLE_RATE, 0.01, np.float32)
    audio[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE] = 0.5
    assert loudest_start(audio, SAMPLE_RATE) == second * SAMPLE_RATE
    assert (loudest_stretch(audio, 1.0) == 0.5).all()


def test_a_short_sound_is_its_own_loudest_stretch():
    audio = np.ones(100, np.float32)
    assert loudest_start(audio, 200) == 0
    assert len(loudest_stretch(audio, 1.0)) == 100
