"""The preview shows a scored window and its likeliest species, and never breaks a submission."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from lib.blend.recipe import RecipeMember
from lib.submit.preview import preview_window, spectrogram_png
from lib.submit.stream import StreamResult
from lib.submit.timing import Meter
from tests.support.fakemachine import CLASSES, recipe_of, scores_of, soundscapes

FILES = soundscapes(3)
RECIPE = recipe_of(
    [RecipeMember("prior", "m", 0.0), RecipeMember("a", "m", 1.0), RecipeMember("b", "m", 1.0)], [0.75, 0.25]
)


@pytest.fixture
def competition(tmp_path):
    lines = [f"{label},Species {label} <b>" for label in CLASSES]
    (tmp_path / "taxonomy.csv").write_text("\n".join(["primary_label,common_name", *lines]))
    return tmp_path


@pytest.fixture
def files(tmp_path):
    """Stems and files of 60 s, noise with a tone of 4 kHz."""
    time_s = np.arange(60 * 32_000) / 32_000
    audio = 0.3 * np.sin(2 * np.pi * 4000 * time_s) + 0.001 * np.random.default_rng(0).normal(size=len(time_s))
    for file in FILES:
        soundfile.write(tmp_path / file.name, audio, 32_000, format="FLAC")
    return {file.stem: tmp_path / file.name for file in FILES}


def result_of(files=FILES):
    scores = {name: scores_of(name, files) for name in ("prior", "a", "b")}
    return StreamResult(scores, scores_of("prior", FILES), {}, (), Meter(), 4)


def test_it_shows_the_likeliest_classes_of_the_first_soundscapes_surest_window(competition, files):
    preview = preview_window(result_of(), RECIPE, files, competition)
    mean = 0.75 * scores_of("a", FILES).values[:12] + 0.25 * scores_of("b", FILES).values[:12]
    window, column = np.unravel_index(mean.argmax(), mean.shape)
    assert preview.text.startswith(f"{FILES[0].stem}, seconds {5 * window} to {5 * window + 5}: ")
    assert f"Species {CLASSES[column]} <b> {mean.max():.2f}" in preview.text
    shown = preview._repr_html_()
    assert "data:image/png;base64," in shown
    order = [shown.index(f"<td>{CLASSES[n]}</td>") for n in np.argsort(-mean[window])]
    assert order == sorted(order)
    assert "<b>" not in shown


def test_the_image_is_a_png_with_a_bright_line_at_the_tone():
    tone = 0.3 * np.sin(2 * np.pi * 4000 * np.arange(5 * 32_000) / 32_000)
    pixels = imread(io.BytesIO(spectrogram_png(tone.astype(np.float32))))
    assert pixels.shape == (128, 313, 3)
    brightness = pixels.sum(axis=2).mean(axis=1)
    assert brightness.max() > 2.5
    assert 128 - brightness.argmax() == pytest.approx(128 * 0.6, abs=2)  # 4 kHz: 2114 of 3532 mel from 20 Hz to 16 kHz


@pytest.mark.parametrize("broken", ["file", "taxonomy", "members", "soundscapes"])
def test_whatever_fails_is_one_line_and_no_error(competition, files, broken):
    result = result_of([] if broken == "soundscapes" else FILES)
    if broken == "file":
        files[FILES[0].stem].write_bytes(b"no sound")
    if broken == "taxonomy":
        (competition / "taxonomy.csv").unlink()
    if broken == "members":
        result = replace(result, member_scores={})
    preview = preview_window(result, RECIPE, files, competition)
    assert preview.text.startswith("no figure: ")
    assert "\n" not in preview.text
    assert "<img" not in preview._repr_html_()
