"""Pretrained weights are loaded whole and reported, or not at all."""

import pytest
import torch
from safetensors.torch import save_file

from lib.core.errors import BadInput
from lib.models.network.backbones import build_backbone
from lib.models.network.network import build_network
from lib.models.network.pretrained import load_timm
from lib.models.network.settings import NetworkSettings

NAME = "mobilenetv4_conv_small"


@pytest.fixture(scope="module")
def colour():
    """The state of a network for colour images, as timm publishes it: with its classifier."""
    torch.manual_seed(1)
    return load_timm().create_model(NAME, pretrained=False, num_classes=3).state_dict()


@pytest.fixture
def attached(tmp_path, monkeypatch):
    """A stand-in for /kaggle with an attached dataset."""
    monkeypatch.setenv("PANTANAL_KAGGLE", str(tmp_path))
    folder = tmp_path / "input" / "timm-weights"
    folder.mkdir(parents=True)
    return folder


def state(backbone):
    return backbone.model.state_dict()


def test_a_colour_stem_is_summed_and_all_else_is_taken_as_it_is(colour, tmp_path, capsys):
    torch.save(colour, tmp_path / "anything.pt")
    loaded = state(build_backbone(NAME, weights=str(tmp_path / "anything.pt")))
    torch.testing.assert_close(loaded["conv_stem.weight"], colour["conv_stem.weight"].sum(1, keepdim=True))
    assert all(torch.equal(loaded[key], colour[key]) for key in loaded if key != "conv_stem.weight")
    printed = capsys.readouterr().out
    assert f"{len(loaded)} of {len(loaded)} tensors" in printed
    assert "summed over its 3 colours, 2 of the file unused" in printed


def test_a_grey_picture_means_the_same_to_the_summed_stem(colour, tmp_path):
    torch.save(colour, tmp_path / "w.pt")
    grey = torch.rand(1, 1, 64, 64)
    ours = build_backbone(NAME, weights=str(tmp_path / "w.pt")).eval()
    theirs = load_timm().create_model(NAME, pretrained=False, num_classes=0, global_pool="").eval()
    theirs.load_state_dict({key: colour[key] for key in theirs.state_dict()})
    with torch.no_grad():
        torch.testing.assert_close(ours(grey), theirs(grey.repeat(1, 3, 1, 1)), atol=1e-5, rtol=1e-4)


def test_safetensors_wrappers_and_prefixes_are_understood(colour, tmp_path):
    save_file(colour, tmp_path / "a.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{key}": tensor for key, tensor in colour.items()}}, tmp_path / "b.pth"
    )
    states = [state(build_backbone(NAME, weights=str(tmp_path / name))) for name in ("a.safetensors", "b.pth")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", [NAME, "plain"])
def test_a_network_of_ours_passes_its_backbone_on(name, tmp_path, capsys):
    torch.manual_seed(2)
    first = build_network(NetworkSettings(backbone=name, width=8, hidden=8), 3)
    torch.save(first.state_dict(), tmp_path / "first.pt")
    second = build_network(NetworkSettings(backbone=name, width=8, head="mean"), 5, str(tmp_path / "first.pt"))
    assert "stem as it is" in capsys.readouterr().out
    for key, tensor in first.backbone.state_dict().items():
        assert torch.equal(tensor, second.backbone.state_dict()[key])


def test_an_attached_dataset_is_searched_by_folder_or_file_name(colour, attached, capsys):
    torch.save(colour, attached / f"{NAME}.e2400.pt")
    torch.save({}, attached / "convnext_tiny.pt")
    for where in ("timm-weights", f"{NAME}.e2400.pt", str(attached)):
        build_backbone(NAME, weights=where)
        assert f"timm-weights/{NAME}.e2400.pt" in capsys.readouterr().out


def test_no_weights_or_several_are_refused_with_the_way_to_make_them(attached):
    with pytest.raises(BadInput, match=r"torch\.save\(timm\.create_model"):
        build_backbone(NAME, weights="timm-weights")
    for n in range(2):
        torch.save({}, attached / f"{NAME}.{n}.pt")
    with pytest.raises(BadInput, match="one weight file"):
        build_backbone(NAME, weights="timm-weights")


def test_weights_of_another_network_and_damaged_files_are_refused(colour, tmp_path):
    torch.save(colour, tmp_path / "w.pt")
    with pytest.raises(BadInput, match="do not fit"):
        build_backbone("mobilenetv4_conv_medium", weights=str(tmp_path / "w.pt"))
    torch.save({key: tensor for key, tensor in colour.items() if "bn1" not in key}, tmp_path / "partial.pt")
    with pytest.raises(BadInput, match="bn1"):
        build_backbone(NAME, weights=str(tmp_path / "partial.pt"))
    (tmp_path / "w.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:1000])
    with pytest.raises(BadInput, match="cannot be read"):
        build_backbone(NAME, weights=str(tmp_path / "w.pt"))


def test_an_offline_machine_asked_for_timms_weights_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it tries for most of a minute
    with pytest.raises(BadInput, match="attach the file as a dataset"):
        build_backbone(NAME, weights="timm")
    with pytest.raises(BadInput, match="timm has no weights for 'plain'"):
        build_backbone("plain", weights="timm")


def test_timms_own_weights_take_the_same_way(monkeypatch, colour, capsys):
    timm = load_timm()
    create = timm.create_model

    def from_cache(name, pretrained=False, **options):
        network = create(name, pretrained=False, **options)
        if pretrained:
            network.load_state_dict(colour, strict=False)
        return network

    monkeypatch.setattr(timm, "create_model", from_cache)
    loaded = state(build_backbone(NAME, weights="timm"))
    torch.testing.assert_close(loaded["conv_stem.weight"], colour["conv_stem.weight"].sum(1, keepdim=True))
    assert f"timm's {NAME}" in capsys.readouterr().out


def test_random_weights_are_said_aloud(capsys):
    build_backbone("plain", width=8)
    assert "NO pretrained weights" in capsys.readouterr().out
