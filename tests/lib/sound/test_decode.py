"""Every odd file is decoded as stated, or refused with the reason."""

import json

import numpy as np
import pytest
import soundfile

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES
from lib.competition.tables import Findings
from lib.sound.decode import UnreadableAudio, decode, fit_length, loudest_windows, soundscape_windows
from lib.sound.quality.scan import report_inventory, report_lengths, take_inventory


@pytest.fixture(scope="module")
def quirks(mini):
    return json.loads((mini / "miniature.json").read_text())["quirks"]


@pytest.mark.parametrize("quirk", ["zero_sample_clip", "zero_byte_clip", "corrupt_clip"])
def test_a_file_without_usable_sound_is_refused_by_name(public, quirks, quirk):
    for name in quirks[quirk]:
        with pytest.raises(UnreadableAudio, match=name.split("/")[1]):
            decode(public / "train_audio" / name)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 22_050])
def test_any_rate_and_channels_become_mono_at_32_khz(tmp_path, rate):
    time_s = np.arange(rate * 2) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time_s)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, np.zeros_like(tone)], axis=1), rate)
    audio = decode(tmp_path / "a.wav")
    assert audio.dtype == np.float32
    assert len(audio) == 2 * SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(audio[:SAMPLE_RATE]))
    assert spectrum.argmax() == 1000
    assert spectrum[1000] / SAMPLE_RATE * 2 == pytest.approx(0.25, rel=0.02)  # the mean of both channels


def test_samples_that_are_not_finite_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan], dtype=np.float32), 32_000, subtype="FLOAT")
    with pytest.raises(UnreadableAudio, match="not finite"):
        decode(tmp_path / "a.wav")


@pytest.mark.parametrize("extra", [-40_000, -1, 0, 7, 170_000])
def test_a_soundscape_has_twelve_windows_whatever_its_length(extra):
    audio = np.arange(SOUNDSCAPE_SAMPLES + extra, dtype=np.float32)
    windows = soundscape_windows(audio)
    assert windows.shape == (12, WINDOW_SAMPLES)
    assert windows[11, 0] == 11 * WINDOW_SAMPLES if extra > -WINDOW_SAMPLES else True
    if extra < 0:
        assert windows[11, extra] == 0  # what is missing is filled from the beginning, not with silence


def test_a_short_clip_is_repeated():
    assert fit_length(np.array([1, 2, 3], dtype=np.float32), 7).tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_the_loudest_windows_come_first():
    audio = np.concatenate([np.full(WINDOW_SAMPLES, level, dtype=np.float32) for level in (0.1, 0.3, 0.2)])
    assert loudest_windows(audio, 2)[:, 0].tolist() == pytest.approx([0.3, 0.2])
    assert loudest_windows(audio[:1000], 3).shape == (1, WINDOW_SAMPLES)


def test_the_inventory_finds_every_planted_clip(public, quirks):
    names = sorted(str(path.relative_to(public / "train_audio")) for path in (public / "train_audio").rglob("*.ogg"))
    found = take_inventory(public / "train_audio", names, "train_audio").set_index("name")
    for quirk in ("zero_sample_clip", "zero_byte_clip", "corrupt_clip", "silent_clip"):
        assert (found.problem[quirks[quirk]] != "").all(), quirk
    assert (found.problem[quirks["silent_clip"]] == "silent throughout").all()
    assert (found.channels[quirks["stereo_clip"]] == 2).all()
    assert (found.rate[quirks["clip_44100"]] == 44_100).all()
    assert (found.rate[quirks["clip_48000"]] == 48_000).all()
    planted = [
        name
        for quirk in ("zero_sample_clip", "zero_byte_clip", "corrupt_clip", "silent_clip")
        for name in quirks[quirk]
    ]
    assert set(found.index[found.problem != ""]) == set(planted)


def test_what_is_left_of_a_truncated_clip_is_used(public, quirks):
    for name in quirks["truncated_clip"]:
        assert 0 < len(decode(public / "train_audio" / name)) < 20 * SAMPLE_RATE


def test_the_report_names_what_is_excluded(public, quirks):
    findings = Findings()
    names = quirks["corrupt_clip"] + quirks["stereo_clip"] + ["nobody/XC1.ogg"]
    report_inventory("train_audio", take_inventory(public / "train_audio", names, "x"), findings)
    frame = findings.frame()
    excluded = frame[frame.action == "excluded"]
    assert excluded["count"].sum() == len(quirks["corrupt_clip"]) + 1
    assert excluded.examples.str.contains("nobody/XC1.ogg").any()


def test_soundscapes_of_odd_length_are_reported(public, quirks):
    findings = Findings()
    names = sorted(path.name for path in (public / "train_soundscapes").glob("*.ogg"))
    report_lengths("train_soundscapes", take_inventory(public / "train_soundscapes", names, "x"), findings)
    assert findings.lines[0].count >= len(quirks["long_labelled_soundscape"])
    assert quirks["long_labelled_soundscape"][0] in findings.lines[0].examples
