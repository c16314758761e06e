"""The QA table of a miniature with planted copies: each is found, the table's actions are taken, clean data stays."""

import json
import shutil

import pytest
import soundfile

from lib.competition.classes import read_class_list
from lib.competition.folds import make_folds
from lib.competition.qa import drop_excluded, excluded_items, pairs_across_folds, related_pairs
from lib.competition.row_ids import SAMPLE_RATE
from lib.competition.tables import Findings, read_clips, read_taxonomy, read_windows
from lib.sound.quality.report import audit, sound_loader
from lib.sound.quality.scan import take_inventory


def audited(competition):
    """The clips, the windows and the QA table of a competition folder."""
    findings, classes = Findings(), read_class_list(competition)
    clips, windows = read_clips(competition, classes, findings), read_windows(competition, classes, findings)
    soundscapes = sorted(path.name for path in (competition / "train_soundscapes").glob("*.ogg"))
    clip_sounds = take_inventory(competition / "train_audio", clips.filename.tolist(), "clips")
    soundscape_sounds = take_inventory(competition / "train_soundscapes", soundscapes, "soundscapes")
    taxonomy = read_taxonomy(competition, classes, findings)
    return clips, windows, audit(competition, classes, taxonomy, clips, windows, clip_sounds, soundscape_sounds)


@pytest.fixture(scope="module")
def clean(public):
    return audited(public)


@pytest.fixture(scope="module")
def planted(public, clean, tmp_path_factory):
    """The miniature where one clip is another's bytes, one a trimmed copy, and two days share a soundscape's sound."""
    copy = shutil.copytree(public, tmp_path_factory.mktemp("planted") / "birdclef-2026")
    clips, windows, qa = clean
    usable = clips[~clips.filename.isin(excluded_items(qa, "clip"))]
    one, other, third, fourth = usable[usable.primary_label == usable.primary_label.mode()[0]].filename[:4]
    shutil.copy(copy / "train_audio" / one, copy / "train_audio" / other)
    sound = sound_loader(public)
    soundfile.write(copy / "train_audio" / fourth, 0.5 * sound(third)[5000:-5000], SAMPLE_RATE, format="OGG")
    day = windows.drop_duplicates("group").stem.tolist()[:2]
    again = sound(day[0])[: 50 * SAMPLE_RATE]
    path = copy / "train_soundscapes" / f"{day[1]}.ogg"
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, format="OGG", subtype="VORBIS") as out:
        for start in range(0, len(again), 8_000):  # libsndfile's Vorbis encoder keeps a whole write on its stack
            out.write(again[start : start + 8_000])
    return copy, {"bytes": (one, other), "trimmed": (third, fourth), "days": tuple(day)}


def test_in_clean_data_only_what_cannot_be_read_is_excluded_and_nothing_is_a_copy(clean, mini):
    _, _, qa = clean
    quirks = json.loads((mini / "miniature.json").read_text())["quirks"]
    faults = ("zero_sample_clip", "zero_byte_clip", "corrupt_clip", "silent_clip")
    assert excluded_items(qa, "clip") == {name for fault in faults for name in quirks[fault]}
    assert excluded_items(qa, "soundscape") == set()
    assert related_pairs(qa) == []
    assert not qa.check.str.contains("copy|join|label map|poor").any()


def test_planted_copies_are_found_and_end_in_one_fold(planted):
    competition, names = planted
    clips, windows, qa = audited(competition)
    assert excluded_items(qa, "clip") >= {names["bytes"][1]}
    assert {frozenset(pair) for pair in related_pairs(qa)} == {frozenset(names["trimmed"]), frozenset(names["days"])}
    clips, windows = drop_excluded(clips, windows, qa, Findings())
    assert names["bytes"][1] not in set(clips.filename)
    folds = make_folds(clips, windows, read_class_list(competition), n_folds=3, seed=0, related=related_pairs(qa))
    assert pairs_across_folds(related_pairs(qa), folds.of("clip") | folds.of("soundscape")) == []
    assert set(names["days"]) <= set(folds.of("soundscape"))


def test_a_sound_is_found_by_file_name_or_by_stem(public, clean):
    clips, windows, _ = clean
    sound = sound_loader(public)
    assert len(sound(windows.stem[0])) >= 59 * SAMPLE_RATE
    assert sound(clips.filename[0]) is sound(clips.filename[0])
