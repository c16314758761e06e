"""A small convolutional backbone that learns from scratch on a CPU, for the demo and for tests."""

from torch import Tensor, nn


class Plain(nn.Module):
    """Pairs of 3 × 3 convolutions between average poolings: 1/32 of the mels and 1/8 of the frames remain."""

    def __init__(self, width: int):
        super().__init__()
        stages, before = [], 1
        for n, channels in enumerate((width // 2, width, 2 * width, 4 * width, 4 * width)):
            pair = [_convolution(before, channels)] + ([_convolution(channels, channels)] if n else [])
            pool = nn.AvgPool2d((2, 2 if n < 3 else 1))  # calls are told apart by when they start: time stays finer
            stages.append(nn.Sequential(*pair, pool))
            before = channels
        self.stages = nn.Sequential(*stages)
        self.features = before

    def forward(self, pictures: Tensor) -> Tensor:
        """(batch, features, mels / 32, frames / 8) of (batch, 1, mels, frames)."""
        return self.stages(pictures)


def _convolution(before: int, channels: int) -> nn.Sequential:
    """A 3 × 3 convolution, normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(before, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )
