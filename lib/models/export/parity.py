"""Parity of an exported network with the trained one: torch against each runtime, on real spectrograms."""

from collections.abc import Callable, Sequence
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

Runner = Callable[[np.ndarray], Sequence[np.ndarray]]  # spectrograms -> clip logits, frame logits
ToProbabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]  # clip logits, frame logits -> (rows, classes)
BATCH = 12  # a soundscape, as at inference
PARITY_LIMIT = 1e-3  # of a probability; the runtimes were measured to differ from torch by less than a hundredth of it
NOT_INSTALLED = "not installed"


def parity(
    network: Network,
    path: Path,
    spectrograms: np.ndarray,
    to_probabilities: ToProbabilities,
    *,
    limit: float = PARITY_LIMIT,
) -> pd.DataFrame:
    """A table, one row a runtime: how far its probabilities and ranks are from torch's; BadInput beyond the limit."""
    truth = batch_probabilities(torch_runner(network), spectrograms, to_probabilities)
    rows = {"onnxruntime": _row(truth, batch_probabilities(onnx_runner(path), spectrograms, to_probabilities))}
    if openvino_installed():
        rows["openvino"] = _row(truth, batch_probabilities(openvino_runner(path), spectrograms, to_probabilities))
    else:
        rows["openvino"] = {"note": NOT_INSTALLED}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["max_abs", "rank_median", "rank_lowest", "note"])
    wrong = table[(table.note == "") & ~(table.max_abs <= limit)]  # NaN is wrong too
    if len(wrong):
        raise BadInput(
            f"{path.name} gives other probabilities than the network",
            expected=f"max_abs at most {limit}",
            got="\n" + table.to_string(),
            do="export it in float32, after network.eval()",
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


def batch_probabilities(run: Runner, spectrograms: np.ndarray, to_probabilities: ToProbabilities) -> np.ndarray:
    """(rows, classes) a runner's probabilities of (rows, 1, mels, frames) spectrograms, a soundscape at a time."""
    return np.concatenate(
        [to_probabilities(*run(spectrograms[n : n + BATCH])) for n in range(0, len(spectrograms), BATCH)]
    )


def torch_runner(network: Network) -> Runner:
    """The network itself, on its device."""
    device = next(network.parameters()).device

    def run(spectrograms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            output = network(torch.from_numpy(spectrograms).to(device))
        return output.clip_logits.float().cpu().numpy(), output.frame_logits.float().cpu().numpy()

    return run


def onnx_runner(path: Path) -> Runner:
    """The file in ONNX Runtime, as a submission opens it."""
    session = OnnxSession(path, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    return lambda spectrograms: session.run(spectrogram=spectrograms)


def openvino_runner(path: Path) -> Runner:
    """The file in OpenVINO."""
    session = OpenvinoSession(path, inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    return lambda spectrograms: session.run(spectrogram=spectrograms)
