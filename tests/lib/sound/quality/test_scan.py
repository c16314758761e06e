"""The inventory measures what was put into a sound, and its hashes tell bytes from samples."""

import shutil

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, sosfilt

from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES
from lib.sound.quality.scan import take_inventory


def measured(folder, audio, name="a.wav"):
    soundfile.write(folder / name, audio, SAMPLE_RATE, subtype="FLOAT")
    return take_inventory(folder, [name], "test").iloc[0]


def noise(seconds, level=0.1):
    return level * np.random.default_rng(0).normal(size=round(seconds * SAMPLE_RATE))


def test_level_offset_and_length_are_measured(tmp_path):
    row = measured(tmp_path, noise(2) + 0.2)
    assert row.seconds == 2
    assert row.dc == pytest.approx(0.2, abs=0.01)
    assert row.rms == pytest.approx(np.hypot(0.1, 0.2), abs=0.01)
    assert row.peak == pytest.approx(np.abs(noise(2) + 0.2).max(), abs=1e-6)
    assert (row.clipped, row.silent) == (0, 0)


def test_clipping_and_silence_are_shares(tmp_path):
    tone = np.clip(2 * np.sin(2 * np.pi * 100 * np.arange(SAMPLE_RATE) / SAMPLE_RATE), -1, 1)
    row = measured(tmp_path, np.concatenate([tone, np.zeros(3 * SAMPLE_RATE)]))
    assert row.clipped == pytest.approx(2 / 3 / 4, abs=0.01)
    assert row.silent == pytest.approx(3 / 4, abs=0.02)


def test_loud_frames_stand_over_quiet_ones_by_as_much_as_they_do(tmp_path):
    row = measured(tmp_path, np.concatenate([noise(2, 0.1), noise(2, 0.001)]))
    assert row.snr_db == pytest.approx(40, abs=1.5)


def test_levels_are_of_each_five_seconds_and_a_short_rest_is_left_out(tmp_path):
    audio = np.concatenate([noise(5, 0.1), noise(5, 0.01), noise(1, 0.1)])
    assert measured(tmp_path, audio).levels_db == pytest.approx([-20, -40], abs=0.5)
    assert len(measured(tmp_path, audio[: WINDOW_SAMPLES + 3 * SAMPLE_RATE]).levels_db) == 2


def test_a_sound_ends_where_its_filter_ends(tmp_path):
    assert measured(tmp_path, noise(4)).edge_hz > 15_000
    low = sosfilt(butter(20, 3000, fs=SAMPLE_RATE, output="sos"), noise(4))
    assert 3000 < measured(tmp_path, low).edge_hz < 5500
    assert measured(tmp_path, np.zeros(SAMPLE_RATE)).edge_hz == 0


@pytest.mark.parametrize("samples", [1, 100, 1700])
def test_a_sound_shorter_than_a_frame_is_measured_too(tmp_path, samples):
    row = measured(tmp_path, np.full(samples, 0.5))
    assert row.problem == ""
    assert row.levels_db == pytest.approx([-6.02], abs=0.01)


def test_the_same_samples_in_another_container_have_one_sound_hash_and_two_file_hashes(tmp_path):
    audio = (noise(1) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", audio, SAMPLE_RATE)
    soundfile.write(tmp_path / "b.flac", audio, SAMPLE_RATE)
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    soundfile.write(tmp_path / "d.wav", np.roll(audio, 1), SAMPLE_RATE)
    table = take_inventory(tmp_path, ["a.wav", "b.flac", "c.wav", "d.wav"], "test")
    assert (table.file_hash == table.file_hash[0]).tolist() == [True, False, True, False]
    assert (table.sound_hash == table.sound_hash[0]).tolist() == [True, True, True, False]


def test_an_absent_or_unreadable_file_has_its_problem_and_no_sound_hash(tmp_path):
    (tmp_path / "bad.ogg").write_bytes(b"no sound")
    soundfile.write(tmp_path / "still.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    table = take_inventory(tmp_path, ["none.ogg", "bad.ogg", "still.wav"], "test")
    assert table.problem.tolist() == ["no such file", table.problem[1], "silent throughout"]
    assert table.problem[1]
    assert table.sound_hash[:2].tolist() == ["", ""]
    assert table["bytes"].tolist()[:2] == [0, 8]
