"""Choice of the embedder: the named one, else Perch where it is available, else, off Kaggle, a stand-in."""

from pathlib import Path

from lib.competition.miniature.elsewhere import recordings_from_elsewhere
from lib.competition.miniature.spec import MiniatureSpec
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.paths import on_kaggle
from lib.models.embedder.base import find_embedder
from lib.models.standin.make import make_standin

PERCH_FILE = "perch_v2.onnx"
STANDIN = "stand-in"
_WIDTH = 0.15  # small, so that a whole miniature competition is embedded in seconds


def choose_embedder(where: str | None, folder: Path) -> Path:
    """Path of the embedder: `where` itself or a file of that name, else Perch, else a stand-in made in `folder`."""
    if where != STANDIN:
        try:
            return find_embedder(where or PERCH_FILE)
        except BadInput:
            if where or on_kaggle():  # a submission of a stand-in's heads would be worth nothing
                raise
    made = folder / f"standin-{fingerprint.of_lib()}"
    if not (made / "labels.csv").is_file():
        calls = recordings_from_elsewhere(MiniatureSpec())
        make_standin(made, scientific_names=list(calls), width=_WIDTH, calls=calls)
    return made / "standin.onnx"
