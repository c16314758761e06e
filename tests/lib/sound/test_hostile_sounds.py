"""Damaged and lying sound files are read in place with a reason, or refused; none takes much memory."""

import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from build.project import ROOT
from lib.competition.miniature.ogg import encode_ogg
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.core.ogg_pages import NO_POSITION, whole_pages
from lib.models.member.open import Member
from lib.sound import decode as decode_module
from lib.sound.decode import UnreadableAudio, decode, read_recording, read_soundscape
from lib.sound.quality.checks import damaged_files
from lib.sound.quality.scan import take_inventory
from lib.submit.budget import Clock
from lib.submit.soundscape import score_soundscape
from lib.submit.stream import score_soundscapes
from tests.support.fakemachine import optional, scores_of, table_of
from tests.support.hostile.oggsurgery import changed, flipped, pages_of, position_of

SECONDS = 12
LOST = "pages are lost or damaged"


def a_sound(seconds=SECONDS, seed=0):
    """Noise, in which any shift shows."""
    return 0.1 * np.random.default_rng(seed).standard_normal(seconds * SAMPLE_RATE).astype(np.float32)


@pytest.fixture(scope="module")
def ogg():
    return encode_ogg(a_sound(), SAMPLE_RATE, "a")


@pytest.fixture(scope="module")
def pages(ogg):
    return pages_of(ogg)


@pytest.fixture(scope="module")
def whole(ogg, tmp_path_factory):
    return decode(written(tmp_path_factory.mktemp("whole") / "a.ogg", ogg))


def written(path, data):
    path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
    return path


def without(pages, first, last):
    return pages[:first] + pages[last:]


def replaced(pages, at, page):
    return [*pages[:at], page, *pages[at + 1 :]]


SURGERY = {  # what is done to the pages → the lost seconds and what is said
    "a page lost": (lambda p: without(p, 9, 10), 0.5, LOST),
    "pages lost": (lambda p: without(p, 6, 14), 3.9, LOST),
    "the first pages lost": (lambda p: without(p, 2, 5), 1.5, LOST),
    "a bit turned": (lambda p: replaced(p, 9, flipped(p[9], 400)), 0.5, LOST),
    "pages swapped": (lambda p: [*p[:9], p[10], p[9], *p[11:]], 0.5, LOST),
    "a page twice": (lambda p: [*p[:9], p[9], *p[9:]], 0.0, LOST),
    "a page of another stream": (lambda p: replaced(p, 9, changed(p[9], stream=7)), 0.5, "another stream follows"),
    "a false position": (lambda p: replaced(p, 9, changed(p[9], position=10**9)), 0.5, LOST),
    "the same recording behind": (lambda p: p + p, 0.0, "another stream follows"),
    "another behind": (lambda p: [*p, encode_ogg(a_sound(2, 1), 44_100, "b")], 0.0, "another stream follows"),
    "junk between pages": (lambda p: [*p[:9], b"OggS" * 99, *p[9:]], 0.0, None),
}


@pytest.mark.parametrize(("surgery", "lost_s", "text"), SURGERY.values(), ids=SURGERY)
def test_what_is_left_is_in_its_place_and_the_damage_is_named(pages, whole, tmp_path, surgery, lost_s, text):
    recording = read_recording(written(tmp_path / "a.ogg", surgery(pages)))
    assert len(recording.audio) == len(whole)
    silent = recording.audio == 0
    assert silent.mean() * SECONDS == pytest.approx(lost_s, abs=0.1)
    np.testing.assert_allclose(recording.audio[~silent], whole[~silent], atol=1e-4)
    assert recording.damage.startswith(text) if text else recording.damage == ""
    assert ("silence" in recording.damage) == (lost_s > 0)


CUT = {
    "in the middle": lambda p: b"".join(p)[: len(b"".join(p)) // 2],
    "between pages": lambda p: p[:12],
    "before the last": lambda p: p[:-1],
    "the last damaged": lambda p: replaced(p, -1 % len(p), flipped(p[-1], 60)),
}


@pytest.mark.parametrize("cut", CUT.values(), ids=CUT)
def test_a_file_that_breaks_off_says_so(pages, whole, tmp_path, cut):
    recording = read_recording(written(tmp_path / "a.ogg", cut(pages)))
    assert recording.damage == "breaks off: its last page is missing"
    assert 0 < len(recording.audio) < len(whole)
    np.testing.assert_allclose(recording.audio, whole[: len(recording.audio)], atol=1e-4)


def with_rate(pages, rate):
    def body(payload):
        return payload[:12] + struct.pack("<I", rate) + payload[16:]

    return replaced(pages, 0, changed(pages[0], body=body))


REFUSED = {
    "a rate of 16,777,213 Hz": (lambda p: with_rate(p, 16_777_213), "a rate of 16777213 Hz"),
    "a rate of 3,999 Hz": (lambda p: with_rate(p, 3_999), "a rate of 3999 Hz"),
    "headers alone": (lambda p: p[:2], "no samples"),
    "a damaged header": (lambda p: replaced(p, 1, flipped(p[1], 99)), "malformed"),
    "no beginning": (lambda p: p[1:], "malformed"),
}


@pytest.mark.parametrize(("surgery", "text"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_right_is_refused(pages, tmp_path, surgery, text):
    with pytest.raises(UnreadableAudio, match=rf"a\.ogg: .*{text}"):
        read_recording(written(tmp_path / "a.ogg", surgery(pages)))


@pytest.mark.parametrize("samples", [[1e18], [2e4], [-2e4], [np.inf], [np.nan], [[3e38, 3e38]]], ids=str)
def test_a_sample_that_no_recorder_makes_is_refused(tmp_path, samples):
    with (tmp_path / "a.ogg").open("wb") as file:  # called .ogg, as the contest would
        soundfile.write(file, np.array(samples, dtype=np.float32), SAMPLE_RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(UnreadableAudio, match=r"not finite|where full scale is 1"):
        decode(tmp_path / "a.ogg")


def test_a_loud_float_file_is_no_fault(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(100, 9_999, dtype=np.float32), SAMPLE_RATE, subtype="FLOAT")
    assert decode(tmp_path / "a.wav").max() == 9_999


def test_a_false_length_costs_no_memory(pages, tmp_path):
    lying = replaced(pages, len(pages) - 1, changed(pages[-1], position=2**40))
    recording = read_recording(written(tmp_path / "a.ogg", lying))
    assert (len(recording.audio), recording.damage) == (position_of(pages[-2]), LOST)
    flac = written(tmp_path / "a.flac", pages)  # not what it is called
    assert len(decode(flac)) == SECONDS * SAMPLE_RATE


def test_a_length_that_no_codec_reaches_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(40_000, dtype=np.float32), SAMPLE_RATE)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21:26] = bytes([data[21] | 0x0F, 255, 255, 255, 255])  # the number of samples in its header: 36 bits
    with pytest.raises(UnreadableAudio, match="impossible length"):
        decode(written(tmp_path / "a.flac", bytes(data)))


def test_pages_lost_without_a_gap_in_their_numbers_are_damage(pages, tmp_path):
    renumbered = [changed(page, number=9 + n) for n, page in enumerate(pages[12:])]
    recording = read_recording(written(tmp_path / "a.ogg", [*pages[:9], *renumbered]))
    assert recording.damage.endswith("where its header states 12.00")
    assert recording.seconds == pytest.approx(SECONDS - 1.4, abs=0.2)


def test_whatever_a_library_raises_is_an_unreadable_file(ogg, tmp_path, monkeypatch):
    def raising(*arguments):
        raise ValueError("a library's own words")

    monkeypatch.setattr(decode_module, "resample_poly", raising)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 8_000)
    with pytest.raises(UnreadableAudio, match=r"a\.wav: a library's own words"):
        decode(path)
    with pytest.raises(UnreadableAudio, match="not a file"):
        decode(tmp_path)


@pytest.mark.parametrize("rate", [44_101, 399_989])
def test_an_odd_rate_keeps_its_pitch(tmp_path, rate):
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", tone, rate)
    audio = decode(tmp_path / "a.wav")
    assert len(audio) == pytest.approx(SAMPLE_RATE, abs=3)
    assert np.abs(np.fft.rfft(audio[:SAMPLE_RATE])).argmax() == 1000


LENGTHS = {0: None, 5: None, -SAMPLE_RATE // 10: None, -20_000: "59.38 s long instead of 60", 99_000: "63.09 s long"}


@pytest.mark.parametrize(("extra", "text"), LENGTHS.items())
def test_a_soundscape_of_another_length_is_damage(tmp_path, extra, text):
    soundfile.write(tmp_path / "a.flac", np.zeros(SOUNDSCAPE_SAMPLES + extra), SAMPLE_RATE)
    recording = read_soundscape(tmp_path / "a.flac")
    assert text in recording.damage if text else recording.damage == ""
    assert len(recording.audio) <= SOUNDSCAPE_SAMPLES + SAMPLE_RATE  # of hours, a minute is read


def test_damage_is_an_alarm_of_the_submission_and_a_line_of_the_qa_table(pages, tmp_path):
    path = written(tmp_path / "BC2026_Test_0001_S05_20250227_010002.ogg", without(pages, 9, 10))
    member = Member(None, True, lambda inputs: table_of("m", inputs.soundscape.stem))
    assert "silence" in score_soundscape(path, {"m": member}, 5, Clock()).damage
    result = score_soundscapes([path], {"m": member}, [optional("m", 1.0, 0.1)], scores_of("m", [path]), Clock())
    assert [alarm for alarm in result.alarms if path.name in alarm and "12.00 s long instead of 60" in alarm]
    inventory = take_inventory(tmp_path, [path.name], "x")
    qa = damaged_files("soundscape", inventory)
    assert qa[["item", "action"]].to_numpy().tolist() == [[path.name, "review"]]
    assert qa.detail[0].startswith(LOST)


def test_the_pages_of_a_file_are_walked_whatever_lies_between(ogg, pages):
    assert b"".join(pages) == ogg
    found = list(whole_pages(b"OggS" + ogg[:-1]))
    assert [page.number for page in found] == list(range(len(pages) - 1))
    assert found[-1].position > found[0].position == 0 != NO_POSITION


MEMORY = """
import sys
from pathlib import Path
from lib.sound.decode import decode, read_soundscape
from tests.support.hostile.sounds import peak_mb
before = peak_mb()
for read, name in zip((read_soundscape, decode) * 9, sys.argv[1:]):
    print(name, len(getattr(found := read(Path(name)), "audio", found)))
print(peak_mb() - before)
"""


@pytest.mark.slow
def test_hours_and_many_channels_take_little_memory(tmp_path):
    for name, seconds, rate, channels in (("six.wav", 240, 192_000, 6), ("long.wav", 3 * 3600, SAMPLE_RATE, 1)):
        size = 2 * seconds * rate * channels
        facts = 36 + size, b"WAVE", b"fmt ", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16, b"data", size
        with (tmp_path / name).open("wb") as file:
            file.write(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", *facts))
            file.truncate(44 + size)  # silence, which takes no disk
    for names, most_mb in ((("six.wav",), 200), (("long.wav",), 60), (("long.wav", "six.wav"), 600)):
        paths = [str(tmp_path / name) for name in names]
        ran = subprocess.run(
            [sys.executable, "-c", MEMORY, *paths], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert 10 < int(ran.stdout.split()[-1]) < most_mb, ran.stdout
