"""Whether an exported network says what it said in training: torch against each runtime, on real pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.core.errors import BadInput
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OUTPUTS
from lib.models.network.network import Network
from lib.models.runtime.agreement import rank_agreement
from lib.models.runtime.onnx import OnnxSession
from lib.models.runtime.openvino import OpenvinoSession, openvino_installed

Runner = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # pictures -> clip logits, frame logits
ToProbabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]  # clip logits, frame logits -> (rows, classes)
BATCH = 12  # a soundscape, as at inference
PARITY_LIMIT = 1e-3  # of a probability; the runtimes were measured to differ from torch by less than a hundredth of it
NOT_INSTALLED = "not installed"


def parity(
    network: Network, path: Path, pictures: np.ndarray, chances: ToProbabilities, *, limit: float = PARITY_LIMIT
) -> pd.DataFrame:
    """A table, one row a runtime: how far its probabilities and ranks are from torch's; BadInput beyond the limit."""
    truth = batch_probabilities(torch_runner(network), pictures, chances)
    rows = {"onnxruntime": _row(truth, batch_probabilities(onnx_runner(path), pictures, chances))}
    if openvino_installed():
        rows["openvino"] = _row(truth, batch_probabilities(openvino_runner(path), pictures, chances))
    else:
        rows["openvino"] = {"note": NOT_INSTALLED}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["max_abs", "rank_median", "rank_lowest", "note"])
    wrong = table[(table.note == "") & ~(table.max_abs <= limit)]  # NaN is wrong too
    if len(wrong):
        raise BadInput(
            f"{path.name} does not say what the network says",
            expected=f"max_abs at most {limit}",
            got="\n" + table.to_string(),
            do="export it in float32, with the network evaluated",
        )
    return table


def _row(truth: np.ndarray, values: np.ndarray) -> dict:
    """One runtime's line of the table."""
    ranks = rank_agreement(truth, values)
    return {
        "max_abs": float(np.abs(truth - values).max()),
        "rank_median": float(np.median(ranks)),
        "rank_lowest": float(ranks.min()),
        "note": "",
    }


def batch_probabilities(run: Runner, pictures: np.ndarray, chances: ToProbabilities) -> np.ndarray:
    """(rows, classes) what a runner says of (rows, 1, mels, frames) pictures, a soundscape at a time."""
    return np.concatenate([chances(*run(pictures[n : n + BATCH])) for n in range(0, len(pictures), BATCH)])


def torch_runner(network: Network) -> Runner:
    """The network itself, where it lies."""
    device = next(network.parameters()).device

    def run(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            output = network(torch.from_numpy(pictures).to(device))
        return output.clip_logits.float().cpu().numpy(), output.frame_logits.float().cpu().numpy()

    return run


def onnx_runner(path: Path) -> Runner:
    """The file in ONNX Runtime, as a submission opens it."""
    session = OnnxSession(path, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    return lambda pictures: tuple(session.run(spectrogram=pictures))


def openvino_runner(path: Path) -> Runner:
    """The file in OpenVINO."""
    session = OpenvinoSession(path, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    return lambda pictures: tuple(session.run(spectrogram=pictures))
