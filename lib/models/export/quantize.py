"""Half precision and int8: converted, compared with float32, and refused when they rank windows otherwise."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pandas as pd

from lib.core.errors import BadInput
from lib.judge.metric import class_auc
from lib.models.export.network import NETWORK_INPUTS
from lib.models.export.parity import BATCH, ToProbabilities, batch_probabilities, onnx_runner
from lib.models.runtime.agreement import rank_agreement

LEAST_RANK = 0.99  # of the class at the 5th percentile: float16 was measured above .999, int8 at .7 to .9
_ROUNDS = 5


def convert_to_float16(path: Path, to: Path) -> None:
    """Write the float16 variant of a float32 network; its inputs and outputs stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # slow to import, needed here alone

    half = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    to.write_bytes(half.SerializeToString(deterministic=True))


def quantize_to_int8(path: Path, to: Path, calibration: np.ndarray) -> None:
    """Write the statically quantised variant; its ranges are those of the calibration spectrograms."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Calibration(CalibrationDataReader):
        """The spectrograms, a soundscape at a time, each once."""

        def __init__(self):
            self.batches = iter([calibration[n : n + BATCH] for n in range(0, len(calibration), BATCH)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next batch, or None at the end."""
            batch = next(self.batches, None)
            return None if batch is None else {NETWORK_INPUTS[0]: batch}

    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(path, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            to,
            Calibration(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def compare_variants(
    variants: dict[str, Path],
    spectrograms: np.ndarray,
    to_probabilities: ToProbabilities,
    truth: np.ndarray | None = None,
) -> pd.DataFrame:
    """A table, one row a variant, ranks against the first; `truth` (rows, classes) of bool adds the macro AUC."""
    runs = {name: onnx_runner(path) for name, path in variants.items()}
    values = {name: batch_probabilities(run, spectrograms, to_probabilities) for name, run in runs.items()}
    first, rows = next(iter(values.values())), {}
    seconds = _seconds({name: partial(run, spectrograms[:BATCH]) for name, run in runs.items()})
    for name, value in values.items():
        ranks = rank_agreement(first, value)
        row = {
            "megabytes": variants[name].stat().st_size / 1e6,
            "ms_per_soundscape": 1e3 * seconds[name] * BATCH / len(spectrograms[:BATCH]),
            "rank_median": float(np.median(ranks)),
            "rank_p5": float(np.percentile(ranks, 5)),
            "max_abs": float(np.abs(first - value).max()),
        }
        rows[name] = row if truth is None else row | {"auc": float(np.nanmean(class_auc(truth, value)))}
    return pd.DataFrame.from_dict(rows, orient="index")


def require_rank_agreement(table: pd.DataFrame, least_rank: float = LEAST_RANK) -> None:
    """Raise BadInput with the whole table when a variant ranks the windows otherwise than the first row."""
    wrong = table.index[~(table.rank_p5 >= least_rank)].tolist()
    if wrong:
        raise BadInput(
            f"{', '.join(wrong)}: ranks of windows differ from the first row's",
            expected=f"rank_p5 at least {least_rank}",
            got="\n" + table.round(4).to_string(),
            do="use float32, or a variant that agrees",
        )


def _seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Each call's processor time, the median of rounds in which all take their turn."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            start = time.process_time()
            call()
            taken[name].append(time.process_time() - start)
    return {name: float(np.median(times)) for name, times in taken.items()}
