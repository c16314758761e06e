"""Export of a trained network to ONNX: `spectrogram` in, `clip_logits` and `frame_logits` out, any number of rows."""

import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from lib.core.errors import BadInput, shorten
from lib.models.export.checks import check_graph
from lib.models.network.network import Network

NETWORK_INPUTS, NETWORK_OUTPUTS = ["spectrogram"], ["clip_logits", "frame_logits"]
NETWORK_OPSET = 18  # the oldest that torch's exporter writes without translating


class _InferenceNetwork(nn.Module):
    """The network without what only training needs."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Clip and frame logits."""
        return self.network(spectrogram)[:2]


def export_network(network: Network, path: Path, mels: int, frames: int) -> None:
    """Write the checked graph of a network for spectrograms of mels × frames; nothing is written on an error.

    torch's newer exporter is taken: it folds what tf_ networks compute to pad "same", so they run faster.
    """
    training = [name or "the network" for name, module in network.named_modules() if module.training]
    if training:
        raise BadInput(
            "the network is still in training mode",
            expected="batch-norm and dropout as in inference",
            got=shorten(training),
            do="call network.eval() before the export",
        )
    example = torch.zeros(2, 1, mels, frames, device=next(network.parameters()).device)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own insides
        program = torch.onnx.export(
            _InferenceNetwork(network).eval(),
            (example,),
            dynamo=True,
            opset_version=NETWORK_OPSET,
            input_names=NETWORK_INPUTS,
            output_names=NETWORK_OUTPUTS,
            dynamic_shapes={"spectrogram": {0: torch.export.Dim("rows")}},
            external_data=False,
            verbose=False,
        )
    assert program is not None  # as `dynamo=True` promises
    model = remove_metadata(program.model_proto)
    check_graph(model, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    path.write_bytes(model.SerializeToString(deterministic=True))


def remove_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's metadata, which hold lines of source and paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model
