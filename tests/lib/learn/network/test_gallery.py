"""The gallery's examples: each change by itself, the same for the same seed, the example itself left alone."""

import numpy as np

from lib.competition.row_ids import SAMPLE_RATE
from lib.learn.network.gallery import loudest_crop, spectrogram_examples, waveform_examples
from lib.sound.augment.waveform import AUGMENTATIONS, PAIR_AUGMENTATIONS, AugmentSettings
from lib.sound.crops import CropSettings
from lib.sound.decode import ogg_bytes
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms

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
    again = waveform_examples(SOUND, OTHER, AugmentSettings(), seed=1)
    assert all(np.array_equal(after[name], again[name]) for name in after)


def test_a_roll_is_no_more_than_a_roll_and_mixup_is_of_both():
    after = waveform_examples(SOUND, OTHER, AugmentSettings(), seed=1)
    np.testing.assert_array_equal(np.sort(after["roll"]), np.sort(SOUND))
    share = np.linalg.lstsq(np.stack([SOUND, OTHER], axis=1), after["mixup"], rcond=None)[0]
    np.testing.assert_allclose(share.sum(), 1, atol=1e-4)


def test_masks_wipe_a_stretch_of_the_picture_and_leave_the_rest():
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
