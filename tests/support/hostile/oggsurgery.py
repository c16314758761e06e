"""Ogg files taken apart page by page, and put together wrongly: with whole checksums, so that decoders believe them."""

import struct

from lib.core.ogg_pages import page_checksum, whole_pages

_FLAGS, _POSITION, _STREAM, _NUMBER, _CHECKSUM = ("B", 5), ("q", 6), ("I", 14), ("I", 18), ("I", 22)


def pages_of(ogg):
    return [ogg[page.start : page.end] for page in whole_pages(ogg)]


def position_of(page):
    return struct.unpack_from("<q", page, 6)[0]


def changed(page, *, position=None, stream=None, number=None, flags=None, body=None):
    """The page with these fields, sealed again; `body` (a function) changes what it holds."""
    page = bytearray(page)
    fields = {_POSITION: position, _STREAM: stream, _NUMBER: number, _FLAGS: flags}
    for (kind, at), value in fields.items():
        if value is not None:
            struct.pack_into(f"<{kind}", page, at, value)
    if body:
        first = 27 + page[26]
        page[first:] = body(bytes(page[first:]))
    struct.pack_into("<I", page, _CHECKSUM[1], 0)
    struct.pack_into("<I", page, _CHECKSUM[1], page_checksum(page))
    return bytes(page)


def flipped(page, at):
    """The page with a byte turned over, which its checksum betrays."""
    return page[:at] + bytes([page[at] ^ 0xFF]) + page[at + 1 :]
