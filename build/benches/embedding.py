"""Embedding and runtimes, in one run: what hearing costs beside the embedder's session, what heads cost beside the
embedder, and the same graphs in ONNX Runtime with other options and in OpenVINO.

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

from build.benches.data import NETWORKS, ROUNDS, World, print_alone
from build.benches.engine import fed_models, share_in_sessions, spent
from build.benches.public_baseline import session
from lib.competition.row_ids import parse_soundscape
from lib.core import fingerprint
from lib.learn.cache.embeddings import EmbedderRef, RecordingToEmbed, embed_recordings
from lib.models.embedder.packed import open_embedder
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.models.runtime.agreement import runtime_agreement
from lib.models.runtime.onnx import OnnxSession
from lib.models.runtime.openvino import OpenvinoSession, multiplies_bfloat16, openvino_installed
from lib.sound.decode import decode

HEARING = "hearing, as the embedding cache does"


@dataclass(frozen=True)
class Graph:
    """A model file, and the one input and output that are looked at."""

    path: Path
    input: str
    output: str


def hearing(world: World, folder: Path) -> Callable[[Sequence[Path]], None]:
    """Files decoded, heard and kept as one worker of the embedding cache does it."""
    ear = EmbedderRef(world.embedder, open_embedder(world.embedder, world.classes).manifest, world.classes)

    def kept(files: Sequence[Path]) -> None:
        sounds = [RecordingToEmbed(file, fingerprint.of_file(file), 0, folder / f"{file.stem}.npz") for file in files]
        assert not any(heard.problem for heard in embed_recordings(ear, sounds))

    return kept


def heads(world: World) -> dict[str, Callable[[Sequence[Path]], object]]:
    """Each head on what the embedder said before."""
    members = {name: open_member(world.folder / "members" / name, world.classes) for name in world.heads}
    hearings = {file: SoundscapeInputs(parse_soundscape(file.name), decode(file)) for file in world.files}
    for heard in hearings.values():
        members[world.heads[0]].score(heard)  # which lets the embedder speak, once for all heads

    return {
        f"head {name}": lambda files, member=member: [member.score(hearings[file]) for file in files]
        for name, member in members.items()
    }


def runtimes(graph: Graph) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The graph, opened in every way that is compared; ours first."""
    names = {"inputs": [graph.input], "outputs": [graph.output]}

    def bare(opened: onnxruntime.InferenceSession) -> Callable[[np.ndarray], np.ndarray]:
        return lambda values: opened.run(names["outputs"], {graph.input: values})[0]

    opened = {"ours: one thread": OnnxSession(graph.path, **names)}
    if openvino_installed():
        opened["OpenVINO, float32"] = OpenvinoSession(graph.path, **names)
        if multiplies_bfloat16():
            opened["OpenVINO, bfloat16"] = OpenvinoSession(graph.path, **names, precision="bf16")
    ways = {name: lambda values, each=each: each.run(**{graph.input: values})[0] for name, each in opened.items()}
    ways["default options"] = bare(session(graph.path))
    ways[f"{cpu_count()} threads that sleep while they wait"] = bare(session(graph.path, cpu_count()))
    return ways


def compared(graph: Graph, batches: Sequence[np.ndarray], rounds: int) -> pd.DataFrame:
    """A row a way to run the graph: CPU and wall seconds a file, and how it ranks windows beside ours."""
    ways = runtimes(graph)
    table = spent({name: lambda share, run=run: list(map(run, share)) for name, run in ways.items()}, batches, rounds)
    tables = {name: np.concatenate([run(batch) for batch in batches[:rounds]]) for name, run in ways.items()}
    ours = next(iter(tables.values()))
    table["rank agreement"] = [runtime_agreement(ours, tables[name]).median for name in table.index]
    return table


def report(world: World, rounds: int = ROUNDS) -> Iterator[str]:
    """The bench's tables and lines, as they come."""
    files = world.files
    fed = {file: fed_models(world, file) for file in files}
    with tempfile.TemporaryDirectory() as folder:
        hear = hearing(world, Path(folder))
        table = spent({HEARING: hear} | heads(world), files, rounds)
        cpu, wall = share_in_sessions(lambda: hear(files))
    seconds = table["CPU s/file"]
    yield table.round(4).to_string()
    yield (
        f"the embedder's session takes {cpu:.1%} of a worker's CPU and {wall:.1%} of its time; the heads together add "
        f"{seconds.drop(HEARING).sum() / seconds[HEARING]:.1%}"
    )
    graphs = {
        "the embedder": Graph(world.embedder_file, "inputs", "embedding"),
        "a network": Graph(world.folds(NETWORKS)[0], "picture", "clip_logits"),
    }
    for name, graph in graphs.items():
        batches = [fed[file][graph.input] for file in files[:rounds]]
        yield f"{name}\n{compared(graph, batches, rounds).round(4).to_string()}"


if __name__ == "__main__":
    sys.exit(print_alone(report, __doc__))
