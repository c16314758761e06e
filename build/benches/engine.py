"""The submission engine against the public baseline and against its own floor, in one run: same files, same models.

The floor is what the models alone take when spectrograms, windows and tokens lie ready, in the better of two layouts: a
file a thread, or all threads on one file. It has no post-processing; the others share theirs.

python -m build.benches.engine [--soundscapes 12] [--rounds 4]
"""

import contextlib
import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import pandas as pd

from build.benches.data import NETWORKS, ROUNDS, EngineBenchData, print_report
from build.benches.models import FRONT_END, WINDOWS
from build.benches.public_baseline import PublicBaseline, Tables, head_inputs, run_model, session
from build.project import ROOT
from lib.blend.mix import percentile_ranks
from lib.blend.recipe import BlendResult
from lib.competition.row_ids import row_ids
from lib.models.embedder.packed import open_embedder
from lib.models.runtime.agreement import rank_agreement
from lib.models.runtime.onnx import OnnxFile
from lib.sound.decode import decode, soundscape_windows
from lib.submit.budget import Clock
from lib.submit.engine import OpenedRecipe, execute, open_members, prior_scores
from lib.submit.stream import StreamResult, score_soundscapes

_COMPARED = 3  # soundscapes that both score once more
OURS, PUBLIC = "ours", "public baseline"
FLOORS = ("floor, a file a thread", "floor, all threads on a file")

_FRESH = """
import sys
from pathlib import Path

import lib.submit.receipt, lib.submit.writer
from lib.blend.recipe_file import load_recipe
from lib.competition.classes import read_class_list
from lib.submit.engine import open_members

folder = Path(sys.argv[1])
open_members(load_recipe(folder / "bench.json"), sorted((folder / "members").iterdir()), read_class_list(folder))
"""


class Floor:
    """All models' sessions, run on ready inputs of each file."""

    def __init__(self, data: EngineBenchData, inputs: Mapping[Path, Tables], *, all_on_one: bool):
        cores = cpu_count() or 1
        self._workers, threads = (1, cores) if all_on_one else (cores, 1)
        models = [path for name in (NETWORKS, *data.heads) for path in data.folds(name)]
        self._sessions = [session(path, threads) for path in (*models, data.embedder_file)]
        self._inputs = inputs

    def run(self, files: Sequence[Path]) -> None:
        """Run every model on every file."""
        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(lambda file: [run_model(each, self._inputs[file]) for each in self._sessions], files))


def model_inputs(data: EngineBenchData, file: Path) -> Tables:
    """The models' inputs for a file, by name."""
    audio, embedder = decode(file), open_embedder(data.embedder, data.classes)
    windows = soundscape_windows(audio)
    tables = {"spectrogram": WINDOWS.spectrograms(audio, FRONT_END), "inputs": windows}
    return tables | head_inputs(file, embedder.embed(windows).by_name())


@contextlib.contextmanager
def timed_sessions() -> Iterator[list[tuple[float, float]]]:
    """The CPU and wall seconds of each call of a session of ours within the block, as they come."""
    seconds: list[tuple[float, float]] = []
    run_outputs = OnnxFile.run_outputs

    def timed(self: OnnxFile, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
        cpu, wall = time.thread_time(), time.perf_counter()
        results = run_outputs(self, outputs, **inputs)
        seconds.append((time.thread_time() - cpu, time.perf_counter() - wall))
        return results

    with mock.patch.object(OnnxFile, "run_outputs", timed):
        yield seconds


def share_in_sessions(call: Callable[[], object]) -> tuple[float, float]:
    """The shares of a call's CPU and wall seconds that its sessions take, each of which works on one thread."""
    with timed_sessions() as seconds:
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return sum(each for each, _ in seconds) / cpu, sum(each for _, each in seconds) / wall


def score_files(data: EngineBenchData, opened: OpenedRecipe, files: Sequence[Path]) -> StreamResult:
    """The engine's scores of the files by its members, without its printed lines."""
    rows = [row for file in files for row in row_ids(file.stem)]
    prior = prior_scores(rows, opened.members["prior"], data.classes)
    with contextlib.redirect_stdout(io.StringIO()):
        return score_soundscapes(files, opened.members, opened.usable_recipe.members, prior, Clock())


def measure_seconds(calls: Mapping[str, Callable[[Sequence], object]], items: Sequence, rounds: int) -> pd.DataFrame:
    """One row a candidate: CPU and wall seconds an item, medians of rounds in which all take their turn at a share."""
    shares = [items[start::rounds] for start in range(rounds)]
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():
        call(shares[0][:1])  # uncounted: memory is touched for the first time
    for share in shares:
        for name, call in calls.items():
            cpu, wall = time.process_time(), time.perf_counter()
            call(share)
            seen[name].append(((time.process_time() - cpu) / len(share), (time.perf_counter() - wall) / len(share)))
    medians = {name: [median(each) for each in zip(*both, strict=True)] for name, both in seen.items()}
    return pd.DataFrame.from_dict(medians, orient="index", columns=["CPU s/file", "wall s/file"])


def start_up(data: EngineBenchData) -> tuple[float, float]:
    """CPU and wall seconds of a fresh process that imports the engine and opens the recipe's members."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    cpu, wall = used(), time.perf_counter()
    subprocess.run([sys.executable, "-c", _FRESH, data.folder], cwd=ROOT, check=True)
    return used() - cpu, time.perf_counter() - wall


def differences(
    data: EngineBenchData, opened: OpenedRecipe, plain: PublicBaseline, files: Sequence[Path]
) -> pd.DataFrame:
    """One row a member, and one for the blend: differences of ours from the public baseline, in value and in rank."""
    scored, parts = score_files(data, opened, files), plain.parts(files)
    pairs = {name: (parts[name], scores) for name, scores in scored.member_scores.items()}
    ranks = percentile_ranks(data.recipe.execute(parts).scores)
    pairs["blend"] = (ranks, execute(opened.usable_recipe, scored).scores)
    return pd.DataFrame.from_dict(
        {
            name: {
                "largest": np.abs(theirs.values - ours.values).max(),
                "lowest rank agreement": rank_agreement(theirs.values, ours.values).min(),
            }
            for name, (theirs, ours) in pairs.items()
        },
        orient="index",
    )


def report(data: EngineBenchData, rounds: int = ROUNDS) -> Iterator[str]:
    """The bench's tables and lines, as they come."""
    files = data.files
    opened = open_members(data.recipe, data.members, data.classes)
    plain, inputs = PublicBaseline(data, opened.members["prior"]), {file: model_inputs(data, file) for file in files}
    floors = {name: Floor(data, inputs, all_on_one=name == FLOORS[1]) for name in FLOORS}

    def ours(share: Sequence[Path]) -> BlendResult:
        return execute(opened.usable_recipe, score_files(data, opened, share))

    calls = {OURS: ours, PUBLIC: plain.scores}
    table = measure_seconds(calls | {name: floor.run for name, floor in floors.items()}, files, rounds)
    ours_s, floor_s = table["CPU s/file"][OURS], table["CPU s/file"][list(FLOORS)].min()
    yield table.assign(**{"CPU by ours": table["CPU s/file"] / ours_s}).round(3).to_string()
    within, _ = share_in_sessions(lambda: ours(files[:_COMPARED]))
    yield f"ours takes {ours_s / floor_s:.2f} times the floor's CPU, and {1 / within:.2f} times its own sessions'"
    yield differences(data, opened, plain, files[:_COMPARED]).to_string()
    yield "a fresh process opens it all in {:.1f} s of CPU, {:.1f} s of wall time".format(*start_up(data))


if __name__ == "__main__":
    sys.exit(print_report(report, __doc__))
