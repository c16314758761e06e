"""Examples of augmentations, activity over time, and precisions measured on what the fold holds out."""

import shutil
from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import SAMPLE_RATE
from lib.learn.network import gallery as network_views
from lib.learn.network.gallery import (
    activity_over_time,
    compare_precisions,
    loudest_crop,
    spectrogram_examples,
    waveform_examples,
)
from lib.models.export.parity import torch_runner
from lib.models.export.quantize import require_rank_agreement
from lib.sound.augment.settings import AugmentSettings
from lib.sound.augment.waveform import AUGMENTATIONS, PAIR_AUGMENTATIONS
from lib.sound.crops import CropSettings
from lib.sound.decode import ogg_bytes
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms
from tests.support.tinyplan import TINY_PLAN, fit

RNG = np.random.default_rng(3)
SOUND, OTHER = (RNG.normal(size=SAMPLE_RATE).astype(np.float32) for _ in range(2))


def test_every_change_of_sound_is_shown_once_with_a_sound_of_the_same_length():
    before = SOUND.copy()
    after = waveform_examples(SOUND, OTHER, AugmentSettings(), seed=1)
    assert set(after) == {*AUGMENTATIONS, *PAIR_AUGMENTATIONS}
    for name, sound in after.items():
        assert sound.shape == SOUND.shape
        assert not np.array_equal(sound, SOUND), name
    assert np.array_equal(SOUND, before)
    repeated = waveform_examples(SOUND, OTHER, AugmentSettings(), seed=1)
    assert all(np.array_equal(after[name], repeated[name]) for name in after)


def test_a_roll_is_no_more_than_a_roll_and_mixup_is_of_both():
    after = waveform_examples(SOUND, OTHER, AugmentSettings(), seed=1)
    np.testing.assert_array_equal(np.sort(after["roll"]), np.sort(SOUND))
    share = np.linalg.lstsq(np.stack([SOUND, OTHER], axis=1), after["mixup"], rcond=None)[0]
    np.testing.assert_allclose(share.sum(), 1, atol=1e-4)


def test_masks_wipe_a_stretch_of_the_spectrogram_and_leave_the_rest():
    front_end = FrontEnd(n_fft=1024, n_mels=32, normalise="zscore")
    shown = spectrogram_examples(SOUND, front_end, AugmentSettings(), seed=1)
    plain = spectrograms(SOUND[None], front_end)[0]
    assert list(shown) == ["as it is", "frequency mask", "time mask"]
    np.testing.assert_array_equal(shown["as it is"], plain)
    for name, axis in (("frequency mask", 1), ("time mask", 0)):
        changed = (shown[name] != plain).any(axis=axis)
        assert 0 < changed.sum() < len(changed)


def test_the_loudest_crop_is_where_the_sound_is(tmp_path):
    audio = np.zeros(12 * SAMPLE_RATE, dtype=np.float32)
    audio[8 * SAMPLE_RATE : 9 * SAMPLE_RATE] = np.sin(np.arange(SAMPLE_RATE) / 5)
    (tmp_path / "clip.ogg").write_bytes(ogg_bytes(audio))
    crop = loudest_crop(tmp_path / "clip.ogg", CropSettings(seconds=5, kind="random"))
    assert crop.shape == (5 * SAMPLE_RATE,)
    assert np.square(crop).sum() > 0.2 * SAMPLE_RATE * 0.25


@pytest.fixture(scope="module")
def folder(network_member, tmp_path_factory):
    """A copy of the network member, with its training beside."""
    copy = shutil.copytree(network_member.parents[1], tmp_path_factory.mktemp("gallery") / "networks")
    return copy / "members" / network_member.name


@pytest.fixture(scope="module")
def fitted(folder, prepared_folder, public):
    """The training that left the network member; it is finished, so nothing is trained again."""
    return fit(TINY_PLAN, folder.name, prepared_folder, public, folder.parents[1])


def test_activity_over_time_is_that_of_the_fold_that_holds_the_soundscape_out(fitted, prepared_folder):
    prepared = load_prepared(prepared_folder)
    stem = prepared.windows.stem.iloc[0]
    mel, probabilities = activity_over_time(fitted.run, stem)
    seen = fitted.run.spectrograms([stem])
    fold = prepared.folds.of("soundscape")[stem]
    _, logits = torch_runner(fitted.run.network(fold))(seen)
    assert mel.shape == (32, 12 * seen.shape[3])
    assert probabilities.shape == (len(prepared.classes), 12 * logits.shape[2])
    np.testing.assert_array_equal(mel[:, seen.shape[3] : 2 * seen.shape[3]], seen[1, 0])
    np.testing.assert_allclose(probabilities[:, : logits.shape[2]], expit(logits[0]), rtol=1e-6)


def test_precisions_are_a_row_each_with_a_verdict_and_leave_the_member_alone(fitted, folder, monkeypatch):
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    table = compare_precisions(fitted.run)
    assert list(table.index) == ["float32", "float16", "int8"]
    assert table.loc["float32", ["rank_p5", "max_abs", "verdict"]].tolist() == [1.0, 0.0, "agrees"]
    assert table.megabytes["float16"] < table.megabytes["float32"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    monkeypatch.setattr(
        network_views, "require_rank_agreement", partial(require_rank_agreement, least_rank=1.1)
    )  # as if nothing were good enough
    assert compare_precisions(fitted.run).verdict.str.startswith("refused").all()
