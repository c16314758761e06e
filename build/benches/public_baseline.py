"""The public baseline: scoring soundscapes as most public notebooks do, with the same models.

It loads with soundfile (torchaudio.load now needs torchcodec), makes each window's spectrogram with torchaudio, opens
every fold with default options, and goes file by file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import torch
from scipy.special import expit

from build.benches.data import NETWORKS, EngineBenchData
from build.benches.models import FRONT_END, WINDOWS
from build.benches.training import torchaudio_mel
from lib.competition.row_ids import WINDOW_SAMPLES, parse_soundscape, row_ids
from lib.competition.scores import Scores
from lib.models.member.head import site_number
from lib.models.member.open import Member
from lib.models.network.pretrained import load_torchaudio
from lib.submit.engine import prior_scores

Tables = dict[str, np.ndarray]
_UNREAD = ("spectrogram", "spatial_embedding")  # Perch's other outputs: taking them costs memory


class PublicBaseline:
    """The sessions of all models."""

    def __init__(self, data: EngineBenchData, prior: Member):
        self._data, self._prior = data, prior
        self._mel, self._decibels = torchaudio_mel(FRONT_END), load_torchaudio().transforms.AmplitudeToDB(top_db=80)
        self._folds = {name: [session(path) for path in data.folds(name)] for name in (NETWORKS, *data.heads)}
        self._perch = session(data.embedder_file)

    def scores(self, files: Sequence[Path]) -> Scores:
        """The recipe's scores of the files."""
        return self._data.recipe.execute(self.parts(files)).scores

    def parts(self, files: Sequence[Path]) -> dict[str, Scores]:
        """Each member's probabilities."""
        rows = tuple(row for file in files for row in row_ids(file.stem))
        tables = [self._predict(file) for file in files]
        joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        parts = {name: Scores(table, rows, self._data.classes.labels, "prob") for name, table in joined.items()}
        return parts | {"prior": prior_scores(rows, self._prior, self._data.classes)}

    def _predict(self, file: Path) -> Tables:
        """(12, classes) probabilities by member."""
        audio, _ = soundfile.read(file, dtype="float32")
        windows = audio.reshape(-1, WINDOW_SAMPLES)
        spectrograms = np.stack([self._spectrogram(window) for window in windows])
        outputs = [fold.run(None, {"spectrogram": spectrograms}) for fold in self._folds[NETWORKS]]
        networks = [WINDOWS.probabilities(*each) for each in outputs]
        embedding, labels = self._perch.run(["embedding", "label"], {"inputs": windows})
        inputs = head_inputs(file, {"embedding": embedding, "logits": self._data.label_map.logits(labels)})
        heads = {
            name: [expit(run_model(fold, inputs)[0][0]) for fold in self._folds[name]] for name in self._data.heads
        }
        return {name: np.mean(tables, axis=0) for name, tables in {NETWORKS: networks, **heads}.items()}

    def _spectrogram(self, window: np.ndarray) -> np.ndarray:
        """(1, mels, frames)."""
        mel = self._decibels(self._mel(torch.from_numpy(window)))
        return ((mel - mel.mean()) / mel.std(correction=0))[None].numpy()


def session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session with default options, or with so many threads that sleep while they wait."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def head_inputs(file: Path, tokens: Mapping[str, np.ndarray]) -> Tables:
    """The inputs of heads for a file, by name."""
    soundscape = parse_soundscape(file.name)
    context = {"site": site_number(soundscape.site, [soundscape.site]), "hour": soundscape.hour}
    numbers = {name: np.array([value], dtype=np.int64) for name, value in context.items()}
    return {name: value[None] for name, value in tokens.items()} | numbers


def run_model(model: onnxruntime.InferenceSession, values: Tables) -> list[np.ndarray]:
    """The model's outputs, but for those that are not used, given those of the values that it reads."""
    outputs = [each.name for each in model.get_outputs() if each.name not in _UNREAD]
    return model.run(outputs, {each.name: values[each.name] for each in model.get_inputs()})
