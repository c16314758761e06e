"""Targets of an example are as labelled, unknown ones do not count, and nothing held out is among the examples."""

import numpy as np
import pytest

from lib.core.errors import BadInput
from lib.learn.network.dataset import clip_table, fold_examples, soundscape_stems, soundscape_table
from lib.learn.network.settings import TargetSettings
from tests.support.tinyexamples import (
    CLASSES,
    CLIPS,
    EXCLUDED,
    FREE,
    LABELLED,
    RELATED,
    SAME_DAY,
    STEMS,
    tiny_prepared,
    windows_of,
)

STEM = LABELLED[0]


def cells(source):
    """{start second: ("target/weight" a class)} of a source of one soundscape."""
    rows = zip(source.starts_s.tolist(), source.targets, source.weights, strict=True)
    return {start: [(int(t), int(w)) for t, w in zip(*row, strict=True)] for start, *row in rows}


def test_a_clips_primary_class_is_there_and_its_secondary_classes_are_as_the_settings_say():
    clips = tiny_prepared().clips.iloc[:2]
    masked = clip_table(clips, CLASSES, TargetSettings(absent_weight=0.5))
    assert masked.targets.tolist() == [[1, 1, 0], [1, 0, 0]]
    assert masked.weights.tolist() == [[1, 0, 0.5], [1, 0.5, 0.5]]
    soft = clip_table(clips, CLASSES, TargetSettings(secondary_target=0.25, secondary_weight=1.0))
    assert soft.targets.tolist() == [[1, 0.25, 0], [1, 0, 0]]
    assert soft.weights.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert soft.items == ("ant/0.ogg", "ant/1.ogg")
    assert soft.starts_s is None
    assert soft.targets.dtype == soft.weights.dtype == np.float32


def test_an_unlabelled_window_is_never_a_row_and_a_labelled_one_without_labels_is_an_absence():
    source = soundscape_table(windows_of({STEM: {10: ("ant",), 15: ()}}), CLASSES, 5)
    assert cells(source) == {5: [(1, 1), (0, 1), (0, 1)], 10: [(0, 1), (0, 1), (0, 1)]}


def test_a_longer_crop_has_the_labels_of_all_its_windows_and_absences_only_if_all_are_labelled():
    labels = {STEM: {5: ("ant",), 10: ("bee",), 15: (), 25: ("cow",), 60: ()}}
    found = cells(soundscape_table(windows_of(labels), CLASSES, 10))
    assert found == {
        0: [(1, 1), (1, 1), (0, 1)],
        5: [(0, 1), (1, 1), (0, 1)],
        15: [(0, 0), (0, 0), (1, 1)],  # 15 to 25: the window that ends at 20 is unlabelled
        20: [(0, 0), (0, 0), (1, 1)],
    }  # 10 and 50 see a labelled window without labels beside an unlabelled one: nothing is known


def test_a_crop_of_sixty_seconds_has_one_place():
    whole = {end: ("bee",) if end == 40 else () for end in range(5, 61, 5)}
    assert cells(soundscape_table(windows_of({STEM: whole}), CLASSES, 60)) == {0: [(0, 1), (1, 1), (0, 1)]}


@pytest.mark.parametrize("seconds", [7, 0, 65])
def test_crops_that_do_not_lie_on_windows_are_refused(seconds):
    with pytest.raises(BadInput, match="labelled soundscapes"):
        soundscape_table(windows_of({STEM: {5: ()}}), CLASSES, seconds)


def test_no_labelled_window_makes_an_empty_source():
    source = soundscape_table(windows_of({STEM: {5: ()}}).iloc[:0], CLASSES, 5)
    assert len(source) == 0
    assert source.targets.shape == source.weights.shape == (0, 3)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_examples_hold_all_that_the_fold_does_not_hold_out(fold):
    examples = fold_examples(tiny_prepared(), STEMS, fold, TargetSettings(), 5)
    assert set(examples.clips.items) == {name for number, (name, _) in enumerate(CLIPS) if number % 3 != fold}
    assert set(examples.soundscapes.items) == set(LABELLED) - {LABELLED[fold]}
    labels = [CLASSES.labels[number] for number in examples.primary]
    assert labels == [name.split("/")[0] for name in examples.clips.items]


def test_backgrounds_share_neither_day_nor_recording_with_what_is_held_out_and_have_no_labels():
    def backgrounds(fold):
        return set(fold_examples(tiny_prepared(), STEMS, fold, TargetSettings(), 5).backgrounds)

    assert backgrounds(0) == {RELATED, FREE}
    assert backgrounds(1) == {SAME_DAY, FREE}
    assert backgrounds(2) == backgrounds(None) == {SAME_DAY, RELATED, FREE}


def test_a_model_of_everything_holds_nothing_out():
    examples = fold_examples(tiny_prepared(), STEMS, None, TargetSettings(), 5)
    assert set(examples.items) == {*(name for name, _ in CLIPS), *STEMS} - {EXCLUDED}
    assert len(examples.items) == len(set(examples.items))


def test_stems_are_those_of_the_folder(tmp_path):
    (tmp_path / "train_soundscapes").mkdir()
    for stem in reversed(STEMS):
        (tmp_path / "train_soundscapes" / f"{stem}.ogg").touch()
    assert soundscape_stems(tmp_path) == sorted(STEMS)
