"""Seeded mutations of a soundscape's file, and what must hold of whatever the reader makes of it.

Started as a process of its own, it has an address space limit: `python -m tests.support.hostile.sounds FILE FOLDER`.
"""

import io
import os
import resource
import struct
import sys
from pathlib import Path

import numpy as np
import soundfile

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S, WINDOW_SAMPLES
from lib.core.errors import BadInput
from lib.sound.decode import UnreadableAudio, decode, read_soundscape
from tests.support.hostile.cases import run_cases
from tests.support.hostile.oggsurgery import changed, flipped, pages_of, position_of

MOST_MB = 700  # beyond what one plain soundscape takes: an hour of samples is 460
MOST_SAMPLES = (SOUNDSCAPE_S + 1) * SAMPLE_RATE


def encoded(audio, rate, kind, subtype=None):
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format=kind, subtype=subtype)
    return file.getvalue()


def cut(ogg, rng):
    return ogg[: rng.integers(len(ogg))]


def bits(ogg, rng):
    data = bytearray(ogg)
    for at in rng.integers(len(data), size=rng.integers(1, 60)):
        data[at] ^= 1 << rng.integers(8)
    return bytes(data)


def head_bits(ogg, rng):
    data = bytearray(ogg)
    for at in rng.integers(200, size=rng.integers(1, 4)):
        data[at] ^= 1 << rng.integers(8)
    return bytes(data)


def surgery(ogg, rng):
    """Pages lost, doubled, moved, foreign or lying, with whole checksums."""
    pages = pages_of(ogg)
    for _ in range(rng.integers(1, 5)):
        at, other = (int(n) for n in rng.integers(1, len(pages), size=2))
        kind = int(rng.integers(9))
        if kind == 0:
            del pages[at : at + int(rng.integers(1, 30))]
        elif kind == 1:
            pages.insert(other, pages[at])
        elif kind == 2:
            pages[at], pages[other] = pages[other], pages[at]
        elif kind == 3:
            pages[at] = flipped(pages[at], int(rng.integers(len(pages[at]))))
        elif kind == 4:
            pages[at] = changed(pages[at], stream=int(rng.integers(2**32)))
        elif kind == 5:
            lie = int(rng.choice([-1, -5, 0, 2**40, 2**62, position_of(pages[at]) + int(rng.integers(-50_000, 10**6))]))
            pages[at] = changed(pages[at], position=lie)
        elif kind == 6:
            pages[at] = changed(pages[at], number=int(rng.integers(2**32)))
        elif kind == 7:
            pages[at] = changed(pages[at], flags=int(rng.integers(8)))
        else:
            pages.insert(at, rng.bytes(int(rng.integers(10_000))))
        if len(pages) < 3:
            break
    return b"".join(pages)


def renumbered(ogg, rng):
    """Pages lost, and the numbers of the others closed up."""
    pages = pages_of(ogg)
    at = int(rng.integers(2, len(pages) - 20))
    del pages[at : at + int(rng.integers(1, 20))]
    return b"".join(changed(page, number=n) for n, page in enumerate(pages))


def packets(ogg, rng):
    """Bytes within pages, their checksums made whole again."""
    pages = pages_of(ogg)
    for at in rng.integers(len(pages), size=rng.integers(1, 6)):
        where = int(rng.integers(27 + pages[at][26], len(pages[at])))
        pages[at] = changed(flipped(pages[at], where))
    return b"".join(pages)


def header(ogg, rng):
    """Another rate, channels or block sizes in the first page."""
    pages = pages_of(ogg)
    rate = int(rng.choice([0, 1, 3_999, 8_000, 16_000, 48_000, 192_000, 16_777_213, 2**32 - 1]))
    at, new = [(12, struct.pack("<I", rate)), (11, rng.bytes(1)), (28, rng.bytes(1))][rng.integers(3)]
    pages[0] = changed(pages[0], body=lambda body: body[:at] + new + body[at + len(new) :])
    return b"".join(pages)


def chained(ogg, rng):
    audio = 0.1 * rng.standard_normal(int(rng.integers(1, 5 * SAMPLE_RATE)))
    rate = int(rng.choice([SAMPLE_RATE, 44_100, 8_000]))
    return (
        ogg + [ogg, encoded(audio, rate, "OGG", "VORBIS"), encoded(audio, rate, "WAV"), rng.bytes(999)][rng.integers(4)]
    )


def other_format(ogg, rng):
    """The same sound, or one with odd samples, in another format and at another rate, under its name."""
    audio, _ = soundfile.read(io.BytesIO(ogg), dtype="float32")
    kind, subtype = [("WAV", "FLOAT"), ("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("W64", "DOUBLE"), ("AIFF", "PCM_U8")][
        rng.integers(5)
    ]
    rate = SAMPLE_RATE
    if rng.random() < 0.3:
        rate, audio = 16_000, audio[::2]
    if rng.random() < 0.5 and subtype in ("FLOAT", "DOUBLE"):
        audio = audio.copy()
        audio[rng.integers(len(audio))] = rng.choice([np.nan, np.inf, -np.inf, 1e18, 3e38, -2e4])
    if rng.random() < 0.3:
        audio = np.repeat(audio[:, None], int(rng.integers(2, 7)), axis=1)
    data = encoded(audio, rate, kind, subtype)
    return [data, cut(data, rng), head_bits(data, rng), bits(data, rng)][rng.integers(4)]


def nothing(ogg, rng):
    return [b"", rng.bytes(5_000), b"OggS" * 5_000, b"OggS" + rng.bytes(5_000), b"RIFF" + rng.bytes(99)][
        rng.integers(5)
    ]


MUTATIONS = [
    cut,
    bits,
    head_bits,
    surgery,
    surgery,
    surgery,
    renumbered,
    packets,
    header,
    chained,
    other_format,
    nothing,
]


def shifted_window(audio, truth):
    """The number of a window whose sound is found, but at another place; None if there is none."""
    for number, start in enumerate(range(0, len(audio) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES)):
        window, there = audio[start : start + WINDOW_SAMPLES], truth[start : start + WINDOW_SAMPLES]
        if len(there) < WINDOW_SAMPLES or np.abs(window - there).mean() < 0.2 * np.abs(there).mean():
            continue
        size = 2 ** int(np.ceil(np.log2(len(truth) + WINDOW_SAMPLES)))
        product = np.fft.irfft(np.fft.rfft(truth, size) * np.conj(np.fft.rfft(window, size)), size)
        lag = int(product[: len(truth)].argmax())
        level = np.linalg.norm(window) * np.linalg.norm(truth[lag : lag + WINDOW_SAMPLES]) + 1e-12
        if abs(lag - start) > 100 and product[lag] > 0.5 * level:
            return number
    return None


def check(path, truth):
    """The outcome of reading the file."""
    try:
        recording = read_soundscape(path)
    except UnreadableAudio:
        return "unreadable"
    audio = recording.audio
    assert audio.dtype == np.float32
    assert 0 < len(audio) <= MOST_SAMPLES + SAMPLE_RATE // 100, f"{len(audio)} samples"
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 2e4
    if recording.damage:
        return "read, with alarm"
    moved = shifted_window(audio, truth)
    assert moved is None, f"window {moved} is shifted, without an alarm"
    return "read"


def peak_mb():
    """The most memory that this process had: unlike `ru_maxrss`, without that of the process that started it."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def main(source: Path, folder: Path) -> None:
    ogg, path = source.read_bytes(), folder / "BC2026_Test_0001_S05_20250227_010002.ogg"
    truth = read_soundscape(source).audio
    shifted_window(truth[::-1].copy(), truth)  # takes its memory once
    address_space = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (address_space + MOST_MB * 2**20,) * 2)
    before = peak_mb()

    def case(seed):
        rng = np.random.default_rng(seed)
        mutation = MUTATIONS[seed % len(MUTATIONS)]
        path.write_bytes(mutation(ogg, rng))
        try:
            outcome = check(path, truth)
            if seed % 3 == 0 and outcome != "unreadable":
                decode(path)  # the hour that a clip may have
            return outcome
        except (AssertionError, MemoryError, BadInput) as error:
            raise RuntimeError(f"{mutation.__name__}: {type(error).__name__} {error}") from error

    try:
        run_cases("sounds", case)
    finally:
        print(f"peak {peak_mb() - before} MB above one soundscape")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
