"""The linear probe finds what its tokens tell, leaves out what is not known, and zero-shot repeats the embedder."""

from dataclasses import replace

import numpy as np
import pytest

from lib.learn.head.data import ClipTokens
from lib.learn.head.linear import LinearHeadSettings, ZeroShotSettings, fit_linear_head, fit_zero_shot
from tests.support.plantedlesson import CALL, ECHO, FLAT, auc_of, lesson_of, soundscapes

SETTINGS = LinearHeadSettings()


@pytest.fixture(scope="module")
def lesson():
    return lesson_of()


def test_it_finds_what_can_be_heard_with_or_without_logits_and_nothing_else(lesson):
    unheard = soundscapes(40, seed=7)
    head = fit_linear_head(lesson, SETTINGS, seed=0)
    assert auc_of(head, unheard, CALL) > 0.9
    assert auc_of(head, unheard, FLAT) > 0.9
    assert abs(auc_of(head, unheard, ECHO) - 0.5) < 0.1
    loud = fit_linear_head(lesson, LinearHeadSettings(("block:loud",)), seed=0)
    assert auc_of(loud, unheard, FLAT) > 0.9
    deaf = fit_linear_head(lesson, LinearHeadSettings(("block:deaf",)), seed=0)
    assert abs(auc_of(deaf, unheard, FLAT) - 0.5) < 0.1


def test_an_unlabelled_window_teaches_nothing(lesson):
    unknown = ~lesson.sequences.known
    tokens = {
        name: np.where(unknown[..., None], np.float32(9), values) for name, values in lesson.sequences.tokens.items()
    }
    spoilt = replace(lesson.sequences, tokens=tokens)
    heads = [fit_linear_head(of, SETTINGS, seed=0) for of in (lesson, replace(lesson, sequences=spoilt))]
    np.testing.assert_array_equal(*(head.logits(lesson.sequences) for head in heads))


def test_a_cell_of_a_clip_that_does_not_count_teaches_nothing_and_the_others_do(lesson):
    clips = lesson.clips
    turned = ClipTokens(clips.names, clips.tokens, ~clips.truth, 0 * clips.cells, clips.clip_of_row)
    silent = ClipTokens(clips.names, clips.tokens, clips.truth, 0 * clips.cells, clips.clip_of_row)
    said = [
        fit_linear_head(replace(lesson, clips=of), SETTINGS, seed=0).logits(lesson.sequences)
        for of in (clips, silent, turned)
    ]
    np.testing.assert_array_equal(said[1], said[2])
    assert np.abs(said[0] - said[1]).max() > 0.02


def test_clips_weigh_as_much_as_the_settings_say(lesson):
    """Every clip twice is every clip once with twice the weight."""
    twice = {name: np.concatenate([values, values]) for name, values in lesson.clips.tokens.items()}
    rows = np.concatenate([lesson.clips.clip_of_row] * 2)
    doubled = ClipTokens(
        lesson.clips.names, twice, np.tile(lesson.clips.truth, (2, 1)), np.tile(lesson.clips.cells, (2, 1)), rows
    )
    half = np.arange(len(rows)) < len(lesson.clips)
    once = replace(doubled, cells=2 * doubled.cells * half[:, None])
    said = [
        fit_linear_head(replace(lesson, clips=of), LinearHeadSettings(clip_weight=weight), seed=0)
        for of, weight in ((doubled, 0.4), (once, 0.4), (doubled, 0.8))
    ]
    said = [head.logits(lesson.sequences) for head in said]
    np.testing.assert_allclose(said[0], said[1], atol=1e-3)
    assert np.abs(said[0] - said[2]).max() > 0.05


def test_zero_shot_repeats_the_embedder(lesson):
    head = fit_zero_shot(lesson, ZeroShotSettings(), seed=0)
    np.testing.assert_array_equal(head.logits(lesson.sequences), lesson.sequences.tokens["logits"])
