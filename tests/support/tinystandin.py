"""A stand-in embedder for tests: Perch's interface around the smallest network, trained on two calls a species."""

from pathlib import Path

from lib.competition.miniature.elsewhere import recordings_from_elsewhere
from lib.competition.miniature.spec import MiniatureSpec
from lib.models.standin.make import make_standin


def tiny_standin(folder: Path) -> Path:
    """Write `standin.onnx`, trained for the species of the tiny miniature, with `labels.csv` beside it; its path."""
    calls = recordings_from_elsewhere(MiniatureSpec.tiny(), windows=2)
    return make_standin(folder, scientific_names=list(calls), width=0.1, calls=calls)
