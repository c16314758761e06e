"""The risk list: risks shown by the numbers of this data set, each with its evidence and mitigation."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lib.competition.prepared import Prepared
from lib.competition.qa import cluster_sizes, related_pairs
from lib.competition.row_ids import WINDOW_S, parse_soundscape

_DOMINANT, _MANY, _FEW_DAYS, _RARE, _SHIFT_DB = 0.25, 0.1, 60, 5, 3.0


def risks(prepared: Prepared, clip_sounds: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> pd.DataFrame:
    """One row a risk that this data shows: risk, evidence, mitigation."""
    rows = [
        *_of_labels(prepared),
        *_of_sites(prepared.windows, soundscape_sounds),
        *_of_clips(prepared),
        *_of_sounds(clip_sounds, soundscape_sounds),
        *_of_qa(prepared.qa),
    ]
    return pd.DataFrame(rows, columns=["risk", "evidence", "mitigation"])


def _of_labels(prepared: Prepared) -> Iterator[tuple[str, str, str]]:
    """Risks of the labelled windows: few, uneven, and not all classes."""
    labels, windows = prepared.labels, prepared.windows
    folds_with = np.sum([labels.values[labels.strata == fold].any(axis=0) for fold in prepared.folds.numbers], axis=0)
    present, absent, once = (folds_with > 0).sum(), (folds_with == 0).sum(), (folds_with == 1).sum()
    shares = windows.site.value_counts(normalize=True)
    days = windows.group.nunique()
    if shares.iloc[0] > _DOMINANT:
        evidence = f"{shares.index[0]} has {shares.iloc[0]:.0%} of the labelled windows"
        yield "one site dominates", evidence, "score with and without it; keep a shadow split of whole sites"
    if absent:
        evidence = f"{absent} of {len(folds_with)} classes are in no labelled window"
        yield "classes that cannot be evaluated", evidence, "no offline score covers them: state it with each score"
    if once:
        evidence = f"{once} of {present} classes with labelled windows are in one fold only"
        yield "classes evaluated by one fold", evidence, "state the class set with each score"
    if days < _FEW_DAYS:
        evidence = f"{len(windows)} labelled windows come from {days} recording groups (site and day)"
        yield "few recordings", evidence, "intervals over groups, never over windows"


def _of_sites(windows: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Risks of sites and hours without labels."""
    scenes = [parse_soundscape(name) for name in soundscape_sounds.name]
    sites = sorted({scene.site for scene in scenes} - set(windows.site))
    hours = sorted({scene.hour for scene in scenes} - set(windows.hour))
    if sites:
        evidence = f"{', '.join(sites)}: soundscapes, and no label"
        yield "sites without labels", evidence, "evaluate on the shadow split; pseudo-labels reach these sites"
    if hours:
        evidence = f"no label at {', '.join(f'{hour:02d}' for hour in hours)} h UTC, where there are soundscapes"
        yield "hours without labels", evidence, "a prior over hours must fall back to all hours there"


def _of_clips(prepared: Prepared) -> Iterator[tuple[str, str, str]]:
    """Risks of the clips: rare classes, one author, short or unrated clips."""
    clips = prepared.clips
    counts = clips.primary_label.value_counts().reindex(list(prepared.classes.labels), fill_value=0)
    authors = clips.author[clips.author != ""].value_counts() / len(clips)
    short, unrated = (clips.seconds < WINDOW_S).mean(), (clips.rating == 0).mean()
    if (counts < _RARE).any():
        few = ((counts > 0) & (counts < _RARE)).sum()
        evidence = f"{(counts == 0).sum()} classes have no clip, {few} have 1 to {_RARE - 1}"
        yield "a long tail", evidence, "these classes depend on soundscapes and priors; watch them class by class"
    if authors.max() > _MANY:
        evidence = f"{authors.idxmax()} made {authors.max():.0%} of the clips"
        yield "one author's recorder", evidence, "clips of an author share a fold"
    if short > _MANY:
        yield "clips shorter than a window", f"{short:.0%} of the clips", "repeated, never padded with silence"
    if unrated > _MANY:
        yield "clips without a rating", f"{unrated:.0%} of the clips", "0 is read as unknown, not as poor"


def _of_sounds(clip_sounds: pd.DataFrame, soundscape_sounds: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """The domain shift from clips to soundscapes."""
    clip_db, soundscape_db = (t.snr_db[t.problem == ""].median() for t in (clip_sounds, soundscape_sounds))
    if abs(clip_db - soundscape_db) > _SHIFT_DB:
        evidence = f"loud over quiet frames: {clip_db:.0f} dB in clips, {soundscape_db:.0f} dB in soundscapes (medians)"
        yield "clips are not soundscapes", evidence, "evaluate on soundscapes; mix clips with real backgrounds"


def _of_qa(qa: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Risks found by the QA table: copies and mirrored classes."""
    pairs, mirrored = related_pairs(qa), (qa.check == "mirrored classes").sum()
    if pairs:
        evidence = f"{len(pairs)} pairs of one recording, in {int(cluster_sizes(pairs).sum())} clusters"
        yield "copies across folds", evidence, "copies of one recording share a fold"
    if mirrored:
        evidence = f"{mirrored} labelled in exactly the same windows as another"
        yield "mirrored classes", evidence, "they count twice in the mean: report them once too"
