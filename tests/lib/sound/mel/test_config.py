"""Settings that make no spectrogram are refused when they are made; old cards' settings still load."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.sound.mel.config import FrontEnd
from tests.support.front_ends import FRONT_ENDS


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"mel_scale": "bark"}, "mel_scale"),
        ({"mel_norm": "area"}, "mel_norm"),
        ({"level": "decibel"}, "level"),
        ({"scope": "batch"}, "scope"),
        ({"normalise": "minmax zscore"}, "normalise"),
        ({"edges": "constant"}, "edges"),
        ({"magnitude_power": 3.0}, "magnitude_power"),
        ({"hop_samples": 0}, "hop_samples"),
        ({"n_fft": 2047}, "n_fft"),
        ({"n_fft": 0}, "n_fft"),
        ({"n_mels": 0}, "n_mels"),
        ({"taper_samples": 2049}, "taper_samples"),
        ({"taper_samples": -1}, "taper_samples"),
        ({"top_db": 0.0}, "top_db"),
        ({"fmin_hz": 500.0, "fmax_hz": 500.0}, "fmin_hz"),
        ({"fmin_hz": -1.0}, "fmin_hz"),
        ({"fmax_hz": 16001.0}, "fmin_hz, fmax_hz"),
        ({"n_mels": 256, "n_fft": 1024}, "n_mels"),
    ],
)
def test_a_setting_that_makes_no_spectrogram_is_refused_by_name(settings, named):
    with pytest.raises(BadInput, match=f"front end: {named}"):
        FrontEnd(**settings)


def test_as_many_bands_as_the_bins_can_serve_are_allowed_and_not_one_more():
    # From 0 Hz Slaney's bands are evenly spaced up to 1 kHz: each spans two spacings, and holds a bin while
    # that is more than the 31.25 Hz between bins, wherever it lies.
    FrontEnd(n_fft=1024, n_mels=63, fmin_hz=0.0, fmax_hz=1000.0 + 1e-9, mel_scale="slaney")
    with pytest.raises(BadInput, match="bands without"):
        FrontEnd(n_fft=1024, n_mels=70, fmin_hz=0.0, fmax_hz=1000.0 + 1e-9, mel_scale="slaney")


def test_the_settings_on_an_old_card_still_load_with_the_meaning_they_had():
    old = {"n_fft": 1024, "hop_samples": 512, "n_mels": 64, "fmin_hz": 50.0, "fmax_hz": 16000.0}
    loaded = FrontEnd(**old)
    assert (loaded.mel_scale, loaded.mel_norm, loaded.magnitude_power) == ("htk", "none", 2.0)
    assert (loaded.edges, loaded.scope, loaded.level, loaded.top_db) == ("reflect", "window", "db", 80.0)
    assert (loaded.taper_samples, loaded.normalise) == (0, "none")


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_settings_survive_the_trip_through_a_card(name):
    assert FrontEnd(**json.loads(json.dumps(asdict(FRONT_ENDS[name])))) == FRONT_ENDS[name]


def test_frames_are_centred_on_every_hop_of_the_window():
    assert FrontEnd(hop_samples=512).frames(160000) == 313
    assert FrontEnd(hop_samples=500).frames(160000) == 321
    assert np.array_equal([FrontEnd(edges=edges).context_samples for edges in ("reflect", "file")], [0, 1024])


def test_a_window_too_short_to_reflect_is_refused():
    assert FrontEnd().frames(1025) == 3
    with pytest.raises(BadInput, match="n_fft"):
        FrontEnd().frames(1024)
