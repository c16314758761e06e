"""Variants of a kernel: values in its parameters cell, and a name of its own, so that many run side by side."""

import ast
import math
import re

from lib.core.fingerprint import of_json

LONGEST = 50  # letters that Kaggle allows a title, and so a slug
_DIGEST = 6


def variant_metadata(metadata: dict, converted: dict[str, object]) -> dict:
    """The metadata with slug, title and file named after the values; unchanged without any."""
    if not converted:
        return metadata
    owner, _, base = metadata["id"].partition("/")
    suffix = _suffix(converted, LONGEST - len(base) - 1)
    slug = f"{base}-{suffix}"
    title = f"{metadata['title']} {suffix.replace('-', ' ')}"
    return {**metadata, "id": f"{owner}/{slug}", "title": title, "code_file": f"{slug}.ipynb"}


def with_values(cell: str, converted: dict[str, object]) -> str:
    """The parameters cell with other values; annotations and comments stay as they are."""
    lines = cell.encode().split(b"\n")  # the syntax tree counts columns in bytes
    for node in ast.parse(cell).body:
        if isinstance(node, ast.AnnAssign | ast.Assign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name) and target.id in converted and node.value is not None:
                line, old = node.lineno - 1, node.value
                value = _literal(converted[target.id]).encode()
                lines[line] = lines[line][: old.col_offset] + value + lines[line][old.end_col_offset :]
    return b"\n".join(lines).decode()


def _literal(value: object) -> str:
    """The value as Python writes it; infinity has no literal of its own."""
    return f'float("{value}")' if isinstance(value, float) and math.isinf(value) else repr(value)


def _suffix(converted: dict[str, object], longest: int) -> str:
    """Names and values as a slug, `fold0-backbone-x`; with a digest where that would be too long or ambiguous."""
    parts = [_name_and_value(name, value) for name, value in converted.items()]
    suffix = re.sub("[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    if len(suffix) <= longest and all(map(_is_plain, converted.values())):
        return suffix
    digest = of_json({name: repr(value) for name, value in converted.items()})[:_DIGEST]
    return f"{suffix[: longest - _DIGEST - 1].rstrip('-')}-{digest}"


def _name_and_value(name: str, value: object) -> str:
    """The name and the value, together when the value begins with a digit and the name with none at its end."""
    text = str(value)
    return f"{name}{text}" if text[:1].isdigit() and not name[-1].isdigit() else f"{name}-{text}"


def _is_plain(value: object) -> bool:
    """True for values that no other shares its slug with: numbers that are not negative, and text of a-z and 0-9."""
    if isinstance(value, str):
        return re.fullmatch("[a-z0-9]+", value) is not None
    return isinstance(value, int | float) and value >= 0
