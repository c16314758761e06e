"""The pinned torch, torchvision, torchaudio and timm work together, whatever build of torch this is."""

import torch

from lib.models.network.pretrained import load_timm, load_torchaudio


def test_timm_builds_and_runs_a_single_channel_network():
    model = load_timm().create_model("mobilenetv4_conv_small", pretrained=False, in_chans=1, num_classes=7).eval()
    with torch.inference_mode():
        assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


def test_torchaudio_transforms_run():
    resampled = load_torchaudio().transforms.Resample(44_100, 32_000)(torch.zeros(1, 44_100))
    assert resampled.shape == (1, 32_000)
