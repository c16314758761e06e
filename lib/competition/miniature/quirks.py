"""The list of all planted quirks, by name, so that a test can find each and a reader can inspect it."""

from collections import Counter

import pandas as pd

from lib.competition.miniature.cast import Species
from lib.competition.miniature.clips import FAULTS, UNKNOWN_LABELS, Clip
from lib.competition.miniature.plan import Scene
from lib.competition.miniature.sites import LABELLED_SITES, NOISY_SITE, TEST_SITES
from lib.competition.miniature.tables import DOMINANT_AUTHOR
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES

_SHORT_CLIP_S = 5.0


def quirk_table(
    cast: list[Species],
    clips: list[Clip],
    train: pd.DataFrame,
    scenes: list[Scene],
    partial: dict[str, list[int]],
    corrupt_test: list[str],
) -> dict[str, list[str]]:
    """Quirk name → the files, labels, sites or tables that show it."""
    return {
        **_label_quirks(cast, clips),
        **_clip_quirks(clips),
        **_table_quirks(train),
        **_soundscape_quirks(scenes, partial, corrupt_test),
    }


def _label_quirks(cast: list[Species], clips: list[Clip]) -> dict[str, list[str]]:
    counts = Counter(clip.label for clip in clips)
    leaders = sorted({species.mirror_of for species in cast if species.mirror_of})
    return {
        "numeric_label": [species.label for species in cast if species.label.isdigit()],
        "numeric_looking_label": [species.label for species in cast if species.label == "y00678"],
        "sonotype": [species.label for species in cast if "son" in species.taxon.scientific_name],
        "mirrored_sonotypes": [
            "=".join([leader, *(species.label for species in cast if species.mirror_of == leader)])
            for leader in leaders
        ],
        "label_without_clips": [species.label for species in cast if not species.focal],
        "single_clip_label": [label for label, count in counts.items() if count == 1],
        "label_absent_from_test": [species.label for species in cast if not species.in_test],
    }


def _clip_quirks(clips: list[Clip]) -> dict[str, list[str]]:
    sound = [clip for clip in clips if not clip.fault]
    return {
        **{fault: [clip.filename for clip in clips if clip.fault == fault] for fault in FAULTS},
        "stereo_clip": [clip.filename for clip in sound if clip.channels == 2],
        "clip_44100": [clip.filename for clip in sound if clip.sample_rate == 44_100],
        "clip_48000": [clip.filename for clip in sound if clip.sample_rate == 48_000],
        "short_clip": [clip.filename for clip in sound if clip.seconds < _SHORT_CLIP_S],
        "unknown_secondary_label": [clip.filename for clip in clips if set(clip.secondary) & set(UNKNOWN_LABELS)],
        "silent_secondary_label": [
            clip.filename for clip in clips if set(clip.secondary) - set(clip.background) - set(UNKNOWN_LABELS)
        ],
    }


def _table_quirks(train: pd.DataFrame) -> dict[str, list[str]]:
    return {
        "empty_type_list": train.loc[train["type"] == "[]", "filename"].tolist(),
        "empty_type_text": train.loc[train["type"] == "['']", "filename"].tolist(),
        "dominant_author": [DOMINANT_AUTHOR],
        "duplicated_label_rows": ["train_soundscapes_labels.csv"],
    }


def _soundscape_quirks(
    scenes: list[Scene], partial: dict[str, list[int]], corrupt_test: list[str]
) -> dict[str, list[str]]:
    stems = {role: [s.recording.stem for s in scenes if s.recording.role == role] for role in ("labelled", "test")}
    samples = {scene.recording.stem: scene.recording.samples for scene in scenes}
    moments = Counter(stem.split("_", 3)[3] for stem in stems["labelled"])
    unlabelled_sites = {scene.recording.site for scene in scenes if scene.recording.role == "unlabelled"}
    found = {
        "partly_labelled_soundscape": list(partial),
        "same_site_and_second_soundscape": [s for s in stems["labelled"] if moments[s.split("_", 3)[3]] >= 3],
        "long_labelled_soundscape": [s for s in stems["labelled"] if samples[s] > SOUNDSCAPE_SAMPLES],
        "long_test_soundscape": [s for s in stems["test"] if samples[s] > SOUNDSCAPE_SAMPLES],
        "short_test_soundscape": [s for s in stems["test"] if samples[s] <= SOUNDSCAPE_SAMPLES - SAMPLE_RATE // 10],
        "corrupt_test_soundscape": corrupt_test,
    }
    return {
        **{name: [f"{stem}.ogg" for stem in found_stems] for name, found_stems in found.items()},
        "noisy_site": [NOISY_SITE],
        "test_site_with_labels": [site for site in TEST_SITES if site in LABELLED_SITES],
        "test_site_without_labels": [site for site in TEST_SITES if site in unlabelled_sites - set(LABELLED_SITES)],
        "test_site_never_seen": [site for site in TEST_SITES if site not in unlabelled_sites | set(LABELLED_SITES)],
    }
