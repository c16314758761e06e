"""Soundscape names, windows and row ids: all are parsed and made in this module."""

import re
from dataclasses import dataclass
from datetime import datetime

from lib.core.errors import BadInput

SAMPLE_RATE = 32_000
WINDOW_S = 5
WINDOWS_PER_SOUNDSCAPE = 12
WINDOW_SAMPLES = SAMPLE_RATE * WINDOW_S
SOUNDSCAPE_S = WINDOW_S * WINDOWS_PER_SOUNDSCAPE
SOUNDSCAPE_SAMPLES = WINDOW_SAMPLES * WINDOWS_PER_SOUNDSCAPE

_NAME = re.compile(r"BC2026_(Train|Test)_(\d+)_S(\d+)_(\d{8})_(\d{6})(?:\.ogg)?", re.ASCII)


@dataclass(frozen=True)
class Soundscape:
    """The parts of a soundscape's file name: where and when (UTC) it was recorded."""

    stem: str
    split: str
    number: str
    site: str
    date: str
    time: str

    @property
    def hour(self) -> int:
        """The hour of the day in UTC, 0 to 23."""
        return int(self.time[:2])

    @property
    def group(self) -> str:
        """The recording group `site_date`: files of one group share their sound, so folds never split one."""
        return f"{self.site}_{self.date}"


def parse_soundscape(name: str) -> Soundscape:
    """The parts of `BC2026_<Train|Test>_<number>_S<site>_<date>_<time>[.ogg]`."""
    match = _NAME.fullmatch(name)
    if match is None or not ("000000" <= match[5] < "240000"):
        raise BadInput(
            f"soundscape name {name!r} cannot be read",
            expected="BC2026_<Train|Test>_<digits>_S<digits>_<YYYYMMDD>_<HHMMSS>.ogg",
            got=name,
            do="rename the file, or move it out of the soundscape folder",
        )
    split, number, site, date, time = match.groups()
    return Soundscape(name.removesuffix(".ogg"), split, number, f"S{site}", date, time)


def soundscape_named(name: str) -> Soundscape | None:
    """The parts of a contest recording's name; None for any other recording."""
    try:
        return parse_soundscape(name)
    except BadInput:
        return None


def is_date(digits: str) -> bool:
    """True for YYYYMMDD that a calendar has."""
    try:
        return bool(datetime.strptime(digits, "%Y%m%d"))
    except ValueError:
        return False


def window_ends() -> list[int]:
    """The end seconds of a soundscape's twelve windows: 5, 10, … 60."""
    return list(range(WINDOW_S, SOUNDSCAPE_S + 1, WINDOW_S))


def row_id(stem: str, end_s: int) -> str:
    """The submission's id of one window: the file stem and the second at which the window ends."""
    if end_s not in range(WINDOW_S, SOUNDSCAPE_S + 1, WINDOW_S):
        raise BadInput(
            f"no window of {stem} ends at second {end_s}",
            expected=f"one of {window_ends()}",
            got=end_s,
            do="cut soundscapes into twelve windows of five seconds",
        )
    return f"{stem}_{end_s}"


def row_ids(stem: str) -> list[str]:
    """The twelve row ids of one soundscape, in time order."""
    return [row_id(stem, end_s) for end_s in window_ends()]


def split_row_id(row: str) -> tuple[Soundscape, int]:
    """The soundscape and end second that a row id names."""
    stem, _, end = row.rpartition("_")
    soundscape = parse_soundscape(stem)
    if end not in map(str, window_ends()):
        raise BadInput(
            f"row id {row!r} cannot be read",
            expected="<file stem>_<end second>, the second one of 5, 10, … 60",
            got=row,
            do="make row ids with lib.competition.row_ids.row_id",
        )
    return soundscape, int(end)
