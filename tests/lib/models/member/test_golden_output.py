"""The golden sound reveals every setting, and outputs that moved are refused."""

import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES
from lib.core.errors import BadInput
from lib.models.member.golden_output import GOLDEN_LIMIT, check_golden_output, golden_sound, write_golden_output
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import file_peak_db, spectrograms

KEPT = np.full((3, 12, 4), 0.02)


def moved(log_odds, kept=KEPT):
    """The probabilities with one cell of one fold's moved by so much."""
    new = kept.copy()
    odds = new[1, 7, 2] / (1 - new[1, 7, 2]) * np.exp(log_odds)
    new[1, 7, 2] = odds / (1 + odds)
    return new


def check(folder, today, kept=KEPT):
    write_golden_output(folder, kept)
    return check_golden_output(folder, lambda sound: today)


def test_the_sound_is_the_same_each_time_too_short_and_not_clipped():
    sound = golden_sound()
    assert sound.dtype == np.float32
    assert len(sound) == 58.5 * SAMPLE_RATE
    assert 0.3 < np.abs(sound).max() < 1
    np.testing.assert_array_equal(sound, golden_sound())


def test_each_window_is_loud_at_its_edges_and_differs_from_the_others():
    windows = golden_sound()[: 11 * WINDOW_SAMPLES].reshape(11, WINDOW_SAMPLES)
    tenth = SAMPLE_RATE // 10
    level = np.sqrt(np.square(windows).mean(axis=1))
    for edge in (windows[:, :tenth], windows[:, -tenth:]):
        assert (np.sqrt(np.square(edge).mean(axis=1)) > level).all()
    correlation = np.corrcoef(spectrograms(windows, FrontEnd(normalise="zscore")).reshape(11, -1))
    assert np.abs(correlation - np.eye(11)).max() < 0.9


def test_some_cells_lie_below_any_usual_range_so_that_top_db_and_its_scope_matter():
    windows = golden_sound()[: 11 * WINDOW_SAMPLES].reshape(11, WINDOW_SAMPLES)
    front_end = FrontEnd(top_db=200.0)
    seen = spectrograms(windows, front_end)
    below = lambda peaks: (seen < peaks - 80.0).mean(axis=(1, 2))  # noqa: E731
    own, whole = below(seen.max(axis=(1, 2), keepdims=True)), below(file_peak_db(golden_sound(), front_end))
    assert own[5:].max() > 0.05
    assert whole[5:].max() > own[5:].max()


@pytest.mark.parametrize("probability", [1e-4, 0.02, 0.5, 0.999])
def test_a_move_counts_in_log_odds_however_rare_the_class(tmp_path, probability):
    kept = np.full((3, 12, 4), probability)
    assert check(tmp_path, moved(0.8 * GOLDEN_LIMIT, kept), kept) == pytest.approx(0.8 * GOLDEN_LIMIT, rel=0.02)
    with pytest.raises(BadInput, match="does not reproduce its golden output"):
        check(tmp_path, moved(1.2 * GOLDEN_LIMIT, kept), kept)


def test_probabilities_of_0_and_1_pass_and_nan_does_not(tmp_path):
    certain = np.tile([0.0, 1.0], (3, 12, 2))
    assert check(tmp_path, certain, certain) == 0
    with pytest.raises(BadInput, match="does not reproduce its golden output"):
        check(tmp_path, np.where(KEPT, np.nan, 0.0))


def test_other_folds_than_were_trained_are_refused_as_such(tmp_path):
    for today in (KEPT[:2], np.array([])):
        with pytest.raises(BadInput, match="is incomplete"):
            check(tmp_path, today)


def test_a_runtimes_own_error_becomes_ours(tmp_path):
    write_golden_output(tmp_path, KEPT)

    def predict(sound):
        raise ZeroDivisionError("invalid dimensions")

    with pytest.raises(BadInput, match="invalid dimensions"):
        check_golden_output(tmp_path, predict)
