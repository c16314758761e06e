"""Lower precision is measured beside float32 on a network that learnt, and refused when it ranks otherwise."""

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto

from lib.core.errors import BadInput
from lib.models.export.quantize import compare_variants, convert_to_float16, quantize_to_int8, require_rank_agreement
from lib.models.member.windows import WindowSpec
from tests.support.tinynetwork import graph, spectrograms_of


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    paths = {name: folder / f"{name}.onnx" for name in ("float32", "float16", "int8")}
    paths["float32"].write_bytes(graph())
    convert_to_float16(paths["float32"], paths["float16"])
    quantize_to_int8(paths["float32"], paths["int8"], spectrograms_of(48, seed=1)[0])
    return paths


@pytest.fixture(scope="module")
def table(variants):
    spectrograms, present = spectrograms_of(240, seed=2)
    return compare_variants(variants, spectrograms, WindowSpec().probabilities, present)


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def test_half_precision_holds_half_the_bytes_behind_the_same_interface(variants):
    model = onnx.load(variants["float16"])
    assert {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4} == {TensorProto.FLOAT16}
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {
        TensorProto.FLOAT
    }


def test_int8_quantises_every_convolution_per_channel(variants):
    model = onnx.load(variants["int8"])
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    kernels = [tensor for tensor in tensors.values() if len(tensor.dims) == 4]
    assert {tensor.data_type for tensor in kernels} == {TensorProto.INT8}
    scales = {
        node.input[0]: tensors[node.input[1]]
        for node in model.graph.node
        if node.input[0] in tensors and node.op_type == "DequantizeLinear"
    }
    assert all(list(scales[kernel.name].dims) == [kernel.dims[0]] for kernel in kernels)
    assert operators(variants["int8"]).count("QuantizeLinear") > len(kernels)


def test_half_precision_ranks_as_float32_does(table):
    assert table.loc["float32", ["rank_median", "rank_p5", "max_abs"]].tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert table.rank_p5["float16"] > 0.999
    assert 0 < table.max_abs["float16"] < 0.01
    require_rank_agreement(table.loc[["float32", "float16"]])


def test_int8_is_nearer_to_the_network_than_to_chance_but_not_the_same(table):
    assert 0.5 < table.rank_p5["int8"] < 1.0
    assert table.auc["float32"] > 0.8
    assert abs(table.auc["int8"] - table.auc["float32"]) < 0.1
    with pytest.raises(BadInput, match="int8: ranks of windows differ"):
        require_rank_agreement(table, least_rank=table.rank_p5["int8"] + 1e-9)


def test_size_and_time_are_those_of_the_files(table, variants):
    for name, path in variants.items():
        assert table.megabytes[name] == path.stat().st_size / 1e6
    assert (table.ms_per_soundscape > 0).all()


def test_without_truth_there_is_no_auc(variants):
    spectrograms, _present = spectrograms_of(12, seed=3)
    assert "auc" not in compare_variants({"float32": variants["float32"]}, spectrograms, WindowSpec().probabilities)


def test_a_refusal_shows_the_whole_table_and_takes_nan_for_disagreement():
    table = pd.DataFrame(
        {"rank_p5": [1.0, 0.72, np.nan], "ms_per_soundscape": [115.0, 79.0, 50.0]}, ["f32", "i8", "odd"]
    )
    with pytest.raises(BadInput, match=r"(?s)i8, odd: ranks of windows differ.*rank_p5.*f32.*115.*0\.72.*79"):
        require_rank_agreement(table)
    require_rank_agreement(table.iloc[:2], least_rank=0.7)
    require_rank_agreement(table.iloc[:1])
