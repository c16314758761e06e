"""Mel banks and tapers equal librosa's, torchaudio's and torch's within 1e-6 of the bank's highest weight or better."""

import librosa
import numpy as np
import pytest
import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.models.network.pretrained import load_torchaudio
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.filterbank import bank_blocks, mel_bank, taper

SIZES = [(2048, 128, 20.0, 16000.0), (2048, 256, 0.0, 16000.0), (1024, 64, 50.0, 14000.0), (4096, 128, 500.0, 15000.0)]


@pytest.mark.parametrize(("n_fft", "n_mels", "fmin_hz", "fmax_hz"), SIZES)
@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", ["none", "slaney"])
def test_a_bank_equals_librosas_to_1e_6_and_torchaudios_float32_one_to_1e_3(
    n_fft, n_mels, fmin_hz, fmax_hz, scale, norm
):
    settings = FrontEnd(n_fft=n_fft, n_mels=n_mels, fmin_hz=fmin_hz, fmax_hz=fmax_hz, mel_scale=scale, mel_norm=norm)
    ours, theirs_norm = mel_bank(settings), None if norm == "none" else "slaney"
    librosas = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=n_fft, n_mels=n_mels, fmin=fmin_hz, fmax=fmax_hz, htk=scale == "htk", norm=theirs_norm
    )
    torchaudios = load_torchaudio().functional.melscale_fbanks(
        n_fft // 2 + 1, fmin_hz, fmax_hz, n_mels, SAMPLE_RATE, norm=theirs_norm, mel_scale=scale
    )
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosas, atol=1e-6 * librosas.max())
    np.testing.assert_allclose(ours, torchaudios.numpy().T, atol=1e-3 * librosas.max())


@pytest.mark.parametrize("length", [0, 640, 641, 1024])
def test_a_taper_is_torchs_periodic_hann_in_the_middle_of_the_frame(length):
    hann = torch.hann_window(length or 1024)
    # What a transform of one impulse shows at 0 Hz is the taper where the impulse is.
    read = [
        torch.stft(torch.eye(1024)[n], 1024, 1024, len(hann), hann, center=False, return_complex=True)[0, 0].real
        for n in (0, 191, 192, 193, 400, 512, 831, 832, 1023)
    ]
    ours = taper(FrontEnd(n_fft=1024, taper_samples=length))[[0, 191, 192, 193, 400, 512, 831, 832, 1023]]
    np.testing.assert_allclose(ours, torch.stack(read).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [FrontEnd(n_mels=1), FrontEnd(n_mels=16), FrontEnd(n_mels=100), FrontEnd(), FrontEnd(n_fft=4096, n_mels=64)],
    ids=lambda settings: f"{settings.n_mels} of {settings.n_fft}",
)
def test_the_blocks_hold_every_weight_of_the_bank_once_in_products_that_stay_on_one_thread(settings):
    rest, bands = mel_bank(settings).copy(), []
    for mels, bins in bank_blocks(settings):
        bands += range(mels.start, mels.stop)
        rest[mels, bins] = 0
        assert (mels.stop - mels.start) * (bins.stop - bins.start) * 64 <= 2**18
    assert bands == list(range(settings.n_mels))
    assert not rest.any()
