"""Reproducible Ogg Vorbis: equal bytes for equal sound, although libsndfile numbers each stream at random."""

import io
import struct
import zlib

import numpy as np
import soundfile

from lib.core.errors import BadInput
from lib.core.ogg_pages import page_checksum

_PAGE_HEADER_BYTES = 27


def encode_ogg(sound: np.ndarray, sample_rate: int, name: str) -> bytes:
    """The bytes of an ogg file of `sound` (samples,) or (samples, channels), its stream numbered after `name`."""
    channels = 1 if sound.ndim == 1 else sound.shape[1]
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sample_rate, channels, format="OGG", subtype="VORBIS", compression_level=0.5
    ) as file:
        for start in range(0, len(sound), sample_rate):  # libsndfile overflows its stack on long Vorbis writes
            file.write(sound[start : start + sample_rate])
    return renumber_stream(buffer.getvalue(), zlib.crc32(name.encode()))


def renumber_stream(ogg: bytes, serial: int) -> bytes:
    """The same ogg stream with `serial` as its number and the checksum of every page recomputed."""
    out = bytearray(ogg)
    start = 0
    while start < len(out):
        header = _PAGE_HEADER_BYTES + (out[start + 26] if len(out) > start + 26 else 0)
        end = start + header + sum(out[start + _PAGE_HEADER_BYTES : start + header])
        if out[start : start + 4] != b"OggS" or end > len(out):
            raise BadInput(
                "these bytes are not an ogg stream",
                expected=f"a whole page from byte {start} on",
                got=f"{bytes(out[start : start + 4])!r} and {len(out) - start} bytes",
                do="pass the whole output of an encoder",
            )
        struct.pack_into("<I", out, start + 14, serial)
        struct.pack_into("<I", out, start + 22, 0)
        struct.pack_into("<I", out, start + 22, page_checksum(bytes(out[start:end])))
        start = end
    return bytes(out)
