"""The kinds of heads by name, as notebook 03 offers them."""

from collections.abc import Sequence

from lib.core.errors import BadInput
from lib.learn.head.base import Head
from lib.learn.head.class_mlps import ClassMlpSettings, fit_class_mlps
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head, zero_shot_head
from lib.learn.head.proto_ssm import ProtoSettings, fit_proto_ssm
from lib.learn.head.residual_ssm import ResidualSettings, fit_residual_ssm
from lib.learn.head.sequence import SequenceHeadSettings, fit_sequence_head


def head_kinds(inputs: Sequence[str]) -> dict[str, Head]:
    """Every kind of head, by name; `inputs` names the embeddings that the sequence head attends to."""
    return {
        "zero_shot": zero_shot_head(),
        "linear": Head("linear", fit_linear_head, LinearHeadSettings()),
        "mlps": Head("mlps", fit_class_mlps, ClassMlpSettings()),
        "sequence": Head("sequence", fit_sequence_head, SequenceHeadSettings(inputs=tuple(inputs))),
        "proto_ssm": Head("proto_ssm", fit_proto_ssm, ProtoSettings()),
        "residual_ssm": Head("residual_ssm", fit_residual_ssm, ResidualSettings()),
    }


def select_heads(names: str, inputs: Sequence[str]) -> dict[str, Head]:
    """The kinds of heads named, separated by commas; an unknown name is an error that lists the known ones."""
    kinds = head_kinds(inputs)
    listed = names.replace(",", " ").split()
    if unknown := [name for name in listed if name not in kinds]:
        raise BadInput(
            "unknown heads",
            expected=f"some of {', '.join(kinds)}",
            got=" ".join(unknown),
            do="set heads=linear,proto_ssm, or other names from the list",
        )
    return {name: kinds[name] for name in listed}
