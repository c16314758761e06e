"""Sites with their noise, and the name, date and hour of every soundscape."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES

NOISY_SITE = "S22"
LABELLED_SITES = (NOISY_SITE, "S09", "S03", "S08", "S13", "S18")
UNLABELLED_SITES = ("S05", "S11", NOISY_SITE, "S09", "S27")
TEST_SITES = ("S09", "S05", "S31")  # one with labels, one seen without labels, one never seen
_TRIPLET_SITE = "S09"
_FIRST_DAY, _DAYS = date(2021, 1, 1), 1825


@dataclass(frozen=True)
class Site:
    """A recording site: its noise floor (dB full scale per root hertz at 1 kHz), its colour, and its guilds."""

    name: str
    floor_db: float
    tilt_db_per_octave: float
    hum_db: float  # of a mains-like hum above the floor, at 120 Hz and its multiples
    guild_weights: tuple[float, ...]  # one for each guild


@dataclass(frozen=True)
class Recording:
    """One soundscape before anything sounds in it: role is labelled, unlabelled or test."""

    stem: str
    role: str
    site: str
    hour: int
    samples: int


def make_site(spec: MiniatureSpec, name: str) -> Site:
    """The site of that name; S22 is the loud one."""
    rng = spec.stream("site", name)
    noisy = name == NOISY_SITE
    weights = rng.dirichlet((1.2, 1.2, 1.2, 1.2)) * 4
    return Site(
        name,
        floor_db=float(-74 + rng.normal(0, 2.5) + 9 * noisy),
        tilt_db_per_octave=float(rng.uniform(-6, -2.5)),
        hum_db=float(24 if noisy else rng.uniform(0, 8)),
        guild_weights=tuple(float(weight) for weight in 0.2 + 0.8 * weights),
    )


def make_recordings(spec: MiniatureSpec) -> list[Recording]:
    """All soundscapes, train then test, in the order of their names; no day of the test is a day of the train part."""
    rng = spec.stream("recordings")
    days = [_FIRST_DAY + timedelta(days=int(day)) for day in rng.permutation(_DAYS)]
    labelled = _labelled_slots(spec, rng, days)
    unlabelled = [
        ("unlabelled", UNLABELLED_SITES[index % len(UNLABELLED_SITES)], days.pop(), *_any_time(rng))
        for index in range(spec.n_unlabelled)
    ]
    train = labelled + unlabelled
    train = [train[index] for index in rng.permutation(len(train))]
    test = [("test", TEST_SITES[index % len(TEST_SITES)], days.pop(), *_any_time(rng)) for index in range(spec.n_test)]
    test = [test[index] for index in rng.permutation(len(test))]
    return _numbered("Train", train) + _numbered("Test", test)


def _labelled_slots(spec: MiniatureSpec, rng: np.random.Generator, days: list[date]) -> list[tuple]:
    """The labelled soundscapes: three of one second, nearly half at the noisy site, some sharing site and day."""
    triplet_day = days.pop()
    slots = [("labelled", _TRIPLET_SITE, triplet_day, 0, "000000")] * 3
    n_noisy = max(4, round(0.43 * spec.n_labelled))
    sites = [NOISY_SITE] * min(n_noisy, spec.n_labelled - 4)
    others = (*LABELLED_SITES[2:], _TRIPLET_SITE)
    sites += [others[index % len(others)] for index in range(spec.n_labelled - 3 - len(sites))]
    previous_site, previous_day = "", triplet_day
    for index, site in enumerate(sites):
        same_day = index % 5 == 4 and site == previous_site  # a fifth of the files share site and day with the previous
        day = previous_day if same_day else days.pop()
        hour = int(rng.choice((20, 21, 22, 23, 9, 10, 1), p=(0.2, 0.2, 0.2, 0.14, 0.1, 0.1, 0.06)))
        slots.append(("labelled", site, day, hour, _clock(hour, rng)))
        previous_site, previous_day = site, day
    return slots


def _any_time(rng: np.random.Generator) -> tuple[int, str]:
    """An hour of the day and the clock time in it; dusk and dawn are recorded more often."""
    hour = int(rng.choice((9, 10, 11, 20, 21, 22, 23)) if rng.random() < 0.6 else rng.integers(24))
    return hour, _clock(hour, rng)


def _clock(hour: int, rng: np.random.Generator) -> str:
    return f"{hour:02d}{int(rng.integers(60)):02d}{int(rng.integers(60)):02d}"


def _numbered(split: str, slots: list[tuple]) -> list[Recording]:
    """Recordings with running numbers, and the lengths that are not quite a minute planted."""
    lengths = [SOUNDSCAPE_SAMPLES] * len(slots)
    if split == "Test":
        lengths[1] += 5
        lengths[2] -= SAMPLE_RATE // 10
    else:
        first_labelled = next(index for index, slot in enumerate(slots) if slot[0] == "labelled")
        lengths[first_labelled] += 3
    return [
        Recording(f"BC2026_{split}_{number:04d}_{site}_{day:%Y%m%d}_{clock}", role, site, hour, samples)
        for number, ((role, site, day, hour, clock), samples) in enumerate(zip(slots, lengths, strict=True), start=1)
    ]
