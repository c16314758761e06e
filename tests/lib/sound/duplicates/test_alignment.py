"""What two copies share is found, wherever it lies in either, and taken where it is loudest."""

import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.duplicates.match import common_excerpt

RNG = np.random.default_rng(0)
SHARED = RNG.normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
SHARED[2 * SAMPLE_RATE : 3 * SAMPLE_RATE] *= 5


def noise(seconds: float) -> np.ndarray:
    return RNG.normal(0, 0.01, int(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize(("before", "after"), [((0, 0), (7, 2)), ((3, 1), (0, 0)), ((1.5, 0), (4, 3))])
def test_the_loudest_second_of_what_is_shared_is_taken_from_both(before, after):
    one = np.concatenate([noise(before[0]), SHARED, noise(before[1])])
    other = np.concatenate([noise(after[0]), -0.2 * SHARED, noise(after[1])])
    ours, theirs = common_excerpt(one, other, 1.0)
    loudest = SHARED[2 * SAMPLE_RATE : 3 * SAMPLE_RATE]
    np.testing.assert_array_equal(ours, loudest)
    np.testing.assert_allclose(theirs, -0.2 * loudest, rtol=1e-6)


def test_a_rumble_in_both_does_not_decide():
    hum = np.sin(2 * np.pi * 20 * np.arange(14 * SAMPLE_RATE) / SAMPLE_RATE)
    one, other = SHARED + 3 * hum[: len(SHARED)], np.concatenate([noise(10), SHARED]) - 3 * hum
    ours, theirs = common_excerpt(one, other, 10.0)
    assert len(ours) == len(theirs) == len(SHARED)
    np.testing.assert_allclose(theirs, other[10 * SAMPLE_RATE :])


def test_what_the_second_lacks_is_not_taken():
    ours, theirs = common_excerpt(SHARED, SHARED[SAMPLE_RATE : 3 * SAMPLE_RATE], 10.0)
    np.testing.assert_array_equal(ours, SHARED[SAMPLE_RATE : 3 * SAMPLE_RATE])
    np.testing.assert_array_equal(ours, theirs)


def test_loud_passages_that_are_strangers_do_not_decide():
    one, other = np.concatenate([SHARED / 10, 100 * noise(6)]), np.concatenate([100 * noise(6), SHARED / 10])
    ours, theirs = common_excerpt(one, other, 1.0)
    np.testing.assert_array_equal(ours, theirs)


def test_an_instant_that_is_alike_is_not_taken_for_the_recording():
    click = np.tile(np.array([1, -1], np.float32), 500)
    one, other = np.concatenate([SHARED, click]), np.concatenate([click, SHARED / 10 + 13 * noise(4)])
    ours, theirs = common_excerpt(one, other, 1.0)
    np.testing.assert_array_equal(ours, SHARED[2 * SAMPLE_RATE : 3 * SAMPLE_RATE])
    np.testing.assert_array_equal(theirs, other[len(click) + 2 * SAMPLE_RATE :][:SAMPLE_RATE])
