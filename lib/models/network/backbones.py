"""Backbones from spectrograms to feature maps: timm's networks with a single-channel stem, and our own small one."""

from torch import Tensor, nn

from lib.core.errors import BadInput
from lib.models.network.pretrained import load_pretrained, load_timm


class Backbone(nn.Module):
    """A network from spectrograms (batch, 1, mels, frames) to features (batch, features, rows, columns)."""

    features: int  # channels of the output


class Plain(Backbone):
    """Pairs of 3 × 3 convolutions between average poolings: 1/32 of the mels and 1/8 of the frames remain."""

    def __init__(self, width: int):
        super().__init__()
        stages, before = [], 1
        for n, channels in enumerate((width // 2, width, 2 * width, 4 * width, 4 * width)):
            pair = [_convolution(before, channels)] + ([_convolution(channels, channels)] if n else [])
            pool = nn.AvgPool2d((2, 2 if n < 3 else 1))  # the start of a call distinguishes it: time stays finer
            stages.append(nn.Sequential(*pair, pool))
            before = channels
        self.stages = nn.Sequential(*stages)
        self.features = before

    def forward(self, spectrograms: Tensor) -> Tensor:
        """(batch, features, mels / 32, frames / 8) of (batch, 1, mels, frames)."""
        return self.stages(spectrograms)


def _convolution(before: int, channels: int) -> nn.Sequential:
    """A 3 × 3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )


BACKBONES = (  # tested by name; any other network of timm with (batch, channels, rows, columns) features works
    "plain",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "hgnetv2_b0",
    "regnety_008",
    "tf_efficientnet_b0",
    "tf_efficientnet_b3",
    "tf_efficientnetv2_s",
    "eca_nfnet_l0",
    "convnext_tiny",
    "convnext_small",
)


class TimmBackbone(Backbone):
    """A network of timm without its classifier; everything pretrained in front of that is kept."""

    def __init__(self, name: str, drop_path: float):
        super().__init__()
        timm = load_timm()
        if not timm.is_model(name):
            raise BadInput(
                f"timm has no network {name!r}",
                expected=f"for example {', '.join(BACKBONES)}",
                got=name,
                do="set backbone to a name of timm.list_models()",
            )
        self.model = timm.create_model(name, in_chans=1, num_classes=0, global_pool="", drop_path_rate=drop_path)
        self.features = getattr(self.model, "head_hidden_size", None) or self.model.num_features
        self._channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"

    def forward(self, spectrograms: Tensor) -> Tensor:
        """(batch, features, rows, columns) of (batch, 1, mels, frames): rows along frequency, columns along time."""
        features = self.model(spectrograms)
        if features.ndim != 4:
            raise BadInput(
                "this backbone has no feature map over frequency and time",
                got=f"shape {tuple(features.shape)}",
                expected="(batch, channels, rows, columns)",
                do="set backbone to a convolutional one",
            )
        return features.permute(0, 3, 1, 2) if self._channels_last else features


def build_backbone(name: str, *, width: int = 32, drop_path: float = 0.0, weights: str = "none") -> Backbone:
    """The backbone, with `features` channels; `weights` is "none", "timm" (downloaded), a file or folder.

    It prints which weights these are; "" prints nothing and loads nothing, for a caller that does.
    """
    backbone: Backbone = Plain(width) if name == "plain" else TimmBackbone(name, drop_path)
    if weights:
        print(load_pretrained(backbone, name, weights))
    return backbone
