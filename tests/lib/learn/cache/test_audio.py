"""The audio cache decodes once, notices what changed, survives being killed, and reports what it cannot hold."""

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import soundfile

from build.project import ROOT
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.core.errors import BadInput
from lib.learn.cache import audio as audio_cache
from lib.learn.cache.audio import CacheSettings, as_float, external_folder, fill_cache, sound_path
from lib.sound.crops import energy_by_tenth

STEM = "BC2026_Train_0001_S01_20250101_050000"
SETTINGS = CacheSettings(clip_s=2)


def write(competition, item, audio):
    path = sound_path(competition, item)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, SAMPLE_RATE, format="WAV", subtype="PCM_16")


def noise(samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, samples).astype(np.float32)


@pytest.fixture
def competition(tmp_path):
    folder = tmp_path / "competition"
    for number in range(8):
        write(folder, f"bird/{number}.ogg", noise(SAMPLE_RATE, number))
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded from now on."""
    names, real = [], audio_cache.decode
    monkeypatch.setattr(audio_cache, "decode", lambda path: (names.append(path.name), real(path))[1])
    return names


CLIPS = [f"bird/{number}.ogg" for number in range(8)]


def test_what_is_read_is_what_was_decoded_to_half_a_16_bit_step(competition, tmp_path):
    cache = fill_cache(competition, CLIPS, tmp_path / "cache", SETTINGS)
    for number, item in enumerate(CLIPS):
        kept = cache.samples(item)
        assert kept.dtype == np.int16
        assert np.abs(as_float(kept) - noise(SAMPLE_RATE, number)).max() < 2.1 / 32767  # the file's rounding, and ours
        np.testing.assert_array_equal(cache.tenths(item), energy_by_tenth(kept))
    assert "bird/0.ogg" in cache
    assert "bird/9.ogg" not in cache


def test_a_second_of_audio_takes_64_kilobytes(competition, tmp_path):
    fill_cache(competition, CLIPS, tmp_path / "cache", SETTINGS)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) == 8 * 64_000


def test_a_piece_of_an_external_recording_is_found_beside_the_cache(tmp_path):
    folder, contest = external_folder(tmp_path / "cache"), tmp_path / "train_soundscapes" / "x.ogg"
    assert sound_path(tmp_path, "x", tmp_path / "cache") == contest
    folder.mkdir(parents=True)
    (folder / "x.flac").touch()
    assert sound_path(tmp_path, "x", tmp_path / "cache") == folder / "x.flac"
    assert sound_path(tmp_path, "x") == contest
    assert sound_path(tmp_path, "ani/x.ogg", tmp_path / "cache") == tmp_path / "train_audio" / "ani" / "x.ogg"


def test_what_is_louder_than_full_scale_is_cut_there(competition, tmp_path, monkeypatch):
    monkeypatch.setattr(audio_cache, "decode", lambda path: np.array([1.5, -1.5, 0.5], dtype=np.float32))
    cache = fill_cache(competition, CLIPS[:1], tmp_path / "cache", SETTINGS)
    assert cache.samples(CLIPS[0]).tolist() == [32767, -32767, 16384]


def test_clips_are_cut_to_the_setting_and_soundscapes_to_sixty_seconds(competition, tmp_path):
    write(competition, "bird/long.ogg", noise(3 * SAMPLE_RATE))
    write(competition, STEM, noise(SOUNDSCAPE_SAMPLES + 50))
    cache = fill_cache(competition, ["bird/long.ogg", STEM], tmp_path / "cache", SETTINGS)
    assert len(cache.samples("bird/long.ogg")) == 2 * SAMPLE_RATE
    assert len(cache.samples(STEM)) == SOUNDSCAPE_SAMPLES


def test_nothing_is_decoded_twice_unless_the_file_or_the_setting_changed(competition, tmp_path, decoded):
    folder = tmp_path / "cache"
    fill_cache(competition, CLIPS, folder, SETTINGS)
    assert sorted(decoded) == sorted(item.split("/")[1] for item in CLIPS)
    decoded.clear()
    fill_cache(competition, [*CLIPS, *CLIPS], folder, SETTINGS)
    assert decoded == []
    fill_cache(competition, CLIPS[:1], folder, CacheSettings(clip_s=1))
    assert decoded == ["0.ogg"]
    decoded.clear()
    path, before = sound_path(competition, CLIPS[3]), sound_path(competition, CLIPS[3]).stat()
    write(competition, CLIPS[3], noise(SAMPLE_RATE, 99))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time, other sound
    cache = fill_cache(competition, CLIPS, folder, SETTINGS)
    assert decoded == ["3.ogg"]
    assert np.abs(as_float(cache.samples(CLIPS[3])) - noise(SAMPLE_RATE, 99)).max() < 1e-4


def test_a_run_killed_while_it_writes_leaves_nothing_half_and_the_next_goes_on(competition, tmp_path, decoded):
    folder = tmp_path / "cache"
    program = f"""
        import os, signal, sys
        from pathlib import Path
        from lib.learn.cache import audio as audio_cache
        real, done = os.replace, []
        def replace(*names):
            if len(done) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(real(*names))
        os.replace, os.cpu_count = replace, lambda: 1
        audio_cache.fill_cache(Path({str(competition)!r}), {CLIPS!r}, Path({str(folder)!r}),
                               audio_cache.CacheSettings(clip_s=2))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT)
    assert run.returncode == -signal.SIGKILL
    assert len(list(folder.glob("*.i16"))) == 3
    assert len(list(folder.glob("*.part"))) == 1
    (folder / "of_another_item.part").write_bytes(b"half")
    cache = fill_cache(competition, CLIPS, folder, SETTINGS)
    assert sorted(decoded) == [f"{number}.ogg" for number in range(3, 8)]
    assert not list(folder.glob("*.part"))
    for number, item in enumerate(CLIPS):
        assert np.abs(as_float(cache.samples(item)) - noise(SAMPLE_RATE, number)).max() < 1e-4


def test_an_empty_file_where_audio_should_be_is_decoded_again(competition, tmp_path, decoded):
    folder = tmp_path / "cache"
    fill_cache(competition, CLIPS[:1], folder, SETTINGS)
    next(folder.glob("*.i16")).write_bytes(b"")
    cache = fill_cache(competition, CLIPS[:1], folder, SETTINGS)
    assert len(decoded) == 2
    assert len(cache.samples(CLIPS[0])) == SAMPLE_RATE


def test_all_recordings_that_cannot_be_decoded_are_named_at_the_end_and_the_others_are_kept(
    competition, tmp_path, decoded
):
    sound_path(competition, "bird/bad.ogg").write_bytes(b"no sound at all")
    items = ["bird/bad.ogg", *CLIPS, "bird/absent.ogg"]
    with pytest.raises(BadInput, match=r"bad\.ogg.*; bird/absent\.ogg: no such file"):
        fill_cache(competition, items, tmp_path / "cache", SETTINGS)
    decoded.clear()
    fill_cache(competition, CLIPS, tmp_path / "cache", SETTINGS)
    assert decoded == []


def test_the_disk_is_filled_to_the_setting_and_no_further(competition, tmp_path):
    folder, settings = tmp_path / "cache", CacheSettings(clip_s=2, disk_gb=4.5 * 64_000 / 1e9)
    with pytest.raises(BadInput, match="the audio cache is full"):
        fill_cache(competition, CLIPS, folder, settings)
    assert len(list(folder.glob("*.i16"))) == 4
    with pytest.raises(BadInput, match="the audio cache is full"):
        fill_cache(competition, CLIPS, folder, settings)
    assert len(list(folder.glob("*.i16"))) == 4


def test_a_folder_is_filled_by_one_run_at_a_time(competition, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    second = threading.Thread(target=fill_cache, args=(competition, CLIPS, folder, SETTINGS))
    with (folder / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert not list(folder.glob("*.i16"))
    second.join(30)
    assert len(list(folder.glob("*.i16"))) == 8
