"""What is shown of single sounds is what the tables ask for: the best clip, the named window, the copy beside it."""

import numpy as np
import pandas as pd
import pytest

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_S
from lib.show import eda as reviews
from lib.show.plots import TAXON_COLOURS
from tests.lib.show.test_players import decoded, tone
from tests.support.tinymemo import CLIPS, ONE, TAXONOMY, TWO, WINDOWS, qa_line


@pytest.fixture
def cards(monkeypatch):
    """Keeps the cards instead of drawing them."""
    monkeypatch.setattr(reviews, "gallery", list)


def asked_for(sound=lambda name: np.ones(SAMPLE_RATE, np.float32)):
    """A source of sound, and the names that were requested."""
    names = []

    def source(name: str) -> np.ndarray:
        names.append(name)
        return sound(name)

    return source, names


def test_each_animal_class_shows_the_best_rated_clip_of_its_commonest_class():
    source, names = asked_for()
    html = reviews.example_of_each_taxon(CLIPS, TAXONOMY, source).html
    assert names == ["a/1.ogg", "c/1.ogg"]
    assert "Aves: Ani, a/1.ogg" in html
    assert "Insecta: no clip." in html


def test_a_minute_names_the_classes_of_the_labelled_windows(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        reviews, "minute_browser", lambda audio, labels, title, name: shown.update(labels=labels, title=title)
    )
    windows = WINDOWS.assign(
        labels=[(*labels,) if end_s == 5 else () for labels, end_s in zip(WINDOWS.labels, WINDOWS.end_s, strict=True)]
    )
    reviews.labelled_minute(ONE, windows, TAXONOMY, asked_for()[0])
    assert shown["labels"] == {
        5: [("Ani", TAXON_COLOURS["Aves"]), ("Chorus frog", TAXON_COLOURS["Amphibia"])],
        10: [("nothing", "#888")],
    }
    assert shown["title"] == f"{ONE}, 2 of 12 windows labelled"


def test_a_review_shows_three_of_a_check_each_once_and_no_class(cards):
    qa = pd.DataFrame(
        [
            *(qa_line(f"a/{n}.ogg", "clip", "poor recording", "review", detail=f"number {n}") for n in (1, 1, 2, 3, 4)),
            qa_line("a/2.ogg", "clip", "poor rating", "review", detail="rated 1 of 5"),
            qa_line("a/9.ogg", "clip", "poor rating", "review", detail="rated 1 of 5"),
            qa_line("a", "class", "label map", "review"),
            qa_line("a/8.ogg", "clip", "bad sound", "exclude"),
        ]
    )
    shown = reviews.review_gallery(qa, asked_for()[0])
    assert [(card.heading, card.reason, *card.sounds) for card in shown] == [
        ("poor recording", "number 1", "a/1.ogg"),
        ("poor recording", "number 2", "a/2.ogg"),
        ("poor recording", "number 3", "a/3.ogg"),
        ("poor rating", "rated 1 of 5", "a/9.ogg"),
    ]


def test_near_copies_come_least_similar_first_with_their_partners_aligned(cards):
    call = tone(3000, 2) * np.hanning(2 * SAMPLE_RATE).astype(np.float32)
    still = np.zeros(SOUNDSCAPE_S * SAMPLE_RATE, np.float32)
    still[30 * SAMPLE_RATE : 32 * SAMPLE_RATE] = call / 4
    known = {"a/1.ogg": call, "a/2.ogg": call, "a/3.ogg": call, TWO: still}
    qa = pd.DataFrame(
        [
            qa_line("a/1.ogg", "clip", "near copy", "group", "a/2.ogg", "2.0 s in common, similarity 0.93"),
            qa_line("a/3.ogg", "clip", "near copy", "review", TWO, "2.0 s in common, similarity 0.61"),
        ]
    )
    first, second = reviews.review_gallery(qa, known.get)
    assert list(first.sounds) == ["a/3.ogg", TWO]
    assert list(second.sounds) == ["a/1.ogg", "a/2.ogg"]
    np.testing.assert_allclose(first.sounds[TWO], first.sounds["a/3.ogg"] / 4, atol=1e-6)


def test_a_window_is_shown_by_its_own_five_seconds(cards):
    ramp = np.repeat(np.arange(12, dtype=np.float32), 5 * SAMPLE_RATE)
    qa = pd.DataFrame([qa_line(f"{ONE}_20", "window", "improbable co-occurrence", "review")])
    source, names = asked_for(lambda name: ramp)
    (card,) = reviews.review_gallery(qa, source)
    assert names == [ONE]
    assert set(card.sounds[f"{ONE}_20"]) == {3.0}


def test_a_gallery_of_real_cards_plays(monkeypatch):
    qa = pd.DataFrame([qa_line("a/1.ogg", "clip", "poor recording", "review")])
    ((samples, rate),) = decoded(reviews.review_gallery(qa, lambda name: tone(700, 9)).html)
    assert len(samples) / rate == pytest.approx(6, abs=0.01)
