"""A stand-in for Perch v2, made in seconds: its interface and its scopes, EfficientNet-B3 with random weights inside.

Nothing is trained but the label head, in closed form. Random features separate sounds as random projections do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lib.competition.miniature.elsewhere import field_noise
from lib.competition.row_ids import SAMPLE_RATE, WINDOW_SAMPLES
from lib.models.runtime.onnx import OnnxSession
from lib.models.standin.graph import Graph
from lib.models.standin.labels import STANDIN_LABELS, label_table, write_labels
from lib.models.standin.mel import FRAMES, add_spectrogram
from lib.models.standin.network import EMBEDDING, PLACES, Tower
from lib.sound.mel.config import PERCH_FRONT_END

_INPUTS = {"inputs": ["rows", WINDOW_SAMPLES]}
_AT_ONCE = 16  # made sounds, which are measured together; and windows, to bound the memory
_RIDGE = 0.1  # of the mean squared length of an embedding
_SPAN, _SILENT = 10.0, -5.0  # a logit is -5 where the predicted share is 0, and 5 where it is 1
_NOISE_RANK = 8  # of the logits that mean nothing: as many columns' weights would make the file too large


def make_standin(
    folder: Path,
    *,
    scientific_names: Sequence[str],
    width: float,
    seed: int = 0,
    calls: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write `standin.onnx`, and `labels.csv` beside it; return its path. Perch's own size is width 1.2.

    `calls` has (windows, 160000) calls by scientific name. A label without calls gets a logit that means nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    calls = dict(calls or {})
    labels = label_table(list(dict.fromkeys([*scientific_names, *calls])), np.random.default_rng([seed, 1]))
    maker = _Maker(width, seed, _sample(calls) if calls else None)
    path = folder / "standin.onnx"
    maker.write(path, labels, list(calls), _ridge(maker, calls) if calls else None)
    write_labels(folder / "labels.csv", labels)
    return path


class _Maker:
    """Builds the graph as often as it is needed: to measure its scales, to embed the training calls, and for good."""

    def __init__(self, width: float, seed: int, calls: np.ndarray | None):
        self._width, self._seed = width, seed
        self._scales: dict[str, tuple[np.ndarray, ...]] = {}
        sounds = _synthetic_sounds(np.random.default_rng([seed, 2]))
        measured = self._measure(sounds)
        for key in {name.partition(":")[2] for name in measured if name != "pooled"}:
            self._scales[key] = tuple(measured[f"{what}:{key}"].ravel() for what in ("mean", "spread"))
        pooled = measured["pooled"] if calls is None else self._measure(calls)["pooled"]
        self._centre, self._spread = pooled.mean(axis=(0, 2, 3)), pooled.std(axis=(0, 2, 3))

    def _measure(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        """The features' means over their places, and each convolution's scale while it is not known."""
        graph = Graph()
        features = self._tower(graph)[1]
        graph.add_output(graph.add("GlobalAveragePool", features), "pooled", ["rows", EMBEDDING, 1, 1])
        return _run(graph, sounds, list(graph.outputs))

    def embeddings(self, windows: np.ndarray) -> np.ndarray:
        """(windows, 1536) float32."""
        graph = Graph()
        self._add_embedding(graph)
        return _run(graph, windows, ["embedding"])["embedding"]

    def write(
        self, path: Path, labels: list[str], trained: list[str], head: tuple[np.ndarray, np.ndarray] | None
    ) -> None:
        """Write the whole: the trained labels' logits in their columns, weak noise in all others."""
        rng = np.random.default_rng([self._seed, 3])
        graph = Graph()
        embedding = self._add_embedding(graph)
        few = graph.add("MatMul", embedding, rng.normal(size=(EMBEDDING, _NOISE_RANK)) / EMBEDDING)
        noise = graph.add("MatMul", few, rng.normal(size=(_NOISE_RANK, STANDIN_LABELS - len(trained))))
        logits = graph.add("Add", noise, _SILENT)
        if head is not None:
            logits = graph.add("Concat", graph.add("Gemm", embedding, *head), logits, axis=1)
        column, rest = {name: place for place, name in enumerate(trained)}, iter(range(len(trained), STANDIN_LABELS))
        order = np.array([column[name] if name in column else next(rest) for name in labels])
        graph.add_output(graph.add("Gather", logits, order, axis=1), "label", ["rows", STANDIN_LABELS])
        graph.save(path, _INPUTS)

    def _tower(self, graph: Graph) -> tuple[str, str]:
        """The names of the spectrogram and of the features, with the same weights whenever they are built."""
        spectrogram = add_spectrogram(graph, "inputs")
        rng = np.random.default_rng([self._seed, 0])
        return spectrogram, Tower(graph, self._width, rng, self._scales).add(spectrogram)

    def _add_embedding(self, graph: Graph) -> str:
        """The name of the embedding; it, its places and the spectrogram are outputs."""
        spectrogram, features = self._tower(graph)
        centred = graph.add("Sub", graph.add("Transpose", features, perm=[0, 2, 3, 1]), self._centre)
        spatial = graph.add("Div", centred, self._spread)
        embedding = graph.add("ReduceMean", spatial, axes=[1, 2], keepdims=0)
        graph.add_output(spectrogram, "spectrogram", ["rows", FRAMES, PERCH_FRONT_END.n_mels])
        graph.add_output(spatial, "spatial_embedding", ["rows", *PLACES, EMBEDDING])
        graph.add_output(embedding, "embedding", ["rows", EMBEDDING])
        return embedding


def _sample(by_species: Mapping[str, np.ndarray]) -> np.ndarray:
    """(16, 160000) of the calls, evenly from all species."""
    calls = np.concatenate(list(by_species.values()))
    return calls[np.linspace(0, len(calls) - 1, _AT_ONCE).round().astype(int)]


def _synthetic_sounds(rng: np.random.Generator) -> np.ndarray:
    """(16, 160000) float32: rows of gliding tones over noise, near and far."""
    time_s = np.arange(WINDOW_SAMPLES) / SAMPLE_RATE
    sounds = np.empty((_AT_ONCE, WINDOW_SAMPLES), dtype=np.float32)
    for sound in sounds:
        low_hz, octaves, per_s = 2 ** rng.uniform(8, 12.5), rng.uniform(-0.5, 0.5), rng.uniform(0.5, 12)
        share = per_s * time_s % 1
        phase = 2 * np.pi * np.cumsum(low_hz * 2 ** (octaves * share)) / SAMPLE_RATE
        mixed = np.sin(phase) * np.sin(np.pi * share) ** 2 + 10 ** rng.uniform(-1.5, 0.5) * field_noise(rng)
        sound[:] = 10 ** rng.uniform(-2.0, -0.3) * mixed / np.abs(mixed).max()
    return sounds


def _run(graph: Graph, windows: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """The graph's outputs of these names for the windows, sixteen at a time."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        graph.save(path, _INPUTS)
        session = OnnxSession(path, inputs=list(_INPUTS), outputs=names)
        outputs = [session.run(inputs=windows[at : at + _AT_ONCE]) for at in range(0, len(windows), _AT_ONCE)]
    return {name: np.concatenate(parts) for name, *parts in zip(names, *outputs, strict=True)}


def _ridge(maker: _Maker, calls: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weights (1536, species) and bias of a ridge regression of the calling species, solved at once."""
    counts = [len(windows) for windows in calls.values()]
    embeddings = maker.embeddings(np.concatenate(list(calls.values()))).astype(np.float64)
    truth = np.repeat(np.eye(len(counts)), counts, axis=0)
    centre, share = embeddings.mean(axis=0), truth.mean(axis=0)
    products = (embeddings - centre) @ (embeddings - centre).T
    ridge = _RIDGE * np.trace(products) / len(embeddings) * np.eye(len(embeddings))
    weights = (embeddings - centre).T @ np.linalg.solve(products + ridge, truth - share)
    return _SPAN * weights, _SPAN * (share - centre @ weights) + _SILENT
