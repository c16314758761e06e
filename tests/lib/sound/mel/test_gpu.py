"""The torch front end equals the one without torch, for every kind of setting, and trains: slopes, autocast, state."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import file_peak_db, spectrograms
from lib.sound.mel.gpu import MelSpectrogram
from tests.support.front_ends import FRONT_ENDS

# Of a spectrogram's range: .004 dB of 80. What is left is float32 rounding of two FFTs.
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def file():
    """Two seconds of a swept tone over noise, a click, and half a second of digital silence."""
    rng = np.random.default_rng(0)
    time_s = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    audio = 0.3 * np.sin(2 * np.pi * (500 + 2500 * time_s) * time_s) + 0.01 * rng.normal(size=len(time_s))
    audio[20000] = 1.0
    audio[SAMPLE_RATE : SAMPLE_RATE + SAMPLE_RATE // 2] = 0.0
    return audio.astype(np.float32)


def rows_of(file, settings: FrontEnd, samples: int = 24000) -> np.ndarray:
    whole = np.pad(file, settings.context_samples, mode="reflect")
    length = samples + 2 * settings.context_samples
    return np.stack([whole[start : start + length] for start in (0, 10000, 21000, 40000)])


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_torch_and_numpy_agree_to_4_thousandths_of_a_db_or_as_much_of_another_levels_range(file, name):
    settings = FRONT_ENDS[name]
    windows, peak_db = rows_of(file, settings), file_peak_db(file, settings)
    expected = spectrograms(windows, settings, peak_db=peak_db)
    ours = MelSpectrogram(settings)(torch.from_numpy(windows), peak_db=torch.full((len(windows),), peak_db))
    assert ours.dtype == torch.float32
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=TOLERANCE * np.ptp(expected))


@pytest.mark.parametrize("level", ["db", "pcen", "log", "power"])
@pytest.mark.parametrize("normalise", ["none", "zscore", "minmax", "zscore minmax", "bands zscore"])
def test_torch_and_numpy_agree_on_digital_silence(level, normalise):
    settings, silence = FrontEnd(level=level, normalise=normalise), np.zeros((2, 8000), dtype=np.float32)
    ours = MelSpectrogram(settings)(torch.from_numpy(silence)).numpy()
    np.testing.assert_allclose(ours, spectrograms(silence, settings), atol=1e-5)


def test_each_row_has_its_own_peak_when_none_is_given(file):
    settings = FRONT_ENDS["counted from the file"]
    windows = rows_of(file, settings)
    ours = MelSpectrogram(settings)(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(ours, spectrograms(windows, settings), atol=TOLERANCE)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_slope_is_that_of_the_spectrogram_and_finite_on_silence(name):
    settings = FRONT_ENDS[name]
    make, rng = MelSpectrogram(settings), np.random.default_rng(1)
    windows = torch.from_numpy(rng.normal(size=(2, 12000 + 2 * settings.context_samples)).astype(np.float32))
    weights = torch.from_numpy(rng.normal(size=make(windows).shape).astype(np.float32))
    windows.requires_grad_(True)
    (make(windows) * weights).sum().backward()
    slope = windows.grad.norm()
    with torch.no_grad():  # a step along the slope; longer ones pass the kinks of peaks and floors
        steps = [windows + side * windows.grad / slope for side in (0.002, -0.002)]
        ahead, behind = ((make(step) * weights).double().sum() for step in steps)
    np.testing.assert_allclose((ahead - behind) / 0.004, slope, rtol=2e-3)

    silence = torch.zeros(1, windows.shape[1], requires_grad=True)
    make(silence).sum().backward()
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_not_change_a_spectrogram(file, dtype):
    make, windows = MelSpectrogram(FRONT_ENDS["PCEN sidecar"]), torch.from_numpy(rows_of(file, FrontEnd()))
    with torch.autocast("cpu", dtype=dtype):
        under = make(windows)
        assert (windows @ windows.T).dtype == dtype, "autocast is at work"
    assert torch.equal(under, make(windows))
    for given in (dtype, torch.float64):
        assert torch.equal(make(windows.to(given)), make(windows.to(given).float()))


def test_a_checkpoint_holds_nothing_of_the_front_end():
    assert not MelSpectrogram(FrontEnd()).state_dict()
    assert not list(MelSpectrogram(FrontEnd()).parameters())


def test_a_batch_shorter_than_a_frame_can_reflect_is_refused():
    with pytest.raises(BadInput, match="n_fft"):
        MelSpectrogram(FrontEnd())(torch.zeros(1, 1024))


def test_edges_of_the_file_want_the_context_they_name(file):
    settings = FrontEnd(edges="file")
    make = MelSpectrogram(settings)
    assert make.context_samples == 1024
    assert make(torch.zeros(1, 32000 + 2 * make.context_samples)).shape == (1, 128, settings.frames(32000))
    inner = spectrograms(rows_of(file, settings), replace(settings, edges="reflect"))
    assert inner.shape[2] == settings.frames(24000) + 4
