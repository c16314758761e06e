"""The risk list: sentences that the numbers of this very data write, each with what is done about it."""

from collections.abc import Iterator

import pandas as pd

from lib.competition.prepared import Prepared
from lib.competition.qa import cluster_sizes, related_pairs
from lib.competition.row_ids import WINDOW_S, parse_soundscape

_DOMINANT, _MANY, _FEW_DAYS, _RARE, _SHIFT_DB = 0.25, 0.1, 60, 5, 3.0


def risks(prepared: Prepared, clip_sounds: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> pd.DataFrame:
    """One row a risk that this data shows: risk, evidence, answer."""
    rows = [
        *_of_labels(prepared),
        *_of_places(prepared.windows, soundscape_sounds),
        *_of_clips(prepared),
        *_of_sounds(clip_sounds, soundscape_sounds),
        *_of_qa(prepared.qa),
    ]
    return pd.DataFrame(rows, columns=["risk", "evidence", "answer"])


def _of_labels(prepared: Prepared) -> Iterator[tuple[str, str, str]]:
    """What the labelled windows cannot tell."""
    labels, windows = prepared.labels, prepared.windows
    folds_heard = sum(labels.values[labels.strata == fold].any(axis=0) for fold in prepared.folds.numbers)
    heard, silent, once = (folds_heard > 0).sum(), (folds_heard == 0).sum(), (folds_heard == 1).sum()
    shares = windows.site.value_counts(normalize=True)
    days = windows.group.nunique()
    if shares.iloc[0] > _DOMINANT:
        evidence = f"{shares.index[0]} has {shares.iloc[0]:.0%} of the labelled windows"
        yield "one site dominates", evidence, "score with and without it; keep a shadow split of whole sites"
    if silent:
        evidence = f"{silent} of {len(folds_heard)} classes are heard in no labelled window"
        yield "classes that cannot be judged", evidence, "no offline score speaks of them: say so"
    if once:
        evidence = f"{once} of {heard} heard classes are heard in one fold only"
        yield "classes that one fold judges", evidence, "state the class set with each score"
    if days < _FEW_DAYS:
        evidence = f"{len(windows)} labelled windows come from {days} recording groups (site and day)"
        yield "few recordings", evidence, "intervals over groups, never over windows"


def _of_places(windows: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Where and when nobody labelled."""
    scenes = [parse_soundscape(name) for name in soundscape_sounds.name]
    sites = sorted({scene.site for scene in scenes} - set(windows.site))
    hours = sorted({scene.hour for scene in scenes} - set(windows.hour))
    if sites:
        evidence = f"{', '.join(sites)}: soundscapes, and no label"
        yield "sites without labels", evidence, "judge on the shadow split; pseudo-labels reach these sites"
    if hours:
        evidence = f"no label at {', '.join(f'{hour:02d}' for hour in hours)} h UTC, where there are soundscapes"
        yield "hours without labels", evidence, "a prior over hours must fall back to all hours there"


def _of_clips(prepared: Prepared) -> Iterator[tuple[str, str, str]]:
    """What the clips are not."""
    clips = prepared.clips
    counts = clips.primary_label.value_counts().reindex(list(prepared.classes.labels), fill_value=0)
    authors = clips.author[clips.author != ""].value_counts() / len(clips)
    short, unrated = (clips.seconds < WINDOW_S).mean(), (clips.rating == 0).mean()
    if (counts < _RARE).any():
        few = ((counts > 0) & (counts < _RARE)).sum()
        evidence = f"{(counts == 0).sum()} classes have no clip, {few} have 1 to {_RARE - 1}"
        yield "a long tail", evidence, "soundscapes and priors teach these; watch them class by class"
    if authors.max() > _MANY:
        evidence = f"{authors.idxmax()} made {authors.max():.0%} of the clips"
        yield "one author's recorder", evidence, "clips of an author share a fold"
    if short > _MANY:
        yield "clips shorter than a window", f"{short:.0%} of the clips", "repeated, never padded with silence"
    if unrated > _MANY:
        yield "clips without a rating", f"{unrated:.0%} of the clips", "0 is read as unknown, not as poor"


def _of_sounds(clip_sounds: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """How far clips are from what will be tested."""
    clip_db, soundscape_db = (t.snr_db[t.problem == ""].median() for t in (clip_sounds, soundscape_sounds))
    if abs(clip_db - soundscape_db) > _SHIFT_DB:
        evidence = f"loud over quiet frames: {clip_db:.0f} dB in clips, {soundscape_db:.0f} dB in soundscapes (medians)"
        yield "clips are not soundscapes", evidence, "judge on soundscapes; lay clips over real backgrounds"


def _of_qa(qa: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """What the QA table found."""
    pairs, mirrored = related_pairs(qa), (qa.check == "mirrored classes").sum()
    if pairs:
        evidence = f"{len(pairs)} pairs of one recording, in {int(cluster_sizes(pairs).sum())} clusters"
        yield "copies across folds", evidence, "copies of one recording share a fold"
    if mirrored:
        evidence = f"{mirrored} labelled in just the same windows as another"
        yield "classes without a difference", evidence, "they weigh twice in the mean: report them once too"
