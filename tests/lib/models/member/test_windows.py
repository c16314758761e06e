"""The window of a network for each row, sample by sample, and the probabilities of its outputs."""

from dataclasses import replace

import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES
from lib.core.errors import BadInput
from lib.models.member import windows as window_module
from lib.models.member.windows import WindowSpec, mean_probabilities
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms

FRONT_END = FrontEnd(n_fft=1024, hop_samples=2000, n_mels=32, normalise="zscore")
RAMP = np.arange(SOUNDSCAPE_SAMPLES, dtype=np.float64)  # each sample is its own number


def cut_windows(monkeypatch, audio, seconds):
    """The (12, samples) stretches of which spectrograms are made."""
    seen = []

    def spy(whole, front_end, starts, samples):
        seen.extend(whole[start : start + samples] for start in starts)
        return np.zeros((len(starts), 1, 1))

    monkeypatch.setattr(window_module, "soundscape_spectrograms", spy)
    assert WindowSpec(seconds).spectrograms(audio, FRONT_END).shape == (12, 1, 1, 1)
    return np.array(seen)


@pytest.mark.parametrize("seconds", [5, 10, 20])
def test_a_row_lies_in_the_middle_of_its_window_and_the_ends_are_mirrored(monkeypatch, seconds):
    rows, margin = cut_windows(monkeypatch, RAMP, seconds), (seconds - 5) * SAMPLE_RATE // 2
    at = np.arange(-margin, WINDOW_SAMPLES + margin) + WINDOW_SAMPLES * np.arange(12)[:, None]
    last = SOUNDSCAPE_SAMPLES - 1
    np.testing.assert_array_equal(rows, last - abs(last - abs(at)))


@pytest.mark.parametrize("seconds", [5, 20])
def test_a_short_file_is_repeated_and_a_long_one_cut_before_anything_is_mirrored(monkeypatch, seconds):
    short = cut_windows(monkeypatch, RAMP[: 58 * SAMPLE_RATE], seconds)
    margin = (seconds - 5) * SAMPLE_RATE // 2
    row = short[-1, margin : margin + WINDOW_SAMPLES]  # 55 to 60 s: what is beyond 58 s is the begin again
    np.testing.assert_array_equal(
        row, np.concatenate([RAMP[55 * SAMPLE_RATE : 58 * SAMPLE_RATE], RAMP[: 2 * SAMPLE_RATE]])
    )
    long = np.concatenate([RAMP, np.full(SAMPLE_RATE, -1.0)])
    np.testing.assert_array_equal(cut_windows(monkeypatch, long, seconds), cut_windows(monkeypatch, RAMP, seconds))


@pytest.mark.parametrize("edges", ["reflect", "file"])
def test_spectrograms_are_those_of_the_stretches_cut_out(edges):
    front_end = replace(FRONT_END, edges=edges)
    audio = np.random.default_rng(0).normal(size=SOUNDSCAPE_SAMPLES).astype(np.float32)
    seen = WindowSpec(10.0).spectrograms(audio, front_end)
    context, start = front_end.context_samples, 3 * WINDOW_SAMPLES - 5 * SAMPLE_RATE // 2
    stretch = audio[start - context : start + 10 * SAMPLE_RATE + context]
    assert seen.shape == (12, 1, 32, 161)
    np.testing.assert_allclose(seen[3, 0], spectrograms(stretch[None], front_end)[0], atol=1e-4)


def test_less_than_a_row_is_refused():
    with pytest.raises(BadInput, match="shorter than a row"):
        WindowSpec(4.0)


def test_a_probability_is_the_mean_of_the_clips_and_of_the_highest_frames():
    clip = np.array([[0.0, np.log(3.0)]])
    frames = np.array([[[-9.0, np.log(4.0), -2.0], [-5.0, -6.0, 0.0]]])
    np.testing.assert_allclose(WindowSpec(5.0).probabilities(clip, frames), [[(0.5 + 0.8) / 2, (0.75 + 0.5) / 2]])


@pytest.mark.parametrize(
    ("seconds", "frames", "counted"),
    [
        (5, 8, range(8)),
        (10, 8, range(2, 6)),
        (20, 8, range(3, 5)),
        (20, 10, range(3, 7)),  # frames that the row shares with its margin count
        (10, 1, range(1)),  # a pooled head
    ],
)
def test_only_frames_that_touch_the_row_count(seconds, frames, counted):
    silent = np.full((1, 1), -100.0)
    for loud in range(frames):
        logits = np.where(np.arange(frames) == loud, 100.0, -100.0)[None, None]
        assert WindowSpec(seconds).probabilities(silent, logits).item() == pytest.approx(
            0.5 if loud in counted else 0.0
        )


def test_networks_are_averaged_as_probabilities_not_as_logits():
    one, two = (lambda seen, x=x: (np.full((len(seen), 1), x), np.full((len(seen), 1, 2), x)) for x in (0.0, 100.0))
    np.testing.assert_allclose(
        mean_probabilities(np.zeros((12, 1, 2, 2)), WindowSpec(), [one, two]), np.full((12, 1), 0.75)
    )
