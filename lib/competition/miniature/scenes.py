"""Soundscapes: distant calls over a site's noise floor, with wind, rain and chorus."""

from collections.abc import Callable

import numpy as np

from lib.competition.miniature.calls import add_distance, band_hz, render_call
from lib.competition.miniature.plan import Event, Scene, Weather
from lib.competition.miniature.sites import Site
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.row_ids import SAMPLE_RATE

_HUM_HZ = 120.0
_FULL_SCALE = 0.98


def render_scene(spec: MiniatureSpec, scene: Scene) -> np.ndarray:
    """The samples (float32, mono, 32 kHz) of one soundscape."""
    rng = spec.stream("sound", scene.recording.stem)
    n = scene.recording.samples
    sound = _noise(n, lambda hertz: _floor(scene.site, hertz), rng)
    for episode in scene.weather:
        sound += _weather(scene.site, episode, n, rng)
    for event in scene.events:
        _add_call(sound, scene.site, event, rng)
    return np.clip(sound, -_FULL_SCALE, _FULL_SCALE)


def band_loudness(site: Site, low_hz: float, high_hz: float) -> float:
    """The root mean square of the site's noise floor between two frequencies."""
    # steps of 1 Hz are fine enough for the lines of a hum
    hertz = np.arange(low_hz, min(high_hz, SAMPLE_RATE / 2), 1.0, dtype=np.float32)
    return float(np.sqrt(np.sum(np.square(_floor(site, hertz)))))


def _floor(site: Site, hertz: np.ndarray) -> np.ndarray:
    """The site's noise as amplitude per root hertz, at each frequency; the recorder's response ends at 60 Hz."""
    slope = site.tilt_db_per_octave / (20 * np.log10(2))
    amplitude = 10 ** (site.floor_db / 20) * (np.maximum(hertz, 60.0) / 1000) ** slope
    low = hertz[: np.searchsorted(hertz, 5.5 * _HUM_HZ)]
    hum = (np.abs((low + _HUM_HZ / 2) % _HUM_HZ - _HUM_HZ / 2) < 1.5) & (low > 60)
    amplitude[: len(low)] *= np.where(hum, 10 ** (site.hum_db / 20), 1.0) * (low > 25)
    return amplitude


def _noise(n: int, amplitude: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (n,) float32 with the given amplitude per root hertz at each frequency."""
    n_fft = n + (-n) % 3200  # a length with small factors only, which the transform likes
    hertz = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE).astype(np.float32)
    weight = amplitude(hertz) * np.sqrt(SAMPLE_RATE * n_fft / 4)
    parts = rng.standard_normal((2, len(hertz)), dtype=np.float32) * weight.astype(np.float32)
    return np.fft.irfft(parts[0] + 1j * parts[1], n_fft)[:n].astype(np.float32)


def _weather(site: Site, episode: Weather, n: int, rng: np.random.Generator) -> np.ndarray:
    """An episode's sound (n,), zero outside of it."""
    sound = {"rain": _rain, "wind": _wind, "chorus": _chorus}[episode.kind](site, n, rng)
    time_s = np.arange(n, dtype=np.float32) / SAMPLE_RATE
    course = np.clip(np.minimum(time_s - episode.onset_s, episode.offset_s - time_s) / 3.0, 0, 1)
    return sound * course


def _rain(site: Site, n: int, rng: np.random.Generator) -> np.ndarray:
    """A hiss with single drops in it."""
    level = 10 ** ((site.floor_db + rng.uniform(2, 6)) / 20)
    hiss = _noise(n, lambda hertz: level * np.sqrt(hertz / (hertz + 1500)) / (1 + hertz / 9000), rng)
    drop_s = np.arange(400, dtype=np.float32) / SAMPLE_RATE
    drop = np.exp(-drop_s * 900) * np.sin(2 * np.pi * 2600 * drop_s)
    starts = rng.integers(0, n - len(drop), int(25 * n / SAMPLE_RATE))
    loud = level * 250 * rng.lognormal(0, 0.6, len(starts))
    np.add.at(hiss, starts[:, None] + np.arange(len(drop)), (loud[:, None] * drop).astype(np.float32))
    return hiss


def _wind(site: Site, n: int, rng: np.random.Generator) -> np.ndarray:
    """Rumble in gusts."""
    level = 10 ** ((site.floor_db + rng.uniform(26, 36)) / 20)
    rumble = _noise(n, lambda hertz: level * (hertz > 20) / (1 + np.square(hertz / 90)), rng)
    gusts = rng.gamma(1.5, 0.6, 2 + n // (2 * SAMPLE_RATE))
    return rumble * np.interp(np.linspace(0, len(gusts) - 1, n), np.arange(len(gusts)), gusts).astype(np.float32)


def _chorus(site: Site, n: int, rng: np.random.Generator) -> np.ndarray:
    """Distant insects without a label: two bands with a slow beat."""
    level = 10 ** ((site.floor_db + rng.uniform(0, 8)) / 20)
    centres = rng.uniform((4700, 6000), (5600, 6700))
    widths = rng.uniform(60, 250, 2)
    time_s = np.arange(n, dtype=np.float32) / SAMPLE_RATE
    sound = np.zeros(n, np.float32)
    for centre, width in zip(centres, widths, strict=True):

        def band(hertz: np.ndarray, centre: float = centre, width: float = width) -> np.ndarray:
            return level * np.exp(-0.5 * np.square((hertz - centre) / width))

        sound += _noise(n, band, rng) * (0.7 + 0.3 * np.sin(2 * np.pi * rng.uniform(3, 15) * time_s))
    return sound


def _add_call(sound: np.ndarray, site: Site, event: Event, rng: np.random.Generator) -> None:
    """Mix one call into the soundscape, at the event's signal-to-noise ratio over the floor of its own band."""
    call = render_call(event.song, SAMPLE_RATE, rng)
    if event.song.form != "buzz":  # a long narrow band sounds the same from afar, and its transform would be costly
        call = add_distance(call, SAMPLE_RATE, event.distance, rng)
    call *= 10 ** (event.snr_db / 20) * band_loudness(site, *band_hz(event.song))
    start = round(event.onset_s * SAMPLE_RATE)
    first, last = max(0, start), min(len(sound), start + len(call))
    if last > first:
        sound[first:last] += call[first - start : last - start]
