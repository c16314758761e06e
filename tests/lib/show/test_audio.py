"""Four panels show the sound, a minute has twelve windows with their labels, and cards hold the sounds to review."""

import html as entities
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S
from lib.show.audio import ReviewCard, gallery, minute_browser, minute_figure, sound_figure, spectrogram_and_player
from tests.lib.show.test_players import decoded, tone

NOISE = np.random.default_rng(0).normal(0, 0.01, SOUNDSCAPE_S * SAMPLE_RATE).astype(np.float32)


@pytest.fixture(autouse=True)
def closed():
    yield
    assert not plt.get_fignums()


def a_call() -> np.ndarray:
    """Three seconds of faint noise, with a tone of 3 kHz from the first second to the second."""
    audio = NOISE[: 3 * SAMPLE_RATE] / 10
    audio[SAMPLE_RATE : 2 * SAMPLE_RATE] += 0.5 * tone(3000, 1)
    return audio


def test_each_view_shows_a_call_where_it_is():
    waveform, mel, pcen, bands = sound_figure(a_call(), "#2a6f97").axes
    assert waveform.get_title() == "waveform, peak 0.50"
    assert waveform.get_xlim() == (0, 3)
    (outline,) = waveform.collections
    points = outline.get_paths()[0].vertices
    assert np.abs(points[(points[:, 0] > 1.1) & (points[:, 0] < 1.9), 1]).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(points[points[:, 0] < 0.9, 1]).max() < 0.01
    ticks = dict(zip([tick.get_text() for tick in mel.get_yticklabels()], mel.get_yticks(), strict=True))
    for axis in (mel, pcen):
        spectrogram = axis.images[0].get_array()
        band, frame = np.unravel_index(spectrogram.argmax(), spectrogram.shape)
        assert ticks["2"] < band < ticks["4"]
        assert 0.9 < frame / spectrogram.shape[1] * 3 < 2.1
    rises = dict(
        zip(
            [tick.get_text() for tick in bands.get_yticklabels()],
            [bar.get_width() for bar in bands.patches],
            strict=True,
        )
    )
    assert max(rises, key=rises.get) == "2–4 kHz"
    assert rises["2–4 kHz"] > 30
    assert rises["8–16 kHz"] < 10
    assert [text.get_text().strip() for text in bands.texts] == [f"{rise:.0f}" for rise in rises.values()]


def test_pcen_begins_as_it_goes_on():
    stationary = sound_figure(NOISE[: 4 * SAMPLE_RATE] + 0.3 * tone(3000, 4), "#000").axes[2].images[0].get_array()
    assert stationary[:, :8].mean() == pytest.approx(stationary[:, 40:].mean(), rel=0.2)


@pytest.mark.parametrize("samples", [700, 5000])
def test_a_sound_shorter_than_a_frame_can_be_seen(samples):
    assert sound_figure(NOISE[:samples], "#000").axes


def test_a_figure_with_player_has_a_title_an_image_and_the_sound():
    html = spectrogram_and_player(a_call(), "Ani <a/1.ogg>", "#000").html
    assert "Ani &lt;a/1.ogg&gt;" in html
    assert html.count("data:image/jpeg;base64,") == 1
    ((samples, rate),) = decoded(html)
    assert len(samples) / rate == pytest.approx(3, abs=0.01)


def test_a_minute_has_twelve_windows_with_their_labels():
    html = minute_browser(NOISE, {5: [("Ani", "#111"), ("A & B", "#222")], 60: [("nothing", "#888")]}, "T", "m").html
    cells = re.findall(r"<td style='[^']*'>(.*?)</td>", html)
    assert len(cells) == 12
    labels = [re.findall(r"<span style='color:([^']+)'>(.*?)</span>", cell) for cell in cells]
    assert labels[0] == [("#111", "Ani"), ("#222", "A &amp; B")]
    assert labels[1:11] == [[("#888", "–")]] * 10
    assert labels[11] == [("#888", "nothing")]
    starts = [int(re.search(r"currentTime=(\d+)", entities.unescape(cell))[1]) for cell in cells]
    assert starts == list(range(0, 60, 5))
    ((samples, rate),) = decoded(html)
    assert len(samples) / rate == pytest.approx(60, abs=0.01)


def test_a_short_minute_is_played_as_the_submission_sees_it():
    ((samples, rate),) = decoded(minute_browser(NOISE[: 50 * SAMPLE_RATE], {}, "T", "m").html)
    assert len(samples) / rate == pytest.approx(60, abs=0.01)


def test_the_spectrogram_of_a_minute_is_in_its_order():
    audio = NOISE.copy()
    audio[42 * SAMPLE_RATE : 43 * SAMPLE_RATE] += 0.5 * tone(4000, 1)
    axis = minute_figure(audio).axes[0]
    spectrogram = axis.images[0].get_array()
    band, frame = np.unravel_index(spectrogram.argmax(), spectrogram.shape)
    assert 41.8 < frame / spectrogram.shape[1] * 60 < 43.2
    (mark,) = [text for text in axis.texts if text.get_text() == "4 kHz"]
    assert mark.get_position()[1] == pytest.approx(band, abs=1.5)
    assert len(axis.lines) == 11


def test_a_card_shows_and_plays_each_of_its_sounds():
    card = ReviewCard("near copy", "similarity < 1", {"a/1.ogg": a_call(), "a/2.ogg": a_call()[: 2 * SAMPLE_RATE]})
    html = gallery([card, ReviewCard("poor", "", {"x": a_call()})]).html
    assert html.count("data:image/jpeg;base64,") == 3
    assert [round(len(samples) / rate, 1) for samples, rate in decoded(html)] == [3.0, 2.0, 3.0]
    places = [html.index(text) for text in ("near copy", "similarity &lt; 1", "a/1.ogg", "a/2.ogg", "poor")]
    assert places == sorted(places)


def test_an_empty_gallery_has_a_note():
    assert gallery([]).html == "<p>Nothing to review.</p>"
