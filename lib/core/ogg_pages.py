"""The pages of an Ogg file: where each lies, its number, and its position in samples."""

import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

FIRST_PAGE, LAST_PAGE = 2, 4  # flags of a stream's first and last page
NO_POSITION = -1  # of a page on which no packet ends
_HEADER = struct.Struct("<4sBBqIIIB")
_CHECKSUM = slice(22, 26)
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MOST_DAMAGED = 10_000  # a file of nothing but page beginnings would take minutes


class Page(NamedTuple):  # made for each page of each soundscape: a frozen dataclass takes four times as long
    """The bytes `start` to `end`, with what they hold from `body` on; its last packet ends at sample `position`."""

    start: int
    body: int
    end: int
    flags: int
    position: int
    stream: int
    number: int


def whole_pages(ogg: bytes | mmap) -> Iterator[Page]:
    """The pages whose checksum holds, in the file's order; decoders skip all other bytes too."""
    start, damaged = ogg.find(b"OggS"), 0
    while 0 <= start <= len(ogg) - _HEADER.size and damaged < _MOST_DAMAGED:
        _, _, flags, position, stream, number, checksum, segments = _HEADER.unpack_from(ogg, start)
        body = start + _HEADER.size + segments
        end = body + sum(ogg[body - segments : body])
        page = bytearray(ogg[start:end])
        page[_CHECKSUM] = bytes(4)
        if end <= len(ogg) and page_checksum(page) == checksum:
            yield Page(start, body, end, flags, position, stream, number)
            start = ogg.find(b"OggS", end)
        else:
            damaged += 1
            start = ogg.find(b"OggS", start + 1)


def page_checksum(page: bytes | bytearray) -> int:
    """Ogg's checksum of one page: zlib's polynomial with every byte and the result mirrored, and no inversion."""
    state = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{state:032b}"[::-1], 2)
