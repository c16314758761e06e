"""A recording's tokens on disk: a row a window in half precision, behind a header that tells whether they are whole."""

import os
import struct
import uuid
import zlib
from pathlib import Path

import numpy as np

from lib.core.errors import BadInput

SUFFIX = ".f16"  # another way of keeping tokens needs another suffix
PART = ".part"
_HEADER = struct.Struct("<If")  # rows, what half precision lost
_CHECKSUM = struct.Struct("<I")  # in front of the header: CRC-32 of all that follows


class UnfitTokens(Exception):
    """Tokens that cannot be kept; its text says why."""


def halved(tokens: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """(rows, sum of widths) float16, side by side, and the largest change as a share of its row's largest value."""
    lost, halves = 0.0, []
    for name, values in tokens.items():
        if not np.isfinite(values).all():
            raise UnfitTokens(f"{name} holds values that are not finite")
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        if not np.isfinite(half).all():
            raise UnfitTokens(f"{name} goes to {np.abs(values).max():.3g}, half precision ends at 65504")
        change, size = np.abs(values - half).max(axis=1), np.abs(values).max(axis=1)
        lost = max(lost, float((change / np.maximum(size, np.finfo(np.float32).tiny)).max()))
        halves.append(half)
    return np.concatenate(halves, axis=1), lost


def write_tokens(path: Path, rows: np.ndarray, lost: float) -> None:
    """Write `halved` tokens so that the file is there when it is whole; a disk that takes no more is an error."""
    content = _HEADER.pack(len(rows), lost) + rows.tobytes()
    part = path.with_name(f"{uuid.uuid4().hex}{PART}")  # two workers may write the same tokens, on two machines
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
            do="make room and run again: what is there stays and counts",
        ) from error


def read_tokens(path: Path, width: int) -> tuple[np.ndarray, float] | None:
    """(rows, width) float16 and what half precision lost; None where the file is absent or damaged."""
    # checksums instead of fsync: what a machine that lost its power leaves half is noticed here and made again
    try:
        whole = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    content = whole[_CHECKSUM.size :]
    data = content[_HEADER.size :]
    if not data or _CHECKSUM.unpack_from(whole)[0] != zlib.crc32(content):
        return None
    rows, lost = _HEADER.unpack_from(content)
    if len(data) != rows * width * 2:
        return None
    return np.frombuffer(data, dtype="<f2").reshape(rows, width), lost
