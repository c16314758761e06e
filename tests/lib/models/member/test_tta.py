"""A network asked again answers for the same rows: shifts are brought back by time, to the frame, and weights exact."""

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


def answers(audio, again, seconds=5.0, network=detector, front_end=FRONT_END):
    window_spec, passes = WindowSpec(seconds), again.effective_passes(front_end)
    shown = tta_spectrograms(audio, window_spec, front_end, [(each.shift_s, each.gain_db) for each in passes])
    return tta_probabilities(shown, passes, again.overlaps, window_spec, [network])[:, 0]


def frames_alone(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, which says nothing of clips."""
    return np.full((len(seen), 1), logit(QUIET)), detector(seen)[1]


def rows(**chances: float) -> np.ndarray:
    """(12,) zeros but for row<n>=chance."""
    table = np.zeros(12)
    for name, chance in chances.items():
        table[int(name.removeprefix("row"))] = chance
    return table


def test_asked_once_and_plainly_the_answer_is_the_plain_one_to_the_bit():
    random = np.random.default_rng(0)
    for seconds, frames in [(5.0, 13), (10.0, 21), (20.0, 10), (5.0, 1)]:
        said = random.normal(size=(12, 4)).astype(np.float32), random.normal(size=(12, 4, frames)).astype(np.float32)
        seen, plain = np.zeros((12, 1, 2, 2)), WindowSpec(seconds)
        network = [lambda spectrograms, said=said: said]
        once = tta_probabilities([seen], TTA().effective_passes(FRONT_END), False, plain, network)
        np.testing.assert_array_equal(once, mean_probabilities(seen, plain, network))


@pytest.mark.parametrize(
    "again",
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
def test_a_network_that_says_the_same_of_any_picture_says_it_however_it_is_asked(again, seconds, frames):
    of_frames = 0.3 if frames == 1 else 0.6  # a pooled head has one frame, equal to the clip

    def blind(seen):
        return np.full((len(seen), 1), logit(0.3)), np.full((len(seen), 1, frames), logit(of_frames))

    said = answers(bursts(), again, seconds, blind)
    np.testing.assert_allclose(said, np.full(12, (0.3 + of_frames) / 2), rtol=1e-5)


# An event in the first fifth of row 6 (30 to 35 s). The frame says which row; of the clip, the window's shares do.
@pytest.mark.parametrize(
    ("shift_s", "expected"),
    [
        (0.0, rows(row6=1.0)),
        (1.25, rows(row5=0.5 * 0.75, row6=0.5 + 0.5 * 0.25)),  # heard by window 5, which lies three quarters in row 5
        (-1.25, rows(row5=0.5 * 0.25, row6=0.5 + 0.5 * 0.75)),  # heard by window 6
        (2.5, rows(row5=0.25, row6=0.75)),
        (-2.5, rows(row5=0.25, row6=0.75)),
    ],
)
def test_an_event_lands_in_its_row_whatever_the_shift(shift_s, expected):
    said = answers(bursts(30.5), TTA([TTAPass(shift_s)]))
    np.testing.assert_allclose(said, expected, atol=1e-4)


@pytest.mark.parametrize("shift_s", [-2.5, -1.25, 0.5, 1.25, 2.5])
@pytest.mark.parametrize("at_s", [0.3, 4.8, 5.05, 27.4, 27.6, 54.8, 55.05, 59.7])
def test_the_frame_is_never_taken_for_another_rows_and_ends_are_heard_by_who_covers_them(shift_s, at_s):
    said = answers(bursts(at_s), TTA([TTAPass(shift_s)]), network=frames_alone)
    covered = shift_s < at_s < 60 + shift_s
    expected = rows(**{f"row{int(at_s // 5)}": 0.5 if covered else 0.0})
    np.testing.assert_allclose(said, expected, atol=1e-4)


@pytest.mark.parametrize("seconds", [10, 20])
@pytest.mark.parametrize("shift_s", [-1.25, 0.0, 2.5])
def test_longer_windows_read_the_moment_in_each_and_average_it(seconds, shift_s):
    said = answers(bursts(30.5, 47.2), TTA([TTAPass(shift_s)], overlaps=True), seconds, frames_alone)
    np.testing.assert_allclose(said, rows(row6=0.5, row9=0.5), atol=1e-4)

    def only_its_own(seen):  # the windows of rows 5, 6 and 7 differ about the event
        clip, frames = frames_alone(seen)
        frames[5], frames[7:] = logit(QUIET), logit(QUIET)
        return clip, frames

    windows = {10: 2, 20: 4}[seconds]  # that hear a moment half a second into a row
    said = answers(bursts(30.5), TTA(overlaps=True), seconds, only_its_own)
    hearing = {10: 1, 20: 2}[seconds]  # of those, the ones that say so
    np.testing.assert_allclose(said, rows(row6=0.5 * hearing / windows), atol=1e-4)
    assert answers(bursts(30.5), TTA(), seconds, only_its_own)[6] == pytest.approx(0.5, abs=1e-4)


def test_without_overlaps_a_moment_is_read_in_the_window_in_whose_middle_it_lies():
    def only(window):
        def network(seen):
            clip, frames = frames_alone(seen)
            frames[np.arange(12) != window] = logit(QUIET)
            return clip, frames

        return network

    for window, chance in [(5, 0.5), (6, 0.0)]:  # begun later, window 5 has 30.5 s in its middle, 6 in its margin
        said = answers(bursts(30.5), TTA([TTAPass(1.25)]), 10.0, only(window))
        np.testing.assert_allclose(said, rows(row6=chance), atol=1e-4)


def test_a_pooled_head_has_no_moments_so_that_its_windows_count_by_their_share_of_the_row():
    def pooled(seen):
        chances = logit(np.arange(1, 13) / 20)[:, None]
        return chances, chances[:, :, None]

    expected = np.convolve(np.arange(1, 13) / 20, [0.75, 0.25])[:12]
    expected[0] = 1 / 20
    np.testing.assert_allclose(answers(bursts(), TTA([TTAPass(1.25)]), network=pooled), expected, rtol=1e-6)


def test_backwards_the_picture_is_turned_and_the_answer_turned_back():
    seen, turned = [], TTA([TTAPass(1.25, backwards=True)])

    def spy(spectrograms):
        seen.append(spectrograms)
        return detector(spectrograms[..., ::-1])[0], detector(spectrograms[..., ::-1])[1][..., ::-1]

    audio = bursts(10.5)
    said = answers(audio, turned, 5.0, spy)  # in a shifted window, the two halves lie in two rows
    (shifted,) = tta_spectrograms(audio, WindowSpec(), FRONT_END, [(1.25, 0.0)])
    np.testing.assert_array_equal(seen[0], shifted[..., ::-1])
    np.testing.assert_allclose(said, answers(audio, TTA([TTAPass(1.25)])), atol=1e-6)


def test_passes_count_by_their_weights():
    said = iter([0.2, 0.4, 0.9])

    def network(seen):
        chance = logit(next(said))
        return np.full((12, 1), chance), np.full((12, 1, 5), chance)

    again = TTA([TTAPass(), TTAPass(-1.25, weight=2.0), TTAPass(1.25, weight=2.0)])
    np.testing.assert_allclose(
        answers(bursts(), again, network=network), np.full(12, 0.2 * 0.2 + 0.4 * 0.4 + 0.4 * 0.9)
    )


def test_pictures_of_all_passes_are_those_of_the_windows_cut_out_and_come_from_one_spectrogram(monkeypatch):
    audio = np.random.default_rng(0).normal(size=SOUNDSCAPE_SAMPLES).astype(np.float32)
    front_end = replace(FRONT_END, level="db", normalise="zscore")
    frames, fill = Counter(), mel._fill

    def counting(out, padded, offsets, settings):
        frames["made"] += len(offsets)
        fill(out, padded, offsets, settings)

    monkeypatch.setattr(mel, "_fill", counting)
    shown = tta_spectrograms(audio, WindowSpec(), front_end, [(0.0, 0.0), (1.25, 0.0), (-2.5, 0.0)])
    edges = 3 * 12 * 2  # within half an FFT of a window's edges its frames are its own
    assert frames["made"] == (65 * SAMPLE_RATE - SAMPLE_RATE * 5 // 4) // HOP + 1 + edges
    for (shift_s, _), part in zip([(0.0, 0), (1.25, 0), (-2.5, 0)], shown, strict=True):
        start = 7 * 5 * SAMPLE_RATE + round(shift_s * SAMPLE_RATE)
        np.testing.assert_allclose(
            part[7, 0], spectrograms(audio[None, start : start + 160_000], front_end)[0], atol=1e-4
        )


def test_two_passes_that_see_the_same_are_shown_one_picture(monkeypatch):
    drawn, draw = [], window_module.soundscape_spectrograms
    monkeypatch.setattr(
        window_module, "soundscape_spectrograms", lambda *given: drawn.append(len(given[2])) or draw(*given)
    )
    forth, back = tta_spectrograms(bursts(), WindowSpec(), FRONT_END, [(0.0, 0.0), (0.0, 0.0)])
    assert forth is back
    assert drawn == [12]


def test_a_gain_is_heard_where_loudness_is_and_costs_no_pass_where_it_is_not():
    louder = TTA([TTAPass(), TTAPass(gain_db=6.0), TTAPass(backwards=True, weight=2.0)])
    audio = bursts(1.0)
    one, other = tta_spectrograms(audio, WindowSpec(), FRONT_END, [(0.0, 0.0), (0.0, 6.0)])
    np.testing.assert_allclose(other, one * 10**0.6, rtol=1e-4, atol=1e-3)
    assert [each.weight for each in louder.effective_passes(FRONT_END)] == [0.25, 0.25, 0.5]
    deaf = replace(FRONT_END, level="db", normalise="zscore")
    assert louder.effective_passes(deaf) == [TTAPass(weight=0.5), TTAPass(backwards=True, weight=0.5)]
    assert louder.effective_passes(replace(FRONT_END, level="pcen", normalise="zscore"))[1].gain_db == 6.0
    noise = 0.01 * np.random.default_rng(1).normal(size=SOUNDSCAPE_SAMPLES).astype(np.float32)
    one, other = tta_spectrograms(noise, WindowSpec(), deaf, [(0.0, 0.0), (0.0, -3.0)])
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
    (asked,) = TTA([TTAPass(shift_s)]).effective_passes(replace(FRONT_END, hop_samples=hop_samples))
    assert asked.shift_s == hops * hop_samples / SAMPLE_RATE


def test_settings_travel_as_strict_json_and_what_makes_no_pass_is_refused():
    again = TTA([TTAPass(), TTAPass(1.0, 3.0, True, 2.0)], overlaps=True)
    assert from_json(TTA, to_json(again), "again") == again
    assert from_json(TTA, {}, "again") == TTA()
    with pytest.raises(BadInput, match=r"unknown \['speed'\]"):
        from_json(TTA, {"passes": [{"speed": 2}]}, "again")
    for wrong, message in [({"shift_s": 2.6}, "leaves its row"), ({"weight": 0}, "weight of a pass")]:
        with pytest.raises(BadInput, match=message):
            TTAPass(**wrong)
    with pytest.raises(BadInput, match="never asked"):
        TTA([])


def test_members_share_what_they_are_shown_pass_by_pass():
    heard, made = SoundscapeInputs(parse_soundscape("BC2026_Test_0001_S05_20250227_010002"), None), []

    def make(missing):
        made.append(missing)
        return [f"picture {key}" for key in missing]

    assert heard.get_or_compute_all("spectrograms", [1, 2], make) == ["picture 1", "picture 2"]
    assert heard.get_or_compute_all("spectrograms", [1], make) == ["picture 1"]
    assert heard.get_or_compute_all("spectrograms", [1, 3, 2], make) == ["picture 1", "picture 3", "picture 2"]
    assert heard.get_or_compute_all("others", [3], make) == ["picture 3"]
    assert [keys for keys in made if keys] == [[1, 2], [3], [3]]
