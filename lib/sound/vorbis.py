"""Damage to the pages of an Ogg file, and the unbroken runs of pages that are left of a Vorbis recording.

libsndfile goes on after a lost page as if nothing were missing, so that all that follows comes too early. Each run is
an Ogg file of its own, and its last page says where in the recording it ends.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from lib.core.ogg_pages import FIRST_PAGE, LAST_PAGE, NO_POSITION, Page, whole_pages

_MOST_PER_PAGE = 255 * 4096  # the packets of a page, times the samples of a packet


@dataclass(frozen=True)
class Run:
    """The bytes of an Ogg file whose last sample is number `end` of the recording."""

    ogg: bytes
    end: int


@dataclass(frozen=True)
class Damage:
    """What is wrong with a file's pages, '' if nothing; the runs to read instead of the file, none if it will do."""

    text: str = ""
    runs: tuple[Run, ...] = ()


def find_damage(path: Path, most: Callable[[int], int]) -> Damage:
    """The damage to an Ogg file; of Vorbis only that before sample `most(rate)`. Other files have no pages."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return Damage()
        with mmap(file.fileno(), 0, access=ACCESS_READ) as ogg:
            first = next(whole_pages(ogg), None)
            if first is None:
                return Damage()
            kind = ogg[first.body : first.end]
            if not kind.startswith(b"\x01vorbis"):
                return Damage(_read_pages(ogg, math.inf, math.inf)[1])
            return _vorbis_damage(ogg, most(struct.unpack_from("<I", kind, 12)[0]))


def _vorbis_damage(ogg: mmap, most: int) -> Damage:
    pages, text = _read_pages(ogg, most, _MOST_PER_PAGE)
    if not text and (pages[-1].flags & LAST_PAGE or pages[-1].position > most):
        return Damage()
    if not text:
        return Damage("breaks off: its last page is missing")
    header = next((n for n, page in enumerate(pages) if page.position > 0), len(pages))
    head, runs = _bytes(ogg, pages[:header]), _runs(pages[header:])
    made = [Run(head + _bytes(ogg, run), max(page.position for page in run)) for run in runs]
    return Damage(text, tuple(run for run in made if run.end > 0))


def _runs(pages: list[Page]) -> list[list[Page]]:
    """The pages, divided where numbers are missing."""
    starts = [n for n, page in enumerate(pages) if not n or page.number != pages[n - 1].number + 1]
    return [pages[start:end] for start, end in zip(starts, [*starts[1:], len(pages)], strict=True)]


def _read_pages(ogg: mmap, most: float, most_per_page: float) -> tuple[list[Page], str]:
    """The pages of the first stream that can follow on each other, up to sample `most`; what is wrong with the rest."""
    kept: list[Page] = []
    number, position, faults = -1, 0, set()
    for page in whole_pages(ogg):
        if page.stream != (kept or [page])[0].stream or (page.flags & FIRST_PAGE and position):
            faults.add("another stream follows, which is left out")
            if page.flags & FIRST_PAGE and position:
                break
            continue
        reach = position + most_per_page * (page.number - number)
        if page.number <= number or not (page.position == NO_POSITION or position <= page.position <= reach):
            faults.add("pages are lost or damaged")
            continue
        if page.number > number + 1:
            faults.add("pages are lost or damaged")
        kept.append(page)
        number, position = page.number, max(position, page.position)
        if position > most:
            break
    return kept, "; ".join(sorted(faults))


def _bytes(ogg: mmap, pages: list[Page]) -> bytes:
    return b"".join(ogg[page.start : page.end] for page in pages)
