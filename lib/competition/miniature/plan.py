"""The plan of every soundscape: a list of calls (events) and weather, decided before a sample is rendered."""

from dataclasses import dataclass, replace

import numpy as np

from lib.competition.miniature.calls import Song, band_hz, seconds, vary_individual
from lib.competition.miniature.cast import GUILDS, Species
from lib.competition.miniature.sites import NOISY_SITE, Recording, Site, make_site
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.row_ids import SOUNDSCAPE_S, WINDOW_S, WINDOWS_PER_SOUNDSCAPE, parse_soundscape

AUDIBLE_DB = -3.0  # below this, an expert who hears the window would not write the species down
AUDIBLE_S = 0.2
SNR_RANGE_DB = (-5.0, 15.0)
STRANGER = "stranger"  # in the list of events: a call that is no class of the contest
_STRANGERS_PER_MINUTE = 2.5
_SNR_MEAN_DB, _SNR_SPREAD_DB = 2.5, 4.5
_LEAST_WINDOWS = 3  # of a class that shall be scored or can be learned from soundscapes only
_CALLS_PER_MINUTE = {"Aves": 5.0, "Amphibia": 7.0, "Insecta": 1.6, "Mammalia": 2.5, "Reptilia": 2.0}
_ROLE_ACTIVITY = {"labelled": 1.0, "unlabelled": 0.6, "test": 0.6}
_WEATHER_ODDS = {"rain": 0.1, "wind": 0.3, "chorus": 0.3}
_MASKING_DB = {"rain": 6.0, "wind": 6.0, "chorus": 4.0}
_MASKED_HZ = {"rain": (500.0, 16000.0), "wind": (0.0, 450.0), "chorus": (4500.0, 6800.0)}


@dataclass(frozen=True)
class Event:
    """One call of one individual in one soundscape; `heard` is true if an expert would notice it."""

    label: str
    onset_s: float
    song: Song
    snr_db: float
    distance: float
    heard: bool

    @property
    def offset_s(self) -> float:
        """The second at which the call ends, without its echoes."""
        return self.onset_s + seconds(self.song)


@dataclass(frozen=True)
class Weather:
    """An episode of rain, wind or distant insect chorus."""

    kind: str
    onset_s: float
    offset_s: float


@dataclass(frozen=True)
class Scene:
    """A soundscape ready to be rendered."""

    recording: Recording
    site: Site
    weather: tuple[Weather, ...]
    events: tuple[Event, ...]


def plan_scenes(spec: MiniatureSpec, cast: list[Species], recordings: list[Recording]) -> list[Scene]:
    """One scene per recording, in order; calls are added where a labelled window is empty or a class is too rare."""
    sites = {name: make_site(spec, name) for name in sorted({recording.site for recording in recordings})}
    scenes = [_scene(spec, cast, recording, sites[recording.site]) for recording in recordings]
    scenes = [_without_empty_windows(spec, cast, s) if s.recording.role == "labelled" else s for s in scenes]
    scenes = _top_up(spec, scenes, [s for s in cast if s.in_test and not s.mirror_of], "test")
    scenes = _top_up(spec, scenes, [s for s in cast if not s.focal and not s.mirror_of], "labelled")
    return [_add_mirrors(cast, scene) for scene in scenes]


def planned_window_labels(scene: Scene) -> list[set[str]]:
    """The labels that are audible in each of the twelve windows."""
    windows: list[set[str]] = [set() for _ in range(WINDOWS_PER_SOUNDSCAPE)]
    for event in scene.events:
        for index in audible_windows(event):
            windows[index].add(event.label)
    return windows


def audible_windows(event: Event) -> list[int]:
    """The numbers of the windows that contain more than a fifth of a second of an audible call."""
    return [
        index
        for index in range(WINDOWS_PER_SOUNDSCAPE)
        if event.heard
        and min(event.offset_s, (index + 1) * WINDOW_S) - max(event.onset_s, index * WINDOW_S) > AUDIBLE_S
    ]


def _scene(spec: MiniatureSpec, cast: list[Species], recording: Recording, site: Site) -> Scene:
    """A random scene: the calls of each species by its abundance, its hours, the site and its guild's mood."""
    rng = spec.stream("scene", recording.stem)
    weather = tuple(_episode(kind, rng) for kind, odds in _WEATHER_ODDS.items() if rng.random() < odds)
    moods = dict(zip(GUILDS, rng.lognormal(-0.3, 0.8, len(GUILDS)), strict=True))  # guilds call together, or not at all
    scene = Scene(recording, site, weather, ())
    events: list[Event] = []
    for species in cast:
        if species.mirror_of or (recording.role == "test" and not species.in_test):
            continue
        rate = 2.6 * spec.activity * _ROLE_ACTIVITY[recording.role] * species.abundance * moods[species.guild]
        rate *= site.guild_weights[GUILDS.index(species.guild)] * hour_weight(species, recording.hour)
        if rng.random() < 1 - np.exp(-rate):
            events += _bout(spec, species, scene, rng)
    events += _strangers(spec, cast, scene, rng)
    return replace(scene, events=tuple(events))


def _strangers(spec: MiniatureSpec, cast: list[Species], scene: Scene, rng: np.random.Generator) -> list[Event]:
    """Unlabelled calls that share a species' band, but not its rhythm and direction.

    Without them a mean spectrum would be enough to identify a species; with them a model must use time.
    """
    events: list[Event] = []
    for _ in range(rng.poisson(_STRANGERS_PER_MINUTE * spec.activity)):
        model = cast[int(rng.integers(len(cast)))]
        song, slower = model.song, float(rng.choice((0.4, 2.5)))
        strange = replace(
            song,
            syllable_s=min(song.syllable_s * slower, 12.0),
            gap_s=song.gap_s * slower,
            syllables=max(1, round(song.syllables / slower)),
            sweep_octaves=-song.sweep_octaves,
            rough_hz=song.rough_hz / slower,
        )
        bout = _bout(spec, replace(model, song=strange), scene, rng)
        events += [replace(event, label=STRANGER, heard=False) for event in bout]
    return events


def hour_weight(species: Species, hour: int) -> float:
    """The relative calling activity of the species at that hour of the day, from .06 to 1.06."""
    turns = 2 * np.pi * (hour + 0.5 - np.asarray(species.peak_hours)) / 24
    return float(0.06 + np.exp(7 * (np.cos(turns) - 1)).max())


def _bout(spec: MiniatureSpec, species: Species, scene: Scene, rng: np.random.Generator) -> list[Event]:
    """The calls of one individual over the minute."""
    count = 1 + rng.poisson(_CALLS_PER_MINUTE[species.taxon.class_name])
    snr_db, distance = rng.normal(_SNR_MEAN_DB, _SNR_SPREAD_DB), rng.uniform(0.2, 1.0)
    centre_s, spread_s = rng.uniform(0, SOUNDSCAPE_S), rng.uniform(6, 40)
    events = []
    for _ in range(count):
        song = vary_individual(species.song, rng)
        onset_s = float((centre_s + rng.normal(0, spread_s)) % SOUNDSCAPE_S - min(1.0, seconds(song) / 2))
        events.append(_event(spec, species, scene, onset_s, song, snr_db + rng.normal(0, 1.5), distance))
    return events


def _event(
    spec: MiniatureSpec, species: Species, scene: Scene, onset_s: float, song: Song, snr_db: float, distance: float
) -> Event:
    """A call with its signal-to-noise ratio kept in range and its audibility judged against the weather."""
    snr_db = float(np.clip(snr_db, *SNR_RANGE_DB)) + spec.loudness_db
    event = Event(species.label, onset_s, song, snr_db, float(distance), heard=True)
    masked_db = sum(_MASKING_DB[w.kind] for w in scene.weather if _masks(w, event))
    return replace(event, heard=bool(snr_db - spec.loudness_db - masked_db >= AUDIBLE_DB))


def _masks(weather: Weather, event: Event) -> bool:
    """True if the episode covers more than half of the call in time, and its pitch."""
    overlap_s = min(weather.offset_s, event.offset_s) - max(weather.onset_s, event.onset_s)
    low_hz, high_hz = band_hz(event.song)
    low, high = _MASKED_HZ[weather.kind]
    return overlap_s > 0.5 * seconds(event.song) and low < (low_hz * high_hz) ** 0.5 < high


def _episode(kind: str, rng: np.random.Generator) -> Weather:
    onset_s = rng.uniform(-20, 45)
    return Weather(kind, float(onset_s), float(onset_s + rng.uniform(15, 60)))


def _clear_call(spec: MiniatureSpec, species: Species, scene: Scene, window: int, rng: np.random.Generator) -> Scene:
    """The scene with one call of the species added that is surely heard in that window."""
    song = vary_individual(species.song, rng)
    onset_s = window * WINDOW_S + rng.uniform(0.1, max(0.2, WINDOW_S - seconds(song)))
    event = _event(spec, species, scene, float(onset_s), song, rng.uniform(2, 10), rng.uniform(0.2, 0.8))
    return replace(scene, events=(*scene.events, replace(event, heard=True)))


def _without_empty_windows(spec: MiniatureSpec, cast: list[Species], scene: Scene) -> Scene:
    """The scene with a call in each window that had none, of a species already there or else of the commonest."""
    rng = spec.stream("fill", scene.recording.stem)
    there = {event.label for event in scene.events if event.label != STRANGER}
    pool = [s for s in cast if s.label in there] or [s for s in cast if s.rank == 0 and not s.mirror_of]
    for window, labels in enumerate(planned_window_labels(scene)):
        if not labels:
            scene = _clear_call(spec, pool[int(rng.integers(len(pool)))], scene, window, rng)
    return scene


def _top_up(spec: MiniatureSpec, scenes: list[Scene], required: list[Species], role: str) -> list[Scene]:
    """The scenes with calls added until every required species is heard in three windows of that role, in two files."""
    of_role = [index for index, scene in enumerate(scenes) if scene.recording.role == role]
    scenes = list(scenes)
    for species in required:
        rng = spec.stream("top up", role, species.label)
        order = [of_role[index] for index in rng.permutation(len(of_role))]
        quiet_first = sorted(order, key=lambda index: scenes[index].recording.site == NOISY_SITE)
        while not _enough(scenes, of_role, species.label):
            index = quiet_first.pop(0)
            quiet_first.append(index)
            scenes[index] = _clear_call(spec, species, scenes[index], int(rng.integers(WINDOWS_PER_SOUNDSCAPE)), rng)
    return scenes


def _enough(scenes: list[Scene], indices: list[int], label: str) -> bool:
    """True if the label is heard in three windows and two different groups of site and day."""
    heard = [
        (index, window)
        for index in indices
        for e in scenes[index].events
        if e.label == label
        for window in audible_windows(e)
    ]
    groups = {parse_soundscape(scenes[index].recording.stem).group for index, _ in heard}
    return len(set(heard)) >= _LEAST_WINDOWS and len(groups) >= 2


def _add_mirrors(cast: list[Species], scene: Scene) -> Scene:
    """The scene with every call of a mirrored sonotype repeated by its mirrors, each at its own pitch."""
    mirrors = [species for species in cast if species.mirror_of]
    added = [
        replace(
            event,
            label=mirror.label,
            song=replace(event.song, pitch_hz=mirror.song.pitch_hz, rough_hz=mirror.song.rough_hz),
        )
        for mirror in mirrors
        for event in scene.events
        if event.label == mirror.mirror_of
    ]
    return replace(scene, events=tuple(sorted((*scene.events, *added), key=lambda e: (e.onset_s, e.label))))
