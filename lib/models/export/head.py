"""A head's network to ONNX: tokens of whole soundscapes by name, site and hour where it reads them, to `logit`."""

import io
import warnings
from pathlib import Path
from typing import Protocol

import onnx
import torch
from torch import Tensor, nn

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE
from lib.models.export.checks import check_graph
from lib.models.export.linear import OPSET
from lib.models.export.network import without_notes

OUTPUT = "logit"


class HeadNetwork(Protocol):
    """What the networks of heads have in common."""

    widths: dict[str, int]  # of the tokens that it reads, by name
    context: tuple[str, ...]  # what else it reads: "site" and "hour", or nothing

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """(files, 12, classes) logits."""


class _ByPosition(nn.Module):
    """The exporter names inputs by their position."""

    def __init__(self, network: HeadNetwork):
        super().__init__()
        self.network, self.names = network, head_inputs(network)

    def forward(self, *values: Tensor) -> Tensor:
        """What the network says."""
        return self.network(dict(zip(self.names, values, strict=True)))


def head_inputs(network: HeadNetwork) -> list[str]:
    """The names of a network's inputs, in the order of its graph."""
    return [*network.widths, *network.context]


def export_head(network: HeadNetwork, path: Path) -> None:
    """Write the checked graph of an evaluated network, for any number of soundscapes.

    torch's older exporter is taken: over an unrolled scan the newer one needs 30 times as long for the same answers.
    """
    names = head_inputs(network)
    tokens = [torch.zeros(2, WINDOWS_PER_SOUNDSCAPE, width) for width in network.widths.values()]
    context = [torch.zeros(2, dtype=torch.int64) for _ in network.context]
    written = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the older exporter warns that it is the older one
        torch.onnx.export(
            _ByPosition(network).eval(), (*tokens, *context), written, dynamo=False, opset_version=OPSET,
            input_names=names, output_names=[OUTPUT], dynamic_axes={name: {0: "files"} for name in (*names, OUTPUT)},
        )  # fmt: skip
    model = without_notes(onnx.load_from_string(written.getvalue()))
    check_graph(model, inputs=names, outputs=[OUTPUT])
    path.write_bytes(model.SerializeToString(deterministic=True))
