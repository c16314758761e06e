"""Planted copies are altered as named, and the recall table counts found and mistaken sounds exactly."""

import numpy as np
import pandas as pd
import pytest

from lib.competition.row_ids import SAMPLE_RATE
from lib.sound.duplicates.fingerprint import echoprint
from lib.sound.duplicates.recall_check import (
    CASES,
    add_white_noise,
    apply_all,
    recall_table,
    resample_twice,
    sampled_recall_table,
    trim,
)


def a_sound(seconds=3.0):
    return (0.1 * np.random.default_rng(0).normal(size=int(seconds * SAMPLE_RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def result(flock):
    names = list(flock)
    return recall_table(names, [echoprint(flock[name]) for name in names], flock.get, names, []).set_index("case")


def test_each_copy_differs_from_its_original_and_is_sound():
    audio = a_sound()
    for case, change in CASES.items():
        copy = change(audio, np.random.default_rng(0))
        assert copy.dtype == np.float32, case
        assert np.isfinite(copy).all(), case
        assert copy.shape != audio.shape or np.abs(copy - audio).max() > 1e-3, case


def test_cuts_noise_and_rates_are_as_stated():
    audio, rng = a_sound(), np.random.default_rng(0)
    lengths = [len(trim(audio, rng)) / len(audio) for _ in range(50)]
    assert 0.6 <= min(lengths) < 0.7 < 0.85 < max(lengths) <= 0.9
    noise = add_white_noise(audio, rng) - audio
    assert 10 * np.log10(np.square(audio).mean() / np.square(noise).mean()) == pytest.approx(20, abs=0.1)
    spectrum = np.abs(np.fft.rfft(resample_twice(audio, rng)))
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    assert spectrum[hertz > 12_500].mean() < 0.02 * spectrum[hertz < 9_000].mean()
    assert len(apply_all(audio, rng)) < len(audio)


def test_copies_are_found_and_no_other_clip_is_mistaken_for_one(result):
    assert result.planted.tolist() == [16] * len(CASES)
    assert (result.found == 16).all()
    assert (result.mistaken == 0).all()
    assert (result.recall == result.found / 16).all()


def test_every_found_copy_is_more_similar_to_its_original_than_any_other_sound(result):
    assert (result.lowest_copy > result.highest_other).all()
    assert result.lowest_copy["12 dB louder or softer"] == pytest.approx(1, abs=1e-3)


def test_a_known_copy_is_no_mistake_and_an_unknown_one_is(flock):
    audio = flock["grekis/XC0.ogg"]
    sounds = {"a/1.ogg": audio, "b/2.ogg": np.float32(0.5) * audio[3000:], "c/3.ogg": flock["rubthr1/XC0.ogg"]}
    prints = [echoprint(sound) for sound in sounds.values()]
    assert recall_table(list(sounds), prints, sounds.get, ["a/1.ogg"], []).mistaken[0] == 1
    assert recall_table(list(sounds), prints, sounds.get, ["a/1.ogg"], [("b/2.ogg", "a/1.ogg")]).mistaken[0] == 0


def test_the_planted_are_spread_over_the_inventory(flock):
    table = pd.DataFrame({"name": list(flock), "echoprint": [echoprint(audio) for audio in flock.values()]})
    decoded = set()

    def sound(name):
        decoded.add(name)
        return flock[name]

    assert sampled_recall_table(table, sound, 4, []).planted.tolist() == [4] * len(CASES)
    assert {"grekis/XC0.ogg", "grekis/XC4.ogg", "rubthr1/XC0.ogg", "rubthr1/XC4.ogg"} <= decoded
