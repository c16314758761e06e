"""Every named backbone gives a map over frequency and time from one channel."""

import pytest
import torch

from lib.core.errors import BadInput
from lib.models.network.backbones import BACKBONES, build_backbone


@pytest.mark.parametrize("name", [*BACKBONES, "mambaout_femto"])  # the last speaks channels last
def test_a_named_backbone_maps_one_channel_to_features_over_frequency_and_time(name):
    backbone = build_backbone(name, width=8, drop_path=0.1).eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 1, 64, 96))
    assert features.shape[1] == backbone.features
    assert features.shape[2:] == ((2, 12) if name == "plain" else (2, 3))


def test_plain_keeps_frequency_and_time_apart():
    """A sound in the last frames moves features of the last columns only, beyond the reach of the kernels."""
    backbone = build_backbone("plain", width=8).eval()
    quiet, late = torch.zeros(1, 1, 32, 320), torch.zeros(1, 1, 32, 320)
    late[..., -8:] = 1.0
    with torch.no_grad():
        moved = (backbone(late) - backbone(quiet)).abs().amax((0, 1, 2))
    assert moved.shape == (40,)
    assert moved[-1] > 0
    assert (moved[:20] == 0).all()


def test_names_that_timm_lacks_and_token_outputs_are_refused():
    with pytest.raises(BadInput, match="resnet_of_dreams"):
        build_backbone("resnet_of_dreams")
    with pytest.raises(BadInput, match="no feature map over frequency and time"):
        build_backbone("vit_tiny_patch16_224")(torch.zeros(1, 1, 224, 224))
