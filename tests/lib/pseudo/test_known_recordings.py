"""Known recordings are found again by bytes or by samples, and nothing else is taken for one of them."""

import shutil

import numpy as np
import pytest
import soundfile

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.learn.cache.audio import as_int16
from lib.pseudo.external import KnownRecordings, competition_recordings
from lib.sound.decode import decode

MINUTE = np.random.default_rng(0).uniform(-0.5, 0.5, SOUNDSCAPE_SAMPLES).astype(np.float32)
SHORT = MINUTE[: 6 * SAMPLE_RATE]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("known")
    sounds = {
        "minute": MINUTE,
        "long": np.concatenate([MINUTE[::-1], SHORT]),
        "short": SHORT,
        "silent": 0 * SHORT,
        "clipped": np.sign(SHORT),
    }
    paths = {name: folder / f"{name}.ogg" for name in (*sounds, "other rate", "bad")}
    for name, sound in sounds.items():
        soundfile.write(paths[name], sound, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    soundfile.write(paths["other rate"], SHORT[: 7 * 16_000], 16_000, format="WAV", subtype="FLOAT")
    paths["bad"].write_bytes(b"no sound at all")
    return paths


@pytest.fixture(scope="module")
def known(files):
    return KnownRecordings(list(files.values()))


def test_the_same_bytes_are_found_under_any_name(known, files, tmp_path):
    copy = tmp_path / "x"
    shutil.copy(files["minute"], copy)
    assert known.find_file(copy) == files["minute"]
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)  # the same size
    assert known.find_file(copy) is None


@pytest.mark.parametrize("name", ["minute", "short", "other rate"])
def test_the_same_samples_are_found_whatever_rounding_did_to_them(known, files, name):
    samples = as_int16(decode(files[name]))
    shaken = samples + np.random.default_rng(1).integers(-2, 3, len(samples)).astype(np.int16)
    assert known.find_minute(samples) == known.find_minute(shaken) == files[name]


def test_of_a_longer_recording_the_first_minute_is_known(known, files):
    assert known.find_minute(as_int16(MINUTE[::-1])) == files["long"]


def test_another_sound_of_the_same_beginning_or_length_is_not_taken_for_it(known):
    other = as_int16(MINUTE)
    other[-1] += 3
    assert known.find_minute(other) is None
    assert known.find_minute(as_int16(MINUTE)[:-1]) is None
    assert known.find_minute(np.roll(as_int16(MINUTE), 1)) is None
    assert known.find_minute(as_int16(-np.sign(SHORT))) is None


def test_silence_is_nobodys(known):
    assert known.find_minute(np.zeros(len(SHORT), dtype=np.int16)) is None


def test_the_contests_recordings_are_clips_and_the_soundscapes_of_training_and_test(tmp_path):
    for name in ("train_audio/ani/1.ogg", "train_soundscapes/a.ogg", "test_soundscapes/b.ogg", "train.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [file.name for file in competition_recordings(tmp_path)] == ["b.ogg", "1.ogg", "a.ogg"]
