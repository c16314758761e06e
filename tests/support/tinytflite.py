"""Tiny TFLite models, written by hand: fully connected layers one after another, probabilities at the end."""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def write_tflite(path: Path, layers: dict[str, np.ndarray], *, quantised: tuple[float, int] | None = None) -> None:
    """Write a model whose layers, by the names of their results, have (out, in) weights.

    With a scale and a zero the last layer's result also passes through whole numbers, in the tensor "whole".
    """
    model = _Model()
    here = model.tensor("sound", (1, next(iter(layers.values())).shape[1]))
    model.graph.inputs = [here]
    for name, weights in layers.items():
        constant = model.tensor(f"{name}/weights", weights.shape, values=weights)
        result = model.tensor(name, (1, len(weights)))
        options = schema.FullyConnectedOptionsT()
        model.operate("FULLY_CONNECTED", [here, constant, -1], result, ("FullyConnectedOptions", options))
        here = result
    if quantised:
        whole = model.tensor("whole", model.graph.tensors[here].shape, quantised=quantised)
        model.operate("QUANTIZE", [here], whole, ("QuantizeOptions", schema.QuantizeOptionsT()))
        here = model.tensor("back", model.graph.tensors[whole].shape)
        model.operate("DEQUANTIZE", [whole], here, ("DequantizeOptions", schema.DequantizeOptionsT()))
    probabilities = model.tensor("Identity", model.graph.tensors[here].shape)
    model.operate("LOGISTIC", [here], probabilities)
    model.graph.outputs = [probabilities]
    path.write_bytes(model.packed())


class _Model:
    """A model of one graph, as it grows."""

    def __init__(self):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name: str, shape, *, values: np.ndarray | None = None, quantised=None) -> int:
        """The number of a new tensor."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, [int(size) for size in shape], 0
        tensor.type = schema.TensorType.INT8 if quantised else schema.TensorType.FLOAT32
        if quantised:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantised[0]], [quantised[1]]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values, dtype=np.float32).tobytes(), dtype=np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operate(self, operation: str, inputs: list[int], output: int, options=None) -> None:
        """Add an operation."""
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, operation)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes), inputs, [output]
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options[0])
            operator.builtinOptions = options[1]
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)

    def packed(self) -> bytes:
        """The file's bytes."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
