"""The linear probe finds planted signals, leaves out what is not labelled, and zero-shot repeats the embedder."""

from dataclasses import replace

import numpy as np
import pytest

from lib.learn.head.data import ClipEmbeddings
from lib.learn.head.linear import LinearHeadSettings, ZeroShotSettings, fit_linear_head, fit_zero_shot
from tests.support.plantedsignals import CALL, ECHO, FLAT, auc_of, planted_data, soundscapes

SETTINGS = LinearHeadSettings()


@pytest.fixture(scope="module")
def data():
    return planted_data()


def test_it_finds_audible_classes_with_or_without_logits_and_nothing_else(data):
    others = soundscapes(40, seed=7)
    head = fit_linear_head(data, SETTINGS, seed=0)
    assert auc_of(head, others, CALL) > 0.9
    assert auc_of(head, others, FLAT) > 0.9
    assert abs(auc_of(head, others, ECHO) - 0.5) < 0.1
    signal = fit_linear_head(data, LinearHeadSettings(("block:signal",)), seed=0)
    assert auc_of(signal, others, FLAT) > 0.9
    noise = fit_linear_head(data, LinearHeadSettings(("block:noise",)), seed=0)
    assert abs(auc_of(noise, others, FLAT) - 0.5) < 0.1


def test_an_unlabelled_window_changes_nothing(data):
    unknown = ~data.sequences.known
    embeddings = {
        name: np.where(unknown[..., None], np.float32(9), values) for name, values in data.sequences.embeddings.items()
    }
    spoilt = replace(data.sequences, embeddings=embeddings)
    heads = [fit_linear_head(part, SETTINGS, seed=0) for part in (data, replace(data, sequences=spoilt))]
    np.testing.assert_array_equal(*(head.logits(data.sequences) for head in heads))


def test_cells_of_weight_zero_change_nothing_and_the_others_do(data):
    clips = data.clips
    turned = ClipEmbeddings(clips.names, clips.embeddings, ~clips.truth, 0 * clips.cells, clips.clip_of_row)
    silent = ClipEmbeddings(clips.names, clips.embeddings, clips.truth, 0 * clips.cells, clips.clip_of_row)
    logits = [
        fit_linear_head(replace(data, clips=part), SETTINGS, seed=0).logits(data.sequences)
        for part in (clips, silent, turned)
    ]
    np.testing.assert_array_equal(logits[1], logits[2])
    assert np.abs(logits[0] - logits[1]).max() > 0.02


def test_clips_weigh_as_much_as_the_settings_say(data):
    """Every clip twice is every clip once with twice the weight."""
    twice = {name: np.concatenate([values, values]) for name, values in data.clips.embeddings.items()}
    rows = np.concatenate([data.clips.clip_of_row] * 2)
    doubled = ClipEmbeddings(
        data.clips.names, twice, np.tile(data.clips.truth, (2, 1)), np.tile(data.clips.cells, (2, 1)), rows
    )
    half = np.arange(len(rows)) < len(data.clips)
    once = replace(doubled, cells=2 * doubled.cells * half[:, None])
    logits = [
        fit_linear_head(replace(data, clips=of), LinearHeadSettings(clip_weight=weight), seed=0)
        for of, weight in ((doubled, 0.4), (once, 0.4), (doubled, 0.8))
    ]
    logits = [head.logits(data.sequences) for head in logits]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-3)
    assert np.abs(logits[0] - logits[2]).max() > 0.05


def test_zero_shot_repeats_the_embedder(data):
    head = fit_zero_shot(data, ZeroShotSettings(), seed=0)
    np.testing.assert_array_equal(head.logits(data.sequences), data.sequences.embeddings["logits"])
