"""A YAML file with its line numbers, so that each error names the line it stands in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from lib.core.errors import BadInput

NUMBER = (int, float)

Types = type | tuple[type, ...]

_TYPE_NAMES: dict[Types, str] = {
    str: "text, in quotes where it looks like a number",
    dict: "keys with values",
    list: "a list, as in [1, 2]",
    int: "a whole number",
    NUMBER: "a number",
    (*NUMBER, str): "a number",
    bool: "true or false",
}


class Lines:
    """The values of a YAML file, and the line that each stands in."""

    def __init__(self, path: Path):
        self.path = path
        self._line: dict[tuple, int] = {(): 1}
        try:
            self.text = path.read_text(encoding="utf-8")
            node = yaml.compose(self.text, yaml.SafeLoader)
            self._loader = yaml.SafeLoader("")
            self.value = self._value(node, ()) if node else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadInput(
                f"{path} cannot be read",
                expected="a YAML file",
                got=" ".join(str(error).split()),
                do="fix the file; sweeps/ has examples",
            ) from error

    def at(self, *place: object) -> str:
        """The place of a field, for people: the file, the line, the field's name."""
        line = next(self._line[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self._line)
        return f"{self.path.name} line {line}" + (f", {'.'.join(map(str, place))}" if place else "")

    def wrong(self, *place: object, what: str, expected: object, got: object, do: str) -> BadInput:
        """The error to raise about a field."""
        return BadInput(f"{self.at(*place)}: {what}", expected=expected, got=got, do=do)

    def mapping(self, value: object, keys: Mapping[str, Types], needed: tuple[str, ...], *place: object) -> dict:
        """The field's value as a mapping: its keys known, their values of the types given, none of `needed` missing."""
        if not isinstance(value, dict):
            raise self.wrong(
                *place,
                what="keys with values belong here",
                expected=", ".join(keys),
                got=repr(value),
                do="fix the file; sweeps/ has examples",
            )
        for name, each in value.items():
            if name not in keys:
                raise self.wrong(
                    *place,
                    name,
                    what="there is no such key",
                    expected=f"one of {', '.join(keys)}",
                    got=name,
                    do="fix or drop the key",
                )
            if not isinstance(each, keys[name]) or (isinstance(each, bool) and keys[name] is not bool):
                raise self.wrong(
                    *place,
                    name,
                    what="it is of another type",
                    expected=_TYPE_NAMES[keys[name]],
                    got=repr(each),
                    do="fix the value",
                )
        if missing := [name for name in needed if name not in value]:
            raise self.wrong(
                *place,
                what="something is missing",
                expected=", ".join(missing),
                got=", ".join(value) or "nothing",
                do=f"add {missing[0]}",
            )
        return value

    @contextmanager
    def within(self, *place: object) -> Iterator[None]:
        """Add to errors of the block where in the file their cause stands."""
        try:
            yield
        except BadInput as error:
            raise self.wrong(*place, what=error.what, expected=error.expected, got=error.got, do=error.do) from error

    def _value(self, node: yaml.Node, place: tuple) -> object:
        """The node as plain Python values; a key that is no text or stands twice is an error."""
        self._line.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(part, (*place, number)) for number, part in enumerate(node.value, start=1)]
        if not isinstance(node, yaml.MappingNode):
            return self._loader.construct_object(node)
        found: dict[str, object] = {}
        for key, value in node.value:
            name, line = self._loader.construct_object(key), key.start_mark.line + 1
            if not isinstance(name, str) or name in found:
                raise BadInput(
                    f"{self.path.name} line {line}: {key.value} is not a key here",
                    expected="a name, once",
                    got="it stands twice" if name in found else repr(name),
                    do="fix the line",
                )
            self._line[*place, name] = line
            found[name] = self._value(value, (*place, name))
        return found
