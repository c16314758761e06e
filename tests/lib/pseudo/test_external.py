"""External recordings become pieces in the format of all others, each once, and never one of the competition's own."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from lib.competition.row_ids import SAMPLE_RATE, parse_soundscape, row_ids
from lib.core.errors import BadInput
from lib.learn.cache.audio import CacheSettings, as_int16, external_folder, fill_cache
from lib.pseudo import external
from lib.pseudo.external import external_soundscapes
from lib.sound.decode import decode

STEM = "BC2026_Train_0001_S01_20250101_050000"
RATE = 8_000  # of most recordings here: a quarter of the samples


def noise(seconds, rate=RATE, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate)).astype(np.float32)


def write(path, audio, rate=RATE, subtype=None, **form):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate, subtype=subtype, **form)


@pytest.fixture(scope="module")
def contest(tmp_path_factory):
    """A competition folder with a soundscape and a clip; read it, never write to it."""
    folder = tmp_path_factory.mktemp("contest")
    for table in ("train.csv", "taxonomy.csv", "train_soundscapes_labels.csv"):
        (folder / table).write_text(table)
    write(folder / "train_soundscapes" / f"{STEM}.ogg", noise(60, SAMPLE_RATE, 1), SAMPLE_RATE, "FLOAT", format="WAV")
    write(folder / "train_audio" / "ani" / "1.ogg", noise(7, SAMPLE_RATE, 2), SAMPLE_RATE, "FLOAT", format="WAV")
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine"


@pytest.fixture
def cut(tmp_path, folder, contest):
    """Cuts what lies in the folder."""
    return lambda: external_soundscapes(folder, tmp_path / "pieces", contest)


@pytest.fixture
def read(monkeypatch):
    """The names of the recordings that are read from now on, piece by piece."""
    names, real = [], external._minutes
    monkeypatch.setattr(external, "_minutes", lambda path: (names.append(path.name), real(path))[1])
    return names


def lengths_s(files):
    return sorted(soundfile.info(file).duration for file in files)


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 44_100, 2), ("deep/er/b.flac", 22_050, 1), ("c.OGG", 48_000, 1), ("d.mp3", 44_100, 1)],
)
def test_any_format_rate_and_number_of_channels_becomes_mono_at_32_khz(cut, folder, name, rate, channels):
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(7 * rate) / rate)
    write(folder / name, np.stack([tone] * channels, axis=1), rate)
    (piece,) = cut()
    header = soundfile.info(piece)
    assert (header.samplerate, header.channels, header.format) == (SAMPLE_RATE, 1, "FLAC")
    assert header.duration == pytest.approx(7, abs=0.1)
    audio = decode(piece)
    assert np.abs(np.fft.rfft(audio[:SAMPLE_RATE])).argmax() == 1000
    assert np.abs(audio).max() == pytest.approx(0.5, abs=0.03)


def test_a_recording_is_cut_into_minutes_and_no_sample_is_lost_or_moved(cut, folder):
    audio = noise(125.5, SAMPLE_RATE)
    write(folder / "long.wav", audio, SAMPLE_RATE, "FLOAT")
    files = cut()
    assert lengths_s(files) == [5.5, 60, 60]
    together = np.concatenate([soundfile.read(file, dtype="int16")[0] for file in files])
    np.testing.assert_array_equal(together, as_int16(audio))


def test_less_than_a_window_is_dropped_and_silence_is_kept(cut, folder, capsys):
    write(folder / "rest.wav", noise(64.9))
    write(folder / "window.wav", noise(5, seed=1))
    write(folder / "silent.wav", np.zeros(6 * RATE))
    write(folder / "short.wav", noise(4.9, seed=2))
    assert lengths_s(cut()) == [5, 6, 60]
    assert "short.wav is left out: shorter than 5 seconds" in capsys.readouterr().out


def test_what_is_too_loud_is_cut_at_full_scale_and_does_not_wrap(cut, folder):
    write(folder / "loud.wav", np.tile([1.5, -1.5], 3 * SAMPLE_RATE), SAMPLE_RATE, "FLOAT")
    samples, _ = soundfile.read(cut()[0], dtype="int16")
    assert samples[:4].tolist() == [32767, -32767, 32767, -32767]


def test_a_piece_is_named_by_the_recordings_bytes_wherever_it_lies(cut, folder, tmp_path, contest):
    write(folder / "Ünïcode name" / "a b:c.wav", noise(65))
    files = cut()
    assert all(re.fullmatch(r"External_[0-9a-f]{16}_0000[01]\.flac", file.name) for file in files)
    shutil.copytree(folder / "Ünïcode name", tmp_path / "moved")
    (tmp_path / "moved" / "a b:c.wav").rename(tmp_path / "moved" / "z.wav")
    moved = external_soundscapes(tmp_path / "moved", tmp_path / "others", contest)
    assert [file.name for file in moved] == [file.name for file in files]
    assert [file.read_bytes() for file in moved] == [file.read_bytes() for file in files]


def test_a_piece_is_taken_for_no_contest_recording_and_has_row_ids(cut, folder):
    write(folder / "a.wav", noise(6))
    (piece,) = cut()
    with pytest.raises(BadInput, match="cannot be read"):
        parse_soundscape(piece.stem)
    assert len(set(row_ids(piece.stem))) == 12


def test_what_cannot_be_read_is_named_and_the_others_are_cut(cut, folder, capsys):
    write(folder / "good.wav", noise(6))
    write(folder / "nan.wav", np.full(6 * RATE, np.nan), RATE, "FLOAT")
    write(folder / "fast.wav", noise(1), 16_777_213)
    write(folder / "._good.wav", noise(6, seed=3))
    (folder / "bad.mp3").write_bytes(b"no sound at all")
    (folder / "empty.ogg").write_bytes(b"")
    (folder / "a folder.wav").mkdir()
    (folder / "notes.txt").write_text("no recording")
    assert len(cut()) == 1
    printed = capsys.readouterr().out
    assert all(f"{name} is left out: " in printed for name in ("bad.mp3", "empty.ogg", "fast.wav", "nan.wav"))
    assert "not finite" in printed
    assert "notes.txt" not in printed
    assert "._good.wav" not in printed


def test_a_folder_without_recordings_is_an_error(cut, folder):
    folder.mkdir()
    with pytest.raises(BadInput, match="no recording below"):
        cut()


def test_nothing_is_converted_twice_and_equal_files_once(cut, folder, read):
    write(folder / "a.wav", noise(6))
    write(folder / "short.wav", noise(1))
    shutil.copy(folder / "a.wav", folder / "b.wav")
    files = cut()
    assert len(files) == 1
    assert sorted(read) == ["a.wav", "short.wav"]
    assert cut() == files
    write(folder / "c.wav", noise(6, seed=3))
    assert set(files) < set(cut())
    assert read[2:] == ["c.wav"]


def test_a_run_that_was_stopped_in_a_recording_starts_that_recording_again(cut, folder, read, monkeypatch):
    for seed in range(3):
        write(folder / f"{seed}.wav", noise(125, seed=seed))
    monkeypatch.setattr(external.os, "cpu_count", lambda: 1)
    real, written = soundfile.write, []

    def stopped(path, *rest, **options):
        written.append(path)
        if len(written) == 5:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        real(path, *rest, **options)

    monkeypatch.setattr(soundfile, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        cut()
    monkeypatch.setattr(soundfile, "write", real)
    assert set(lengths_s((folder.parent / "pieces").glob("*.flac"))) == {5, 60}  # none is half
    stopped_in = read[1]
    files = cut()
    assert stopped_in in read[2:]
    assert read[0] not in read[2:]
    assert lengths_s(files) == [5, 5, 5, 60, 60, 60, 60, 60, 60]


def copy_bytes(contest, to):
    shutil.copy(contest / "train_soundscapes" / f"{STEM}.ogg", to / "x.ogg")


def copy_samples(contest, to):
    write(to / "x.wav", decode(contest / "train_soundscapes" / f"{STEM}.ogg"), SAMPLE_RATE, "PCM_16")


def copy_clip(contest, to):
    write(to / "x.flac", decode(contest / "train_audio" / "ani" / "1.ogg"), SAMPLE_RATE)


def copy_within(contest, to):
    own = decode(contest / "train_soundscapes" / f"{STEM}.ogg")
    write(to / "x.flac", np.concatenate([noise(60, SAMPLE_RATE, 5), own]), SAMPLE_RATE)


@pytest.mark.parametrize(
    ("copy", "why"),
    [
        (copy_bytes, rf"{STEM}\.ogg, byte for byte"),
        (copy_samples, rf"minute 1 is the competition's {STEM}\.ogg"),
        (copy_clip, r"minute 1 is the competition's 1\.ogg"),
        (copy_within, rf"minute 2 is the competition's {STEM}\.ogg"),
    ],
)
def test_what_holds_a_recording_of_the_contest_is_left_out_and_both_are_named(cut, folder, contest, copy, why, capsys):
    folder.mkdir()
    copy(contest, folder)
    write(folder / "other.wav", noise(6))
    assert lengths_s(cut()) == [6]
    assert re.search(rf"ALARM: x\.\w+ is left out: .*{why}", capsys.readouterr().out)


def test_beside_other_contest_data_recordings_are_compared_again(cut, folder, contest, tmp_path):
    folder.mkdir()
    copy_samples(contest, folder)
    other = tmp_path / "other"
    shutil.copytree(contest, other)
    (other / "train_soundscapes" / f"{STEM}.ogg").unlink()
    assert len(external_soundscapes(folder, tmp_path / "pieces", other)) == 1
    assert cut() == []


def test_the_disk_is_reported_before_and_too_small_a_disk_is_refused(cut, folder, capsys, monkeypatch):
    write(folder / "a.wav", noise(90))
    monkeypatch.setattr(external.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5.7e6))
    with pytest.raises(BadInput, match="disk is too small"):
        cut()
    monkeypatch.setattr(external.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5.8e6))
    files = cut()
    assert "1 external recordings, 1 of them new: 0.03 hours, at most 0.01 GB" in capsys.readouterr().out
    assert sum(file.stat().st_size for file in files) <= 90 * 64_000


def test_pieces_that_lie_below_the_folder_are_no_recordings(folder, contest):
    write(folder / "a.wav", noise(6))
    files = external_soundscapes(folder, folder / "pieces", contest)
    assert external_soundscapes(folder, folder / "pieces", contest) == files


def test_the_audio_cache_finds_the_pieces_beside_itself(folder, contest, tmp_path):
    write(folder / "a.wav", noise(65))
    files = external_soundscapes(folder, external_folder(tmp_path / "cache"), contest)
    cache = fill_cache(contest, [STEM, *(file.stem for file in files)], tmp_path / "cache", CacheSettings())
    for file in files:
        assert np.abs(cache.samples(file.stem) - soundfile.read(file, dtype="int16")[0].astype(int)).max() <= 1
    assert STEM in cache
