"""OpenVINO, where it is installed: sessions as those of ONNX Runtime, without its telemetry."""

import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np

from lib.models.runtime.onnx import in_session


def openvino_installed() -> bool:
    """True if OpenVINO can be imported here."""
    return importlib.util.find_spec("openvino") is not None


def load_openvino() -> ModuleType:
    """The openvino module without its telemetry, which writes to the home folder and to the internet on import."""
    # None: not importable, so OpenVINO takes its own silent stand-in
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def multiplies_bfloat16() -> bool:
    """True if OpenVINO lists bfloat16 for this processor, as for those with AVX512_BF16 or AMX."""
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenvinoSession:
    """One model file, opened; a call takes one thread, and several threads may call at once.

    By default it takes bfloat16 ("bf16") wherever the processor has it, so the precision is set.
    """

    def __init__(self, path: Path, *, inputs: list[str], outputs: list[str], precision: str = "f32"):
        core, cores = load_openvino().Core(), os.cpu_count()
        settings = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores}
        self._model = core.compile_model(core.read_model(path), "CPU", settings)
        self._inputs, self._outputs = inputs, outputs
        self._own = threading.local()  # a request holds its tensors: each thread has one

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs, in the order given."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        with in_session():
            outputs = self._own.request.infer({name: inputs[name] for name in self._inputs})
        return [outputs[name] for name in self._outputs]
