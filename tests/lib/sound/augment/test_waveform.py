"""Each change of sound does what its settings say, to the decibel, and the same whatever the number of threads."""

from dataclasses import replace

import pytest
import torch

from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput
from lib.sound.augment.settings import AugmentSettings
from lib.sound.augment.waveform import (
    AUGMENTATIONS,
    PAIR_AUGMENTATIONS,
    add_background,
    add_noise,
    apply_gain,
    apply_random_filter,
    apply_to_some,
    mixup,
    mixup_targets,
    roll,
)

SETTINGS = AugmentSettings()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def audio():
    return 0.1 * torch.randn(6, SAMPLE_RATE, generator=seeded(9))


def level_db(sound):
    return 10 * sound.double().square().mean(dim=1).log10()


def test_a_roll_keeps_every_sample_in_its_cyclic_order():
    audio = torch.arange(50.0).repeat(4, 1)
    out = roll(audio, seeded(), SETTINGS)
    firsts = out[:, 0].long().tolist()
    assert len(set(firsts)) > 1
    for row, first in zip(out, firsts, strict=True):
        assert row.tolist() == [(first + step) % 50 for step in range(50)]


@pytest.mark.parametrize("snr_db", [3.0, 17.5, 30.0])
def test_noise_has_the_signal_to_noise_ratio_of_the_settings(audio, snr_db):
    settings = replace(SETTINGS, noise_snr_min_db=snr_db, noise_snr_max_db=snr_db)
    added = add_noise(audio, seeded(), settings) - audio
    assert (level_db(audio) - level_db(added) - snr_db).abs().max() < 0.1


def test_the_ratios_of_rows_differ_and_stay_in_their_range(audio):
    added = add_noise(audio, seeded(), SETTINGS) - audio
    snr_db = level_db(audio) - level_db(added)
    assert snr_db.min() >= 2.9
    assert snr_db.max() <= 30.1
    assert snr_db.std() > 1


@pytest.mark.parametrize("snr_db", [3.0, 20.0])
def test_a_background_has_the_signal_to_noise_ratio_of_the_settings(audio, snr_db):
    background = torch.randn(audio.shape, generator=seeded(1)) * torch.logspace(-3, 1, 6)[:, None]
    settings = replace(SETTINGS, background_snr_min_db=snr_db, background_snr_max_db=snr_db)
    added = add_background(audio, background, seeded(), settings) - audio
    assert (level_db(audio) - level_db(added) - snr_db).abs().max() < 0.1
    cosine = torch.nn.functional.cosine_similarity(added, background)
    assert cosine.min() > 0.999


def test_silence_stays_silent_and_a_silent_background_changes_nothing(audio):
    nothing = torch.zeros_like(audio)
    assert add_background(nothing, audio, seeded(), SETTINGS).abs().max() == 0
    assert add_noise(nothing, seeded(), SETTINGS).abs().max() == 0
    assert torch.equal(add_background(audio, nothing, seeded(), SETTINGS), audio)


def test_the_colour_of_noise_falls_by_three_decibels_an_octave_and_unit_of_decay():
    audio = torch.ones(8, 8 * SAMPLE_RATE)
    settings = replace(SETTINGS, noise_decay_max=2.0)
    added = add_noise(audio, seeded(3), settings) - audio
    power = torch.fft.rfft(added.double()).abs().square()
    hz = torch.fft.rfftfreq(added.shape[1], 1 / SAMPLE_RATE)
    bands = [power[:, (hz >= low) & (hz < 2 * low)].mean(dim=1) for low in (200, 400, 800, 1600, 3200)]
    slope_db = 10 * torch.stack(bands).log10().diff(dim=0).mean(dim=0)
    decay = 4 * torch.rand(8, generator=seeded(3)) - 2
    assert decay.min() < -0.5
    assert decay.max() > 0.5
    assert (slope_db + 3.01 * decay).abs().max() < 0.3


def test_a_gain_is_one_factor_a_row_within_the_settings(audio):
    factors = apply_gain(audio, seeded(), replace(SETTINGS, gain_db=6.0)) / audio
    assert factors.std(dim=1).max() < 1e-4
    gain_db = 20 * factors.mean(dim=1).log10()
    assert gain_db.abs().max() <= 6.001
    assert gain_db.std() > 0.5


def test_a_filter_is_straight_lines_in_decibels_between_evenly_spaced_edges():
    click = torch.zeros(3, SAMPLE_RATE)
    click[:, SAMPLE_RATE // 2] = 1.0
    settings = replace(SETTINGS, filter_bands=2, filter_db=9.0)
    gain_db = 20 * torch.fft.rfft(apply_random_filter(click, seeded(), settings)).abs().log10()
    edges = 9.0 * (2 * torch.rand(3, 3, generator=seeded()) - 1)
    middle_hz = 50 * (16000 / 50) ** 0.5  # halfway on the logarithm of frequency
    for row in range(3):
        assert gain_db[row, 10] == pytest.approx(edges[row, 0].item(), abs=0.01)
        assert gain_db[row, 50] == pytest.approx(edges[row, 0].item(), abs=0.01)
        assert gain_db[row, round(middle_hz)] == pytest.approx(edges[row, 1].item(), abs=0.02)
        quarter = gain_db[row, round((50 * middle_hz) ** 0.5)]
        assert quarter == pytest.approx(edges[row, :2].mean().item(), abs=0.02)
        assert gain_db[row, 16000] == pytest.approx(edges[row, 2].item(), abs=0.02)


def test_a_mixture_is_a_share_of_one_and_the_rest_of_the_other():
    one, other = torch.ones(4000, 2), torch.tensor([[0.0, 3.0]]).repeat(4000, 1)
    out = mixup(one, other, seeded(), replace(SETTINGS, mixup_beta=0.4))
    share = out[:, 0]
    torch.testing.assert_close(out[:, 1], share + 3 * (1 - share))
    assert share.mean() == pytest.approx(0.5, abs=0.03)
    assert share.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)  # of Beta(a, a)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1, 1), (0, 1), (1, 1)),  # present in either: present
        ((0, 1), (1, 1), (1, 1)),
        ((0, 1), (0, 1), (0, 1)),  # absent from both: absent
        ((0, 1), (0, 0), (0, 0)),  # unknown in one: unknown
        ((1, 1), (0, 0), (1, 1)),  # but what is known to be there is there
        ((1, 0), (0, 1), (1, 0)),  # perhaps there, as a masked secondary: unknown
        ((1, 0), (1, 1), (1, 1)),
        ((0, 0.3), (0, 1), (0, 0.3)),  # the less sure absence
        ((0.3, 1), (0, 0.1), (0.3, 1)),  # a soft target is a presence
        ((0.3, 1), (1, 1), (1, 1)),
        ((1, 0), (0.3, 1), (0.3, 1)),  # what is only perhaps there raises no target
    ],
)
def test_labels_of_a_mixture_are_the_hard_union_of_what_is_known(one, other, expected):
    cells = [torch.tensor([[float(value)]]) for value in (*one, *other)]
    targets, weights = mixup_targets(*cells)
    assert (targets.item(), weights.item()) == pytest.approx(expected)


def test_a_probability_of_nought_changes_no_row_and_of_one_every_row(audio):
    assert apply_to_some(audio, 0.0, apply_gain, seeded(), SETTINGS) is audio
    assert (apply_to_some(audio, 1.0, apply_gain, seeded(), SETTINGS) != audio).any(dim=1).all()


def test_a_probability_changes_its_share_of_rows_and_leaves_the_others_as_they_were():
    audio = torch.ones(4000, 4)
    changed = (apply_to_some(audio, 0.3, apply_gain, seeded(), SETTINGS) != audio).any(dim=1)
    assert changed.float().mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("name", [*AUGMENTATIONS, *PAIR_AUGMENTATIONS])
def test_a_change_is_the_same_for_a_seed_whatever_the_threads_and_another_for_another(name, audio):
    def out(seed, threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            if name in PAIR_AUGMENTATIONS:
                return PAIR_AUGMENTATIONS[name](audio, audio.flip(0), seeded(seed), SETTINGS)
            return AUGMENTATIONS[name](audio, seeded(seed), SETTINGS)
        finally:
            torch.set_num_threads(before)

    assert torch.equal(out(1, 1), out(1, 2))
    assert not torch.equal(out(1, 1), out(2, 1))
    assert torch.isfinite(out(1, 1)).all()


@pytest.mark.parametrize(
    "wrong", [{"roll_p": 1.5}, {"noise_snr_min_db": 40.0}, {"mixup_beta": 0.0}, {"frequency_masks": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput, match="augmentation settings"):
        AugmentSettings(**wrong)
