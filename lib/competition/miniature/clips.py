"""Focal clips: the plan of every recording of one animal, its broken ones, and the samples."""

from dataclasses import dataclass, replace

import numpy as np

from lib.competition.miniature.calls import Song, add_distance, render_call, unit_loudness, vary_individual
from lib.competition.miniature.cast import Species
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.row_ids import SAMPLE_RATE

FAULTS = ("zero_sample_clip", "zero_byte_clip", "corrupt_clip", "truncated_clip", "silent_clip")
ODDITIES = ("stereo_clip", "stereo_clip", "clip_44100", "clip_48000", "short_clip", "short_clip", "short_clip")
UNKNOWN_LABELS = ("zzunkn1", "9999991")  # named in secondary_labels, absent from the taxonomy
_CLASS_SHARE = {"Aves": 0.70, "Amphibia": 0.15, "Insecta": 0.05, "Mammalia": 0.10, "Reptilia": 0.0}
_SECONDARY_SHARE = 0.12
_AUDIBLE_SHARE = 0.7


@dataclass(frozen=True)
class Clip:
    """One file of train_audio: its metadata, the species in it, and its planted fault."""

    filename: str
    label: str
    seconds: float
    collection: str
    sample_rate: int = SAMPLE_RATE
    channels: int = 1
    fault: str = ""
    secondary: tuple[str, ...] = ()
    background: tuple[str, ...] = ()  # the part of `secondary` that is audible


def plan_clips(spec: MiniatureSpec, cast: list[Species]) -> list[Clip]:
    """All clips in the order of train.csv: by label, then by file name."""
    rng = spec.stream("clips")
    clips: list[Clip] = []
    numbers = iter(100_003 + np.sort(rng.choice(800_000, spec.n_clips, replace=False)))
    for species, count in zip(cast, _counts(spec, cast), strict=True):
        for index in range(count):
            collection = "XC" if species.taxon.class_name == "Aves" and rng.random() < 0.8 else "iNat"
            seconds = float(np.clip(rng.lognormal(np.log(spec.clip_median_s), 0.5), 1.0, spec.clip_max_s))
            seconds = max(seconds, min(6.0, spec.clip_median_s)) if index == 0 else seconds
            clips.append(Clip(f"{species.label}/{collection}{next(numbers)}.ogg", species.label, seconds, collection))
    clips = _with_company(clips, cast, rng)
    return sorted(_with_oddities(clips, rng), key=lambda clip: (clip.label, clip.filename))


def render_clip(spec: MiniatureSpec, clip: Clip, cast: dict[str, Species]) -> np.ndarray:
    """The samples (float32) of one clip: (samples,), or (samples, 2) for stereo."""
    rng = spec.stream("clip", clip.filename)
    n = 0 if clip.fault == "zero_sample_clip" else round(clip.seconds * clip.sample_rate)
    if clip.fault == "silent_clip" or n == 0:
        return np.zeros(n, np.float32)
    singer = vary_individual(cast[clip.label].song, rng)
    sound = _singing(singer, clip, n, rng.uniform(0.0, 0.25), rng)
    for label in clip.background:
        distance = rng.uniform(0.4, 0.8)
        sound += 10 ** (-rng.uniform(8, 16) / 20) * _singing(
            vary_individual(cast[label].song, rng), clip, n, distance, rng
        )
    bed = np.cumsum(rng.standard_normal(n, dtype=np.float32))
    bed = unit_loudness(bed - np.linspace(bed[0], bed[-1], n)) + 0.3 * rng.standard_normal(n, dtype=np.float32)
    sound += 10 ** (-rng.uniform(15, 35) / 20) * bed
    sound *= 0.5 * rng.uniform(0.4, 1.0) / np.abs(sound).max()
    return _stereo(sound, rng) if clip.channels == 2 else sound.astype(np.float32)


def _singing(song: Song, clip: Clip, n: int, distance: float, rng: np.random.Generator) -> np.ndarray:
    """One individual repeating its song with pauses (n,), loudness 1 while it sings."""
    sound = np.zeros(n, np.float32)
    start = int(rng.uniform(0.05, 0.4) * clip.sample_rate)
    while start < n:
        call = render_call(song, clip.sample_rate, rng)
        call = add_distance(call, clip.sample_rate, distance, rng)[: n - start]
        sound[start : start + len(call)] += call
        start += len(call) + int(rng.uniform(0.3, 2.0) * clip.sample_rate)
    return sound


def _stereo(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sound on two channels (samples, 2), louder and earlier on one side."""
    lag = int(rng.integers(3, 20))
    return np.stack([sound, 0.6 * np.roll(sound, lag)], axis=1).astype(np.float32)


def _counts(spec: MiniatureSpec, cast: list[Species]) -> list[int]:
    """Clips per species, in class order: a long tail in each animal class, none for the mute, one for the reptile."""
    rarest = {s.taxon.class_name: s.rank for s in sorted(cast, key=lambda s: s.rank) if s.focal and s.rank >= 3}
    weights = np.array(
        [
            _CLASS_SHARE[s.taxon.class_name] * (1 + s.rank) ** -1.5
            if s.focal and s.rank != rarest.get(s.taxon.class_name)
            else 0.0
            for s in cast
        ]
    )
    for name, share in _CLASS_SHARE.items():
        members = [s.taxon.class_name == name for s in cast]
        if weights[members].sum():
            weights[members] *= share / weights[members].sum()
    focal = np.array([species.focal for species in cast])
    ideal = (spec.n_clips - focal.sum()) * weights / weights.sum()
    counts = focal + np.floor(ideal).astype(int)
    short = spec.n_clips - counts.sum()
    counts[np.argsort(-(ideal % 1), kind="stable")[:short]] += 1
    return counts.tolist()


def _with_company(clips: list[Clip], cast: list[Species], rng: np.random.Generator) -> list[Clip]:
    """The clips, about an eighth of them with other species of the same guild listed, most of which are audible."""
    guilds = {species.label: species.guild for species in cast}
    focal = [species.label for species in cast if species.focal]
    out = []
    for index, clip in enumerate(clips):
        listed: list[str] = []
        if rng.random() < _SECONDARY_SHARE or index in (1, len(clips) // 2):
            mates = [label for label in focal if guilds[label] == guilds[clip.label] and label != clip.label]
            mates = mates or [label for label in focal if label != clip.label]
            listed = rng.permutation(mates)[: int(rng.integers(1, 3))].tolist()
        background = tuple(label for label in listed if rng.random() < _AUDIBLE_SHARE)
        if index in (1, len(clips) // 2) or (listed and rng.random() < 0.06):
            listed.append(UNKNOWN_LABELS[index % 2])
        out.append(replace(clip, secondary=tuple(listed), background=background))
    return out


def _with_oddities(clips: list[Clip], rng: np.random.Generator) -> list[Clip]:
    """The clips with every fault and oddity planted, in species that can spare a clip."""
    clips = list(clips)
    spare: dict[str, list[int]] = {}
    for index in rng.permutation(len(clips)):
        spare.setdefault(clips[index].label, []).append(int(index))
    roomy = sorted((label for label in spare if len(spare[label]) >= 4), key=lambda label: (-len(spare[label]), label))
    for turn, quirk in enumerate(FAULTS + ODDITIES):
        turns = [label for label in roomy if spare[label]]
        index = spare[turns[turn % len(turns)]].pop()
        clips[index] = _odd(clips[index], quirk)
    return clips


def _odd(clip: Clip, quirk: str) -> Clip:
    """The clip with one fault or oddity."""
    if quirk in FAULTS:
        return replace(clip, fault=quirk, seconds=0.0 if quirk == "zero_sample_clip" else clip.seconds)
    if quirk == "stereo_clip":
        return replace(clip, channels=2)
    if quirk == "short_clip":
        return replace(clip, seconds=1.0 + clip.seconds % 1.5)
    return replace(clip, sample_rate={"clip_44100": 44_100, "clip_48000": 48_000}[quirk])
