"""The stand-in's spectrogram is that of the project's own front end with Perch's settings."""

import numpy as np
import pytest

from lib.models.runtime.onnx import OnnxSession
from lib.models.standin.graph import Graph
from lib.models.standin.mel import add_spectrogram
from lib.sound.mel.config import PERCH_FRONT_END
from lib.sound.mel.cpu import spectrograms


@pytest.fixture(scope="module")
def front_end(tmp_path_factory):
    path = tmp_path_factory.mktemp("front_end") / "front_end.onnx"
    graph = Graph()
    graph.add_output(add_spectrogram(graph, "inputs"), "spectrogram", ["rows", 500, 128])
    graph.save(path, {"inputs": ["rows", 160_000]})
    return OnnxSession(path, inputs=["inputs"], outputs=["spectrogram"])


def test_spectrograms_are_those_of_the_front_end_for_tones_and_noise(front_end):
    rng = np.random.default_rng(0)
    time_s = np.arange(160_000) / 32_000
    tones = np.sin(2 * np.pi * np.array([[440.0], [15_900.0]]) * time_s)
    windows = np.concatenate([tones, np.zeros((2, 160_000))]) + 0.1 * rng.normal(size=(4, 160_000))
    windows = windows.astype(np.float32)
    mel = front_end.run(inputs=windows)[0]
    expected = spectrograms(windows, PERCH_FRONT_END).transpose(0, 2, 1)  # 501 frames: one more, after the end
    np.testing.assert_allclose(mel[:, 1:], expected[:, 1:500], atol=2e-4)
    padded = np.pad(windows, [(0, 0), (3200, 0)])  # before a window all is silent; the front end would reflect it
    np.testing.assert_allclose(mel[:, 0], spectrograms(padded, PERCH_FRONT_END)[:, :, 10], atol=2e-4)


def test_silence_lies_on_the_floor(front_end):
    mel = front_end.run(inputs=np.zeros((1, 160_000), dtype=np.float32))[0]
    np.testing.assert_allclose(mel, 0.1 * np.log(1e-5), rtol=1e-6)
