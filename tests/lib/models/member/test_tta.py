"""TTA predicts the same rows: shifts are brought back by time, to the frame, and weights are exact."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, parse_soundscape
from lib.core.errors import BadInput
from lib.core.records import from_json, to_json
from lib.models.member import windows as window_module
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.tta import TTA, TTAPass, tta_probabilities, tta_spectrograms
from lib.models.member.windows import WindowSpec, mean_probabilities
from lib.sound.mel import cpu as mel
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import spectrograms

HOP = 1000
FRONT_END = FrontEnd(n_fft=1024, hop_samples=HOP, n_mels=32, level="power")
STEP = 4  # mel frames of a network frame: 1/8 s
QUIET = 1e-6


def bursts(*at_s: float) -> np.ndarray:
    """A silent minute but for bursts of a tenth of a second that begin at these seconds."""
    audio = np.zeros(SOUNDSCAPE_SAMPLES, dtype=np.float32)
    for start_s in at_s:
        start = round(start_s * SAMPLE_RATE)
        audio[start : start + 3200] = np.sin(0.5 * np.arange(3200))
    return audio


def detector(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A network of one class: sure where a frame is loud, and of a clip in which one is."""
    loud = seen[:, 0].sum(axis=1)[:, :-1]
    loud = loud.reshape(len(seen), 1, -1, STEP).max(axis=3) > 1e3
    frames = logit(np.where(loud, 1 - QUIET, QUIET))
    return frames.max(axis=2), frames


def predict(audio, tta, seconds=5.0, network=detector, front_end=FRONT_END):
    window_spec, passes = WindowSpec(seconds), tta.effective_passes(front_end)
    mels = tta_spectrograms(audio, window_spec, front_end, [(each.shift_s, each.gain_db) for each in passes])
    return tta_probabilities(mels, passes, tta.overlaps, window_spec, [network])[:, 0]


def frames_alone(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with clip outputs near zero."""
    return np.full((len(seen), 1), logit(QUIET)), detector(seen)[1]


def rows(**probabilities: float) -> np.ndarray:
    """(12,) zeros but for row<n>=probability."""
    table = np.zeros(12)
    for name, probability in probabilities.items():
        table[int(name.removeprefix("row"))] = probability
    return table


def test_the_default_of_one_plain_pass_is_the_plain_prediction_to_the_bit():
    random = np.random.default_rng(0)
    for seconds, frames in [(5.0, 13), (10.0, 21), (20.0, 10), (5.0, 1)]:
        outputs = random.normal(size=(12, 4)).astype(np.float32), random.normal(size=(12, 4, frames)).astype(np.float32)
        seen, plain = np.zeros((12, 1, 2, 2)), WindowSpec(seconds)
        network = [lambda mels, outputs=outputs: outputs]
        once = tta_probabilities([seen], TTA().effective_passes(FRONT_END), False, plain, network)
        np.testing.assert_array_equal(once, mean_probabilities(seen, plain, network))


@pytest.mark.parametrize(
    "tta",
    [
        TTA([TTAPass(shift_s=1.25)]),
        TTA([TTAPass(shift_s=-2.5)]),
        TTA(overlaps=True),
        TTA([TTAPass(backwards=True)]),
        TTA([TTAPass(), TTAPass(-1.0, -3.0, True, 0.3), TTAPass(2.0, weight=7.0)], overlaps=True),
    ],
)
@pytest.mark.parametrize("seconds", [5, 10, 20])
@pytest.mark.parametrize("frames", [1, 2, 9, 10])
def test_a_network_of_constant_output_keeps_it_with_any_tta(tta, seconds, frames):
    of_frames = 0.3 if frames == 1 else 0.6  # a pooled head has one frame, equal to the clip

    def constant(seen):
        return np.full((len(seen), 1), logit(0.3)), np.full((len(seen), 1, frames), logit(of_frames))

    found = predict(bursts(), tta, seconds, constant)
    np.testing.assert_allclose(found, np.full(12, (0.3 + of_frames) / 2), rtol=1e-5)


# An event in the first fifth of row 6 (30 to 35 s). The frame gives the row; for the clip, the window's shares do.
@pytest.mark.parametrize(
    ("shift_s", "expected"),
    [
        (0.0, rows(row6=1.0)),
        (1.25, rows(row5=0.5 * 0.75, row6=0.5 + 0.5 * 0.25)),  # found by window 5, which lies three quarters in row 5
        (-1.25, rows(row5=0.5 * 0.25, row6=0.5 + 0.5 * 0.75)),  # found by window 6
        (2.5, rows(row5=0.25, row6=0.75)),
        (-2.5, rows(row5=0.25, row6=0.75)),
    ],
)
def test_an_event_lands_in_its_row_whatever_the_shift(shift_s, expected):
    found = predict(bursts(30.5), TTA([TTAPass(shift_s)]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("shift_s", [-2.5, -1.25, 0.5, 1.25, 2.5])
@pytest.mark.parametrize("at_s", [0.3, 4.8, 5.05, 27.4, 27.6, 54.8, 55.05, 59.7])
def test_the_frame_is_never_taken_for_another_rows_and_ends_are_scored_where_they_are_covered(shift_s, at_s):
    found = predict(bursts(at_s), TTA([TTAPass(shift_s)]), network=frames_alone)
    covered = shift_s < at_s < 60 + shift_s
    expected = rows(**{f"row{int(at_s // 5)}": 0.5 if covered else 0.0})
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("seconds", [10, 20])
@pytest.mark.parametrize("shift_s", [-1.25, 0.0, 2.5])
def test_longer_windows_read_the_moment_in_each_and_average_it(seconds, shift_s):
    found = predict(bursts(30.5, 47.2), TTA([TTAPass(shift_s)], overlaps=True), seconds, frames_alone)
    np.testing.assert_allclose(found, rows(row6=0.5, row9=0.5), atol=1e-4)

    def only_its_own(seen):  # the windows of rows 5, 6 and 7 differ about the event
        clip, frames = frames_alone(seen)
        frames[5], frames[7:] = logit(QUIET), logit(QUIET)
        return clip, frames

    windows = {10: 2, 20: 4}[seconds]  # that contain a moment half a second into a row
    found = predict(bursts(30.5), TTA(overlaps=True), seconds, only_its_own)
    positive = {10: 1, 20: 2}[seconds]  # of those, the ones with a high output
    np.testing.assert_allclose(found, rows(row6=0.5 * positive / windows), atol=1e-4)
    assert predict(bursts(30.5), TTA(), seconds, only_its_own)[6] == pytest.approx(0.5, abs=1e-4)


def test_without_overlaps_a_moment_is_read_in_the_window_in_whose_middle_it_lies():
    def only(window):
        def network(seen):
            clip, frames = frames_alone(seen)
            frames[np.arange(12) != window] = logit(QUIET)
            return clip, frames

        return network

    for window, probability in [(5, 0.5), (6, 0.0)]:  # begun later, window 5 has 30.5 s in its middle, 6 in its margin
        found = predict(bursts(30.5), TTA([TTAPass(1.25)]), 10.0, only(window))
        np.testing.assert_allclose(found, rows(row6=probability), atol=1e-4)


def test_a_pooled_head_has_no_moments_so_that_its_windows_count_by_their_share_of_the_row():
    def pooled(seen):
        logits = logit(np.arange(1, 13) / 20)[:, None]
        return logits, logits[:, :, None]

    expected = np.convolve(np.arange(1, 13) / 20, [0.75, 0.25])[:12]
    expected[0] = 1 / 20
    np.testing.assert_allclose(predict(bursts(), TTA([TTAPass(1.25)]), network=pooled), expected, rtol=1e-6)


def test_backwards_the_spectrogram_is_reversed_and_the_output_reversed_back():
    seen, backwards = [], TTA([TTAPass(1.25, backwards=True)])

    def spy(spectrograms):
        seen.append(spectrograms)
        return detector(spectrograms[..., ::-1])[0], detector(spectrograms[..., ::-1])[1][..., ::-1]

    audio = bursts(10.5)
    found = predict(audio, backwards, 5.0, spy)  # in a shifted window, the two halves lie in two rows
    (shifted,) = tta_spectrograms(audio, WindowSpec(), FRONT_END, [(1.25, 0.0)])
    np.testing.assert_array_equal(seen[0], shifted[..., ::-1])
    np.testing.assert_allclose(found, predict(audio, TTA([TTAPass(1.25)])), atol=1e-6)


def test_passes_count_by_their_weights():
    outputs = iter([0.2, 0.4, 0.9])

    def network(seen):
        value = logit(next(outputs))
        return np.full((12, 1), value), np.full((12, 1, 5), value)

    tta = TTA([TTAPass(), TTAPass(-1.25, weight=2.0), TTAPass(1.25, weight=2.0)])
    np.testing.assert_allclose(predict(bursts(), tta, network=network), np.full(12, 0.2 * 0.2 + 0.4 * 0.4 + 0.4 * 0.9))


def test_spectrograms_of_all_passes_are_those_of_the_windows_cut_out_and_come_from_one_spectrogram(monkeypatch):
    audio = np.random.default_rng(0).normal(size=SOUNDSCAPE_SAMPLES).astype(np.float32)
    front_end = replace(FRONT_END, level="db", normalise="zscore")
    frames, fill = Counter(), mel._fill

    def counting(out, padded, offsets, settings):
        frames["computed"] += len(offsets)
        fill(out, padded, offsets, settings)

    monkeypatch.setattr(mel, "_fill", counting)
    mels = tta_spectrograms(audio, WindowSpec(), front_end, [(0.0, 0.0), (1.25, 0.0), (-2.5, 0.0)])
    edges = 3 * 12 * 2  # within half an FFT of a window's edges its frames are its own
    assert frames["computed"] == (65 * SAMPLE_RATE - SAMPLE_RATE * 5 // 4) // HOP + 1 + edges
    for (shift_s, _), part in zip([(0.0, 0), (1.25, 0), (-2.5, 0)], mels, strict=True):
        start = 7 * 5 * SAMPLE_RATE + round(shift_s * SAMPLE_RATE)
        np.testing.assert_allclose(
            part[7, 0], spectrograms(audio[None, start : start + 160_000], front_end)[0], atol=1e-4
        )


def test_two_passes_with_the_same_copy_share_one_spectrogram(monkeypatch):
    starts, compute = [], window_module.soundscape_spectrograms
    monkeypatch.setattr(
        window_module, "soundscape_spectrograms", lambda *given: starts.append(len(given[2])) or compute(*given)
    )
    forth, back = tta_spectrograms(bursts(), WindowSpec(), FRONT_END, [(0.0, 0.0), (0.0, 0.0)])
    assert forth is back
    assert starts == [12]


def test_a_gain_is_a_pass_where_loudness_matters_and_costs_none_where_it_does_not():
    louder = TTA([TTAPass(), TTAPass(gain_db=6.0), TTAPass(backwards=True, weight=2.0)])
    audio = bursts(1.0)
    one, other = tta_spectrograms(audio, WindowSpec(), FRONT_END, [(0.0, 0.0), (0.0, 6.0)])
    np.testing.assert_allclose(other, one * 10**0.6, rtol=1e-4, atol=1e-3)
    assert [each.weight for each in louder.effective_passes(FRONT_END)] == [0.25, 0.25, 0.5]
    normalised = replace(FRONT_END, level="db", normalise="zscore")
    assert louder.effective_passes(normalised) == [TTAPass(weight=0.5), TTAPass(backwards=True, weight=0.5)]
    assert louder.effective_passes(replace(FRONT_END, level="pcen", normalise="zscore"))[1].gain_db == 6.0
    noise = 0.01 * np.random.default_rng(1).normal(size=SOUNDSCAPE_SAMPLES).astype(np.float32)
    one, other = tta_spectrograms(noise, WindowSpec(), normalised, [(0.0, 0.0), (0.0, -3.0)])
    np.testing.assert_allclose(other, one, atol=1e-4)


@pytest.mark.parametrize(
    ("shift_s", "hop_samples", "hops"),
    [
        (1.25, 1000, 40),
        (1.25, 512, 78),
        (-1.25, 512, -78),
        (2.5, 627, 127),
    ],
)
def test_a_shift_is_cut_to_whole_hops_and_stays_in_its_row(shift_s, hop_samples, hops):
    (only,) = TTA([TTAPass(shift_s)]).effective_passes(replace(FRONT_END, hop_samples=hop_samples))
    assert only.shift_s == hops * hop_samples / SAMPLE_RATE


def test_settings_travel_as_strict_json_and_what_makes_no_pass_is_refused():
    tta = TTA([TTAPass(), TTAPass(1.0, 3.0, True, 2.0)], overlaps=True)
    assert from_json(TTA, to_json(tta), "tta") == tta
    assert from_json(TTA, {}, "tta") == TTA()
    with pytest.raises(BadInput, match=r"unknown \['speed'\]"):
        from_json(TTA, {"passes": [{"speed": 2}]}, "tta")
    for wrong, message in [({"shift_s": 2.6}, "leaves its row"), ({"weight": 0}, "weight of a pass")]:
        with pytest.raises(BadInput, match=message):
            TTAPass(**wrong)
    with pytest.raises(BadInput, match="without a pass"):
        TTA([])


def test_members_share_spectrograms_pass_by_pass():
    inputs, computed = SoundscapeInputs(parse_soundscape("BC2026_Test_0001_S05_20250227_010002"), None), []

    def compute(missing):
        computed.append(missing)
        return [f"mel {key}" for key in missing]

    assert inputs.get_or_compute_all("spectrograms", [1, 2], compute) == ["mel 1", "mel 2"]
    assert inputs.get_or_compute_all("spectrograms", [1], compute) == ["mel 1"]
    assert inputs.get_or_compute_all("spectrograms", [1, 3, 2], compute) == ["mel 1", "mel 3", "mel 2"]
    assert inputs.get_or_compute_all("others", [3], compute) == ["mel 3"]
    assert [keys for keys in computed if keys] == [[1, 2], [3], [3]]
