"""Embedding and runtimes, in one run: the cost of embedding beside the embedder's session, of heads beside the
embedder, and of the same graphs in ONNX Runtime with other options and in OpenVINO.

python -m build.benches.embedding [--soundscapes 12] [--rounds 4]
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from build.benches.data import NETWORKS, ROUNDS, EngineBenchData, print_report
from build.benches.engine import measure_seconds, model_inputs, share_in_sessions
from build.benches.public_baseline import session
from lib.competition.row_ids import parse_soundscape
from lib.core import fingerprint
from lib.learn.cache.embeddings import EmbedderRef, RecordingToEmbed, embed_recordings
from lib.models.embedder.packed import open_embedder
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import Member, open_member
from lib.models.runtime.agreement import runtime_agreement
from lib.models.runtime.onnx import OnnxSession
from lib.models.runtime.openvino import OpenvinoSession, multiplies_bfloat16, openvino_installed
from lib.sound.decode import decode

EMBEDDING = "embedding, as the cache does"


@dataclass(frozen=True)
class Graph:
    """A model file, and the one input and output that are compared."""

    path: Path
    input: str
    output: str


def embed_files(data: EngineBenchData, folder: Path) -> Callable[[Sequence[Path]], None]:
    """A call that decodes, embeds and stores files as one worker of the embedding cache does."""
    embedder = EmbedderRef(data.embedder, open_embedder(data.embedder, data.classes).manifest, data.classes)

    def embed(files: Sequence[Path]) -> None:
        sounds = [RecordingToEmbed(file, fingerprint.of_file(file), 0, folder / f"{file.stem}.npz") for file in files]
        assert not any(result.problem for result in embed_recordings(embedder, sounds))

    return embed


def heads(data: EngineBenchData) -> dict[str, Callable[[Sequence[Path]], object]]:
    """Calls of each head on embeddings that are computed before."""
    members = {name: open_member(data.folder / "members" / name, data.classes) for name in data.heads}
    inputs = {file: SoundscapeInputs(parse_soundscape(file.name), decode(file)) for file in data.files}
    for of_file in inputs.values():
        members[data.heads[0]].score(of_file)  # embeds the file, once for all heads

    def score(member: Member) -> Callable[[Sequence[Path]], object]:
        return lambda files: [member.score(inputs[file]) for file in files]

    return {f"head {name}": score(member) for name, member in members.items()}


def runtimes(graph: Graph) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The graph, opened in each runtime that is compared; ours first."""
    inputs, outputs = [graph.input], [graph.output]

    def ours(opened: OnnxSession | OpenvinoSession) -> Callable[[np.ndarray], np.ndarray]:
        return lambda values: opened.run(**{graph.input: values})[0]

    def bare(opened: onnxruntime.InferenceSession) -> Callable[[np.ndarray], np.ndarray]:
        return lambda values: opened.run(outputs, {graph.input: values})[0]

    calls = {"ours: one thread": ours(OnnxSession(graph.path, inputs=inputs, outputs=outputs))}
    if openvino_installed():
        calls["OpenVINO, float32"] = ours(OpenvinoSession(graph.path, inputs=inputs, outputs=outputs))
        if multiplies_bfloat16():
            bf16 = OpenvinoSession(graph.path, inputs=inputs, outputs=outputs, precision="bf16")
            calls["OpenVINO, bfloat16"] = ours(bf16)
    calls["default options"] = bare(session(graph.path))
    calls[f"{cpu_count()} threads that sleep while they wait"] = bare(session(graph.path, cpu_count()))
    return calls


def compare_runtimes(graph: Graph, batches: Sequence[np.ndarray], rounds: int) -> pd.DataFrame:
    """One row a runtime: CPU and wall seconds a file, and the agreement of its ranks with ours."""
    calls = runtimes(graph)

    def run_all(run: Callable[[np.ndarray], np.ndarray]) -> Callable[[Sequence], object]:
        return lambda share: list(map(run, share))

    table = measure_seconds({name: run_all(run) for name, run in calls.items()}, batches, rounds)
    tables = {name: np.concatenate([run(batch) for batch in batches[:rounds]]) for name, run in calls.items()}
    ours = next(iter(tables.values()))
    table["rank agreement"] = [runtime_agreement(ours, tables[name]).median for name in table.index]
    return table


def report(data: EngineBenchData, rounds: int = ROUNDS) -> Iterator[str]:
    """The bench's tables and lines, as they come."""
    files = data.files
    inputs = {file: model_inputs(data, file) for file in files}
    with tempfile.TemporaryDirectory() as folder:
        embed = embed_files(data, Path(folder))
        table = measure_seconds({EMBEDDING: embed} | heads(data), files, rounds)
        cpu, wall = share_in_sessions(lambda: embed(files))
    seconds = table["CPU s/file"]
    yield table.round(4).to_string()
    yield (
        f"the embedder's session takes {cpu:.1%} of a worker's CPU and {wall:.1%} of its time; the heads together add "
        f"{seconds.drop(EMBEDDING).sum() / seconds[EMBEDDING]:.1%}"
    )
    graphs = {
        "the embedder": Graph(data.embedder_file, "inputs", "embedding"),
        "a network": Graph(data.folds(NETWORKS)[0], "spectrogram", "clip_logits"),
    }
    for name, graph in graphs.items():
        batches = [inputs[file][graph.input] for file in files[:rounds]]
        yield f"{name}\n{compare_runtimes(graph, batches, rounds).round(4).to_string()}"


if __name__ == "__main__":
    sys.exit(print_report(report, __doc__))
