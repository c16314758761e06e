"""Training data of a model trained elsewhere: the miniature's species, sung by other individuals at other sites."""

from dataclasses import replace

import numpy as np

from lib.competition.miniature.cast import Species, make_cast
from lib.competition.miniature.clips import Clip, render_clip
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.row_ids import SAMPLE_RATE, WINDOW_S, WINDOW_SAMPLES

_RELATIVE = "vicina"  # the epithet of the relative whose calls stand for those of a frog without clips
_NOISE_DB = (-5.0, 15.0)  # above the call: recordings in the field are mostly noise


def recordings_from_elsewhere(spec: MiniatureSpec, windows: int = 8) -> dict[str, np.ndarray]:
    """Scientific name -> (windows, 160000) float32 calls of every bird, frog, insect and mammal in such collections.

    Sonotypes and reptiles are in no collection; a frog without clips is represented by a relative that sings alike.
    Every other window is a clean clip, the rest lie under noise.
    """
    cast = {species.label: species for species in make_cast(spec)}
    other = replace(spec, seed=spec.seed + 1)  # other individuals: its training data must not be the contest's own
    return {
        _name(species): np.stack([_window(other, cast, species.label, number) for number in range(windows)])
        for species in cast.values()
        if species.taxon.class_name != "Reptilia" and (species.focal or species.taxon.class_name == "Amphibia")
    }


def field_noise(rng: np.random.Generator) -> np.ndarray:
    """(160000,) noise between white and red, of deviation 1."""
    hertz = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(WINDOW_SAMPLES)) * np.maximum(hertz, 60.0) ** -rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, WINDOW_SAMPLES)
    return noise / noise.std()


def _name(species: Species) -> str:
    name = species.taxon.scientific_name
    return name if species.focal else f"{name.split()[0]} {_RELATIVE}"


def _window(spec: MiniatureSpec, cast: dict[str, Species], label: str, number: int) -> np.ndarray:
    """(160000,) float32 of one clip that the competition does not have."""
    name = f"elsewhere/{label}/{number}"
    call = render_clip(spec, Clip(name, label, float(WINDOW_S), "elsewhere"), cast)
    if number % 2 == 0:
        return call
    rng = spec.stream("noise elsewhere", name)
    mixed = call + call.std() * 10 ** (rng.uniform(*_NOISE_DB) / 20) * field_noise(rng)
    return (0.3 * mixed / np.abs(mixed).max()).astype(np.float32)
