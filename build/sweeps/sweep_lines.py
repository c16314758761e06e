"""A YAML file with its line numbers, so that what is wrong in it can be shown to the person who wrote it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from lib.core.errors import BadInput

NUMBER = (int, float)
_TYPES = {str: "text, in quotes where it looks like a number", dict: "keys with values", list: "a list, as in [1, 2]",
          int: "a whole number", NUMBER: "a number", (*NUMBER, str): "a number", bool: "true or false"}  # fmt: skip


class Lines:
    """What the file says, and in which line it says it."""

    def __init__(self, path: Path):
        self.path, self._line = path, {(): 1}
        try:
            self.text = path.read_text(encoding="utf-8")
            node = yaml.compose(self.text, yaml.SafeLoader)
            self._loader = yaml.SafeLoader("")
            self.value = self._value(node, ()) if node else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadInput(f"{path} cannot be read", expected="a YAML file", got=" ".join(str(error).split()),
                           do="mend it; sweeps/ has some that can be read") from error  # fmt: skip

    def at(self, *field: object) -> str:
        """Where a field stands, for people: the file, the line, the field's name."""
        line = next(self._line[field[:n]] for n in range(len(field), -1, -1) if field[:n] in self._line)
        return f"{self.path.name} line {line}" + (f", {'.'.join(map(str, field))}" if field else "")

    def wrong(self, *field: object, what: str, expected: object, got: object, do: str) -> BadInput:
        """The error to raise about a field."""
        return BadInput(f"{self.at(*field)}: {what}", expected=expected, got=got, do=do)

    def mapping(self, said: object, keys: dict[str, object], needed: tuple[str, ...], *field: object) -> dict:
        """What a field says, its keys known, their values of the types that belong to them, none missing."""
        if not isinstance(said, dict):
            raise self.wrong(*field, what="keys with values belong here", expected=", ".join(keys), got=repr(said),
                             do="mend it; sweeps/ has files that can be read")  # fmt: skip
        for name, value in said.items():
            if name not in keys:
                raise self.wrong(*field, name, what="there is no such key", expected=f"one of {', '.join(keys)}",
                                 got=name, do="correct it")  # fmt: skip
            if not isinstance(value, keys[name]) or (isinstance(value, bool) and keys[name] is not bool):
                raise self.wrong(*field, name, what="it is of another type", expected=_TYPES[keys[name]],
                                 got=repr(value), do="correct the value")  # fmt: skip
        if missing := [name for name in needed if name not in said]:
            raise self.wrong(*field, what="something is missing", expected=", ".join(missing),
                             got=", ".join(said) or "nothing", do="add it")  # fmt: skip
        return said

    @contextmanager
    def within(self, *field: object) -> Iterator[None]:
        """Errors of the block say where in the file their cause stands."""
        try:
            yield
        except BadInput as error:
            raise self.wrong(*field, what=error.what, expected=error.expected, got=error.got, do=error.do) from error

    def _value(self, node: yaml.Node, field: tuple) -> object:
        """The node as plain Python values; a key that is no text or stands twice is an error."""
        self._line.setdefault(field, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(part, (*field, number)) for number, part in enumerate(node.value, start=1)]
        if not isinstance(node, yaml.MappingNode):
            return self._loader.construct_object(node)
        found = {}
        for key, value in node.value:
            name, line = self._loader.construct_object(key), key.start_mark.line + 1
            if not isinstance(name, str) or name in found:
                raise BadInput(f"{self.path.name} line {line}: {key.value} is not a key here",
                               expected="a name, once", got="it stands twice" if name in found else repr(name),
                               do="mend the line")  # fmt: skip
            self._line[*field, name] = line
            found[name] = self._value(value, (*field, name))
        return found
