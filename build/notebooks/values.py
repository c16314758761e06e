"""Values for the parameters of a notebook, in their types; a misfit is an error before anything runs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from build.notebooks.parameters import Parameter, accepted_values, parameters_of
from build.project import display_path
from lib.core.errors import BadInput, did_you_mean

OVERRIDES = "overrides"  # the parameter of a notebook that takes any setting of a network's plan
_EXAMPLES = {"str": "text", "bool": "true", "int": "3", "float": "0.5"}
_WORDS = {"str": "text", "bool": "true or false", "int": "a whole number", "float": "a number, such as 0.5 or 1e-3"}
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}
_WHOLE = r"[+-]?\d+"
_DECIMAL = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf"


def no_such_parameter(where: str, name: str, known: Sequence[str]) -> BadInput:
    """The error of a parameter that no notebook has."""
    return BadInput(
        f"{where} has {'a' if where.startswith('none') else 'no'} parameter {name}",
        expected=f"one of {', '.join(known) or '(there is no parameters cell)'}",
        got=name,
        do=did_you_mean(name, known),
    )


def convert_parameters(source: Path, values: Mapping[str, object]) -> dict[str, object]:
    """The values in their parameters' types; text is parsed strictly, an unknown name or a misfit is an error."""
    known = parameters_of(source)
    for name in values:
        if name not in known:
            raise no_such_parameter(display_path(source), name, list(known))
    converted = {name: _in_kind(source, known[name], value) for name, value in values.items()}
    if OVERRIDES in known:
        _check_plan(known, converted)
    return converted


def _check_plan(known: Mapping[str, Parameter], given: Mapping[str, object]) -> None:
    """Refuse settings that no network's plan can have."""
    from lib.learn.network.config import is_setting  # brings numpy, which the other notebooks need not wait for
    from lib.learn.network.presets import plan_network

    settings = {name: given.get(name) for name in known if is_setting(name)}
    preset = known["preset"].value if "preset" in known else None
    plan_network(str(given.get("preset", preset) or "") or None, str(given.get(OVERRIDES) or ""), **settings)


def _in_kind(source: Path, parameter: Parameter, value: object) -> object:
    """The value in the type that the parameter declares, one of its choices where it has some."""
    base, choices, optional = accepted_values(parameter.kind)
    if optional and (value is None or value in ("", "None")):
        return None
    found, choices, least = _as_scalar(base, value), choices or parameter.names, parameter.least
    listed = [each.strip() for each in str(found).split(",") if each.strip()] if parameter.several else [found]
    wrong = [each for each in listed if choices and each not in choices]
    if found is None or wrong or (least is not None and isinstance(found, int | float) and found < least):
        expected = _expected(parameter, base, choices) + (", or None" if optional else "")
        example = f"set {parameter.name}={choices[0] if choices else _example(base, least)}, for instance"
        raise BadInput(
            f"the parameter {parameter.name} of {display_path(source)} cannot take this value",
            expected=expected,
            got=repr(value),
            do=did_you_mean(wrong[0], map(str, choices), otherwise=example) if wrong else example,
        )
    return found


def _example(base: str, least: float | None) -> str:
    """A value of the type."""
    return _EXAMPLES.get(base, "…") if least is None else f"{max(least, 1):g}"


def _as_scalar(base: str, value: object) -> str | int | float | bool | None:
    """The value as a str, int, float or bool; text is parsed; None where it does not fit."""
    if base == "str" or value is None:
        return value if isinstance(value, str) else None
    if isinstance(value, str):
        return _parse(base, value)
    if isinstance(value, bool):
        return value if base == "bool" else None
    if base == "int":
        return value if isinstance(value, int) else None
    return float(value) if base == "float" and isinstance(value, int | float) else None


def _parse(base: str, text: str) -> int | float | bool | None:
    """The text as a bool, int or float; None where it is not exactly one."""
    if base == "bool":
        return _BOOLEANS.get(text)
    if base == "int":
        return int(text) if re.fullmatch(_WHOLE, text, re.ASCII) else None
    return float(text) if base == "float" and re.fullmatch(_DECIMAL, text, re.ASCII) else None


def _expected(parameter: Parameter, base: str, choices: tuple) -> str:
    """The values that the parameter takes, in words."""
    if choices:
        return f"{'any' if parameter.several else 'one'} of {', '.join(map(str, choices))}"
    if base not in _WORDS:
        return f"{parameter.kind}: only str, int, float and bool can be set"
    least = "" if parameter.least is None else f", at least {parameter.least:g}"
    return f"{base}: {_WORDS[base]}{least}"
