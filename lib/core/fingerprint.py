"""Short fingerprints of files, of settings and of the code itself, by which artifacts record their inputs."""

import hashlib
import json
from pathlib import Path

_LENGTH = 16


def of_bytes(data: bytes | memoryview) -> str:
    """Sixteen hexadecimal digits of the data's SHA-256."""
    return hashlib.sha256(data).hexdigest()[:_LENGTH]


def of_text(text: str) -> str:
    """The fingerprint of a text's UTF-8 bytes."""
    return of_bytes(text.encode())


def of_json(value: object) -> str:
    """The fingerprint of a JSON value, whatever the order of its keys."""
    return of_text(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False))


def of_file(path: Path) -> str:
    """The fingerprint of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:_LENGTH]


def of_lib(*rooms: str) -> str:
    """The fingerprint of the lib that is running, or of some of its rooms; in a kernel, of the vendored part."""
    lib = Path(__file__).resolve().parents[1]
    files = [path for room in rooms or ("",) for path in sorted((lib / room).rglob("*.py"))]
    return of_json({str(path.relative_to(lib)): of_file(path) for path in files})
