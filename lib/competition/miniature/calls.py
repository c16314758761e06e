"""Calls: how a species sounds, how one individual sings it, and the samples of it."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Song:
    """A row of syllables (form "voice") or one long rasping band (form "buzz"), in hertz, seconds and octaves."""

    form: str
    pitch_hz: float
    syllable_s: float
    syllables: int = 1
    gap_s: float = 0.1
    drift: float = 1.0  # each gap is this many times the one before: below 1 the song speeds up
    sweep_octaves: float = 0.0  # from the start to the end of a syllable; the sign is the direction
    steps_octaves: tuple[float, ...] = (0.0,)  # melody, repeated over the syllables
    partials: tuple[float, ...] = (1.0, 0.15)  # amplitudes of the fundamental and its multiples
    vibrato_hz: float = 0.0
    vibrato_octaves: float = 0.0
    breath: float = 0.0  # voice: share of noise around the pitch; buzz: width of the band relative to the pitch
    attack: float = 0.25  # share of the syllable in which it swells
    rough_hz: float = 0.0  # beating of the loudness
    rough_depth: float = 0.0


def vary_individual(song: Song, rng: np.random.Generator) -> Song:
    """The song as one individual sings it this time: one of three song types, its own pitch and tempo."""
    kind = int(rng.choice(3, p=(0.6, 0.25, 0.15)))
    tempo = 2 ** rng.normal(0, 0.12)
    length = 2 ** rng.normal(0, 0.5) if song.form == "buzz" else tempo
    return replace(
        song,
        pitch_hz=song.pitch_hz * (1.0, 1.08, 0.93)[kind] * 2 ** rng.normal(0, 0.04),
        syllables=max(1, round(song.syllables * (1.0, 0.65, 1.4)[kind])),
        syllable_s=min(25.0, song.syllable_s * length),
        gap_s=song.gap_s * tempo,
        sweep_octaves=song.sweep_octaves * rng.uniform(0.75, 1.25),
        vibrato_hz=song.vibrato_hz / tempo,
        rough_hz=song.rough_hz * 2 ** rng.normal(0, 0.08),
    )


def onsets_s(song: Song) -> np.ndarray:
    """The start second of every syllable (syllables,), the first at 0."""
    steps = song.syllable_s + song.gap_s * song.drift ** np.arange(song.syllables - 1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def seconds(song: Song) -> float:
    """The length in seconds of one rendering of the song."""
    return float(onsets_s(song)[-1] + song.syllable_s)


def band_hz(song: Song) -> tuple[float, float]:
    """The lowest and highest hertz of the song's strongest part, at least a third of an octave wide."""
    reach = max(abs(song.sweep_octaves) / 2 + song.vibrato_octaves, song.breath if song.form == "buzz" else 0.0, 1 / 6)
    low, high = min(song.steps_octaves) - reach, max(song.steps_octaves) + reach
    strong = 1 + max(index for index, loud in enumerate(song.partials) if loud >= 0.3 * max(song.partials))
    return song.pitch_hz * 2**low, song.pitch_hz * 2**high * strong


def render_call(song: Song, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """The samples (float32) of one rendering of the song, with a loudness of 1 while it sounds."""
    return unit_loudness(_buzz(song, sample_rate, rng) if song.form == "buzz" else _voice(song, sample_rate, rng))


def unit_loudness(sound: np.ndarray) -> np.ndarray:
    """The sound scaled so that the root mean square of its audible samples is 1; silence stays silence."""
    size = np.abs(sound)
    audible = size > 0.1 * size.max()
    loudness = np.sqrt(np.mean(np.square(sound[audible]), dtype=np.float64)) if audible.any() else 1.0
    return (sound / loudness).astype(np.float32)


def add_distance(call: np.ndarray, sample_rate: int, distance: float, rng: np.random.Generator) -> np.ndarray:
    """The call heard from afar (0 near, 1 far): treble lost, a tail of echoes added; loudness 1 again."""
    tail_s = 0.08 + 0.35 * distance
    n_tail = int(2.5 * tail_s * sample_rate)
    decay = np.exp(-np.arange(n_tail, dtype=np.float32) / (tail_s * sample_rate))
    echo = rng.standard_normal(n_tail, dtype=np.float32) * decay
    echo *= 0.6 * distance / np.sqrt(np.sum(np.square(echo)))
    echo[0] += 1.0
    n_fft = _fast_length(len(call) + n_tail)
    hertz = np.fft.rfftfreq(n_fft, 1 / sample_rate).astype(np.float32)
    corner_hz = 9000 * 2 ** (-1.8 * distance)
    spectrum = np.fft.rfft(call, n_fft) * np.fft.rfft(echo, n_fft) / (1 + np.square(hertz / corner_hz))
    return unit_loudness(np.fft.irfft(spectrum, n_fft)[: len(call) + n_tail])


def _fast_length(n: int) -> int:
    """The smallest length of at least n samples, among 4, 5, 6 and 7 times a power of two, which transforms like."""
    power = 1 << max(0, int(np.floor(np.log2(n))) - 2)
    return next(power * parts for parts in (4, 5, 6, 7, 8) if power * parts >= n)


def _voice(song: Song, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """A row of tonal, pulsed or hoarse syllables."""
    n = max(8, round(song.syllable_s * sample_rate))
    share = np.linspace(0, 1, n, dtype=np.float32)
    time_s = np.arange(n, dtype=np.float32) / sample_rate
    melody = np.resize(np.asarray(song.steps_octaves), song.syllables) + rng.normal(0, 0.015, song.syllables)
    octaves = song.sweep_octaves * (share - 0.5)
    octaves = octaves + song.vibrato_octaves * np.sin(2 * np.pi * song.vibrato_hz * time_s)
    hertz = song.pitch_hz * np.exp2(melody[:, None] + octaves[None])
    phase = (2 * np.pi / sample_rate * np.cumsum(hertz, axis=1)).astype(np.float32)
    sound: np.ndarray = np.zeros_like(phase)
    for number, loud in enumerate(song.partials, start=1):
        if number * hertz.max() < 0.45 * sample_rate:
            sound += np.float32(loud) * np.sin(number * phase)
    if song.breath:
        sound = (1 - song.breath) * sound + song.breath * _slow_noise(phase.shape, sample_rate, song.pitch_hz, rng) * (
            np.sin(phase) + 0.5 * np.sin(2 * phase)
        )
    sound *= _swell(share, song.attack) * _beating(song, time_s)
    sound *= rng.uniform(0.75, 1.0, (song.syllables, 1))
    starts = np.round(onsets_s(song) * sample_rate).astype(int)
    out = np.zeros(starts[-1] + n, np.float32)
    for start, syllable in zip(starts, sound, strict=True):
        out[start : start + n] += syllable
    return out


def _buzz(song: Song, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """A band of noise that beats: the song of an insect."""
    n = max(1, round(song.syllable_s * 10)) * (sample_rate // 10)
    hertz = np.fft.rfftfreq(n, 1 / sample_rate).astype(np.float32)
    shape = np.zeros_like(hertz)
    for number, loud in enumerate(song.partials, start=1):
        shape += loud * np.exp(-0.5 * np.square((hertz / number - song.pitch_hz) / (song.breath * song.pitch_hz)))
    noise = rng.standard_normal((2, len(hertz)), dtype=np.float32)
    sound = np.fft.irfft(shape * (noise[0] + 1j * noise[1]), n)
    time_s = np.arange(n, dtype=np.float32) / sample_rate
    edge = np.clip(np.minimum(time_s, time_s[::-1]) / 0.4, 0, 1)
    return (sound * edge * _beating(song, time_s)).astype(np.float32)


def _swell(share: np.ndarray, attack: float) -> np.ndarray:
    """The loudness of a syllable over its course, from 0 over 1 to 0."""
    rise = np.sin(np.pi / 2 * np.clip(share / attack, 0, 1))
    fall = np.cos(np.pi / 2 * np.clip((share - attack) / (1 - attack), 0, 1))
    return (rise * fall).astype(np.float32) ** 2


def _beating(song: Song, time_s: np.ndarray) -> np.ndarray:
    """The periodic change of loudness that makes a voice rough and a buzz pulse."""
    if not song.rough_hz:
        return np.ones_like(time_s)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * song.rough_hz * time_s)
    return 1 - song.rough_depth * (1 - wave**2)


def _slow_noise(shape: tuple[int, int], sample_rate: int, width_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Noise below about `width_hz` with a loudness of 1: a moving mean of white noise, row by row."""
    span = max(2, int(sample_rate / (2 * width_hz)))
    total = np.cumsum(rng.standard_normal((shape[0], shape[1] + span)), axis=1)
    return ((total[:, span:] - total[:, :-span]) / np.sqrt(span)).astype(np.float32)
