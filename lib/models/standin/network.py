"""The stand-in's network: EfficientNet-B3's plan with random weights, every convolution scaled on made sounds."""

from math import ceil

import numpy as np

from lib.models.standin.graph import Graph

EMBEDDING = 1536
PLACES = (16, 4)  # of the last feature map: time and frequency
_SCOPE = "encoder/EfficientNet_0"
_STEM_CHANNELS, _STEM_SHAPE = 32, (250, 64)
_STAGES = (  # blocks, kernel, stride of the first, channels, expansion
    (2, 3, 1, 16, 1),
    (3, 3, 2, 24, 6),
    (3, 5, 2, 40, 6),
    (5, 3, 2, 80, 6),
    (5, 5, 1, 112, 6),
    (6, 5, 2, 192, 6),
    (2, 3, 1, 320, 6),
)
# The weight of a block against its skip connection: 26 random blocks at full strength leave little of a sound.
_BRANCH = 0.25
_FLOOR = 1e-3  # of a channel's deviation


class Tower:
    """Adds the network to a graph; without scales each convolution scales itself and outputs its scale.

    Two things that training would bring are put in: constant hum is taken out of the spectrogram, and every block
    weights its channels by pitch, which random kernels would not separate.
    """

    def __init__(self, graph: Graph, width: float, rng: np.random.Generator, scales: dict):
        """`scales`: mean and deviation, (channels,) each, of every convolution by its scope; {} to measure them."""
        self._graph, self._width, self._rng, self._scales = graph, width, rng, scales

    def add(self, spectrogram: str) -> str:
        """The name of the (rows, 1536, 16, 4) features of the (rows, 500, 128) spectrogram."""
        channels, shape, number = _round_channels(_STEM_CHANNELS * self._width), _STEM_SHAPE, 0
        hum = self._graph.add("ReduceMean", spectrogram, axes=[1])
        rises = self._graph.add("Relu", self._graph.add("Sub", spectrogram, hum))
        image = self._graph.add("Unsqueeze", rises, np.array([1]))
        x = self._add_convolution(image, "", (channels, 1, 3, 3), (500, 128), stride=2)
        x = self._graph.add(
            "Transpose", self._add_swish(self._add_pitch_weights(x, "", channels, shape)), perm=[0, 2, 3, 1]
        )
        for blocks, kernel, first_stride, planned, expansion in _STAGES:
            for stride in (first_stride, *[1] * (blocks - 1)):
                target = _round_channels(planned * self._width)
                x = self._add_block(
                    x, f"{_SCOPE}/MBConv_{number}", (channels, target), kernel, stride, expansion, shape
                )
                channels, shape, number = target, _shape_after(shape, stride), number + 1
        scope = f"{_SCOPE}/Head_0"
        x = self._graph.add("Transpose", x, scope=f"{scope}/nchw", perm=[0, 3, 1, 2])
        x = self._add_convolution(x, f"{scope}/Conv_0", (EMBEDDING, channels, 1, 1), shape)
        return self._add_pitch_weights(self._add_swish(x, f"{scope}/swish"), scope, EMBEDDING, shape)

    def _add_block(
        self, x: str, scope: str, channels: tuple[int, int], kernel: int, stride: int, expansion: int, shape: tuple
    ) -> str:
        """The name of the (rows, time, frequency, channels) result of one inverted bottleneck with a squeezed gate."""
        wide, target = channels[0] * expansion, channels[1]
        inner = self._graph.add("Transpose", x, scope=f"{scope}/nchw", perm=[0, 3, 1, 2])
        if expansion > 1:
            name = f"{scope}/ExpandConv_0"
            inner = self._add_swish(
                self._add_convolution(inner, name, (wide, channels[0], 1, 1), shape), f"{name}/swish"
            )
        name, after = f"{scope}/DepthwiseConv_0", _shape_after(shape, stride)
        inner = self._add_convolution(inner, name, (wide, 1, kernel, kernel), shape, stride=stride, group=wide)
        inner = self._add_swish(inner, f"{name}/swish")
        inner = self._add_gate(inner, f"{scope}/SqueezeExcite_0", wide, max(8, channels[0] // 4))
        inner = self._add_convolution(inner, f"{scope}/ProjectConv_0", (target, wide, 1, 1), after)
        inner = self._add_pitch_weights(inner, scope, target, after)
        out = self._graph.add("Transpose", inner, scope=f"{scope}/nhwc", perm=[0, 2, 3, 1])
        if stride > 1 or channels[0] != target:
            return out
        branch = self._graph.add("Mul", out, _BRANCH, scope=f"{scope}/branch")
        return self._graph.add("Add", x, branch, scope=f"{scope}/add")

    def _add_gate(self, x: str, scope: str, channels: int, squeezed: int) -> str:
        """The name of x, each channel weighted by a logistic gate of about 0.9, written out with its exponential."""
        add = self._graph.add
        mean = add("GlobalAveragePool", x, scope=f"{scope}/mean")
        small = self._add_swish(
            self._add_convolution(mean, f"{scope}/Reduce", (squeezed, channels, 1, 1), (1, 1)), scope
        )
        large = self._add_convolution(small, f"{scope}/Expand", (channels, squeezed, 1, 1), (1, 1))
        logit = add("Sub", add("Mul", large, -0.5, scope=f"{scope}/half"), 2.0, scope=f"{scope}/logit")
        odds = add("Add", add("Exp", logit, scope=f"{scope}/exp"), 1.0, scope=f"{scope}/odds")
        return add("Mul", x, add("Reciprocal", odds, scope=f"{scope}/gate"), scope=f"{scope}/gated")

    def _add_swish(self, x: str, scope: str = "") -> str:
        gate = self._graph.add("Sigmoid", x, scope=scope and f"{scope}/sigmoid")
        return self._graph.add("Mul", x, gate, scope=scope and f"{scope}/mul")

    def _add_pitch_weights(self, x: str, scope: str, channels: int, shape: tuple) -> str:
        weights = self._rng.normal(size=(channels, 1, shape[1]))
        return self._graph.add("Mul", x, weights, scope=scope and f"{scope}/pitched")

    def _add_convolution(
        self, x: str, scope: str, weights: tuple, shape: tuple, stride: int = 1, group: int = 1
    ) -> str:
        """The name of the convolution, every channel of mean 0 and deviation 1 over the made sounds."""
        kernel, key = self._rng.normal(size=weights), scope or "stem"
        settings = {"strides": [stride] * 2, "pads": _pads(shape, weights[2], stride), "group": group}
        if self._scales:
            mean, spread = self._scales[key]
            return self._graph.add(
                "Conv", x, kernel / spread[:, None, None, None], -mean / spread, scope=scope, **settings
            )
        raw = self._graph.add("Conv", x, kernel, scope=scope, **settings)
        mean = self._graph.add("ReduceMean", raw, axes=[0, 2, 3])
        centred = self._graph.add("Sub", raw, mean)
        power = self._graph.add("ReduceMean", self._graph.add("Mul", centred, centred), axes=[0, 2, 3])
        spread = self._graph.add("Max", self._graph.add("Sqrt", power), _FLOOR)
        self._graph.add_output(mean, f"mean:{key}", [1, weights[0], 1, 1])
        self._graph.add_output(spread, f"spread:{key}", [1, weights[0], 1, 1])
        return self._graph.add("Div", centred, spread)


def _round_channels(channels: float) -> int:
    """EfficientNet's number of channels: a multiple of 8, at most a tenth below the plan."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


def _shape_after(shape: tuple, stride: int) -> tuple:
    return tuple(ceil(size / stride) for size in shape)


def _pads(shape: tuple, kernel: int, stride: int) -> list[int]:
    """The padding that keeps ceil(size / stride) places; where it is odd, the end has more."""
    after = _shape_after(shape, stride)
    total = [max(0, (end - 1) * stride + kernel - size) for size, end in zip(shape, after, strict=True)]
    return [side // 2 for side in total] + [side - side // 2 for side in total]
