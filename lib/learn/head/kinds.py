"""The kinds of heads by their names, as 03 offers them."""

from collections.abc import Sequence

from lib.core.errors import BadInput
from lib.learn.head.base import Head
from lib.learn.head.class_mlps import ClassMlpSettings, fit_class_mlps
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head, zero_shot_head
from lib.learn.head.proto_ssm import ProtoSettings, fit_proto_ssm
from lib.learn.head.residual_ssm import ResidualSettings, fit_residual_ssm
from lib.learn.head.sequence import SequenceHeadSettings, fit_sequence_head


def head_kinds(tokens: Sequence[str]) -> dict[str, Head]:
    """Every kind of head; `tokens` names what the sequence head pays attention to."""
    return {
        "zero_shot": zero_shot_head(),
        "linear": Head("linear", fit_linear_head, LinearHeadSettings()),
        "mlps": Head("mlps", fit_class_mlps, ClassMlpSettings()),
        "sequence": Head("sequence", fit_sequence_head, SequenceHeadSettings(inputs=tuple(tokens))),
        "proto_ssm": Head("proto_ssm", fit_proto_ssm, ProtoSettings()),
        "residual_ssm": Head("residual_ssm", fit_residual_ssm, ResidualSettings()),
    }


def chosen_heads(names: str, tokens: Sequence[str]) -> dict[str, Head]:
    """The kinds named, separated by spaces; an unknown name lists those there are."""
    kinds = head_kinds(tokens)
    if unknown := [name for name in names.split() if name not in kinds]:
        raise BadInput("there are no such heads", expected=", ".join(kinds), got=" ".join(unknown), do="choose others")
    return {name: kinds[name] for name in names.split()}
