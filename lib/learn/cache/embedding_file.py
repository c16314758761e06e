"""A recording's embeddings on disk: a row a window in half precision, with a header and a checksum."""

import os
import struct
import uuid
import zlib
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput

SUFFIX = ".f16"  # another format needs another suffix
PART = ".part"
_HEADER = struct.Struct("<If")  # rows, rounding error of half precision
_CHECKSUM = struct.Struct("<I")  # in front of the header: CRC-32 of all that follows


class UnstorableEmbeddings(Exception):
    """Embeddings that half precision cannot hold; the text is the reason."""


def to_half_precision(embeddings: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Concatenate to (rows, sum of widths) float16; the largest change is returned as a share of its row's largest."""
    rounding_error, halves = 0.0, []
    for name, values in embeddings.items():
        if not np.isfinite(values).all():
            raise UnstorableEmbeddings(f"{name} holds values that are not finite")
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        if not np.isfinite(half).all():
            raise UnstorableEmbeddings(f"{name} reaches {np.abs(values).max():.3g}, half precision ends at 65504")
        change, size = np.abs(values - half).max(axis=1), np.abs(values).max(axis=1)
        rounding_error = max(rounding_error, float((change / np.maximum(size, np.finfo(np.float32).tiny)).max()))
        halves.append(half)
    return np.concatenate(halves, axis=1), rounding_error


def write_embeddings(path: Path, rows: np.ndarray, rounding_error: float) -> None:
    """Write embeddings in half precision so that the file appears when it is whole; a full disk is an error."""
    content = _HEADER.pack(len(rows), rounding_error) + rows.tobytes()
    part = path.with_name(f"{uuid.uuid4().hex}{PART}")  # two workers may write the same embeddings, on two machines
    try:
        path.parent.mkdir(exist_ok=True)
        part.write_bytes(_CHECKSUM.pack(zlib.crc32(content)) + content)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BadInput(
            "the embedding cache cannot be written",
            expected=f"room for {len(content)} bytes more",
            got=f"{path.parent}: {error.strerror}",
            do="free disk space and run again: what is cached stays valid",
        ) from error


def read_embeddings(path: Path, width: int) -> tuple[np.ndarray, float] | None:
    """(rows, width) float16 and the rounding error of half precision; None where the file is absent or damaged."""
    # checksums instead of fsync: what a power cut leaves half is noticed here and made again
    try:
        whole = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    content = whole[_CHECKSUM.size :]
    data = content[_HEADER.size :]
    if not data or _CHECKSUM.unpack_from(whole)[0] != zlib.crc32(content):
        return None
    rows, rounding_error = _HEADER.unpack_from(content)
    if len(data) != rows * width * 2:
        return None
    return np.frombuffer(data, dtype="<f2").reshape(rows, width), rounding_error
