"""The submission engine against the plain public way and against its own floor, in one run: same files, same models.

The floor is what the models alone take when pictures, windows and tokens lie ready, in the better of two layouts: a
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

import numpy as np
import pandas as pd

from build.benches.data import NETWORKS, ROUNDS, World, print_alone
from build.benches.models import FRONT_END, LISTENING
from build.benches.public_baseline import PlainWay, Tables, asked, feed, session
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

_COMPARED = 3  # soundscapes: both ways once more
OURS, PLAIN = "ours", "the plain way"
FLOORS = ("floor, a file a thread", "floor, all threads on a file")

_FRESH = """
import sys
from pathlib import Path

import lib.submit.receipt, lib.submit.writer
from lib.blend.recipe import load_recipe
from lib.competition.classes import read_class_list
from lib.submit.engine import open_members

folder = Path(sys.argv[1])
open_members(load_recipe(folder / "bench.json"), sorted((folder / "members").iterdir()), read_class_list(folder))
"""


class Floor:
    """All models' sessions, asked what `fed` holds for each file."""

    def __init__(self, world: World, fed: Mapping[Path, Tables], *, all_on_one: bool):
        self._workers, threads = (1, cpu_count()) if all_on_one else (cpu_count(), 1)
        models = [path for name in (NETWORKS, *world.heads) for path in world.folds(name)]
        self._sessions = [session(path, threads) for path in (*models, world.embedder_file)]
        self._fed = fed

    def answer(self, files: Sequence[Path]) -> None:
        """Let every model answer for every file."""
        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(lambda file: [asked(each, self._fed[file]) for each in self._sessions], files))


def fed_models(world: World, file: Path) -> Tables:
    """What the models are fed for a file, by input."""
    audio, embedder = decode(file), open_embedder(world.embedder, world.classes)
    windows = soundscape_windows(audio)
    pictures = {"spectrogram": LISTENING.spectrograms(audio, FRONT_END), "inputs": windows}
    return pictures | feed(file, embedder.embed(windows).named())


@contextlib.contextmanager
def timed_sessions() -> Iterator[list[tuple[float, float]]]:
    """The CPU and wall seconds of each call of a session of ours within the block, as they come."""
    seconds, ask = [], OnnxFile.run_outputs

    def timed(self: OnnxFile, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
        cpu, wall = time.thread_time(), time.perf_counter()
        answers = ask(self, outputs, **inputs)
        seconds.append((time.thread_time() - cpu, time.perf_counter() - wall))
        return answers

    OnnxFile.run_outputs = timed
    try:
        yield seconds
    finally:
        OnnxFile.run_outputs = ask


def share_in_sessions(call: Callable[[], object]) -> tuple[float, float]:
    """The shares of a call's CPU and wall seconds that its sessions take, each of which works on one thread."""
    with timed_sessions() as seconds:
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return sum(each for each, _ in seconds) / cpu, sum(each for _, each in seconds) / wall


def heard_by(world: World, opened: OpenedRecipe, files: Sequence[Path]) -> StreamResult:
    """What the engine's members say of the files, without a word about it."""
    rows = [row for file in files for row in row_ids(file.stem)]
    prior = prior_scores(rows, opened.members["prior"], world.classes)
    with contextlib.redirect_stdout(io.StringIO()):
        return score_soundscapes(files, opened.members, opened.usable_recipe.members, prior, Clock())


def spent(calls: Mapping[str, Callable[[Sequence], object]], items: Sequence, rounds: int) -> pd.DataFrame:
    """A row a candidate: CPU and wall seconds an item, medians of rounds in which all take their turn at a share."""
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


def start_up(world: World) -> tuple[float, float]:
    """CPU and wall seconds of a fresh process that imports the engine and opens the recipe's members."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    cpu, wall = used(), time.perf_counter()
    subprocess.run([sys.executable, "-c", _FRESH, world.folder], cwd=ROOT, check=True)
    return used() - cpu, time.perf_counter() - wall


def differences(world: World, opened: OpenedRecipe, plain: PlainWay, files: Sequence[Path]) -> pd.DataFrame:
    """A row a member, and one for the answer: how far ours lies from the plain way's, in value and in rank."""
    heard, parts = heard_by(world, opened, files), plain.parts(files)
    pairs = {name: (parts[name], scores) for name, scores in heard.member_scores.items()}
    ranks = percentile_ranks(world.recipe.execute(parts).scores)
    pairs["the answer"] = (ranks, execute(opened.usable_recipe, heard).scores)
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


def report(world: World, rounds: int = ROUNDS) -> Iterator[str]:
    """The bench's tables and lines, as they come."""
    files = world.files
    opened = open_members(world.recipe, world.members, world.classes)
    plain, fed = PlainWay(world, opened.members["prior"]), {file: fed_models(world, file) for file in files}
    floors = {name: Floor(world, fed, all_on_one=name == FLOORS[1]) for name in FLOORS}

    def ours(share: Sequence[Path]) -> BlendResult:
        return execute(opened.usable_recipe, heard_by(world, opened, share))

    calls = {OURS: ours, PLAIN: plain.scores}
    table = spent(calls | {name: floor.answer for name, floor in floors.items()}, files, rounds)
    ours_s, floor_s = table["CPU s/file"][OURS], table["CPU s/file"][list(FLOORS)].min()
    yield table.assign(**{"CPU by ours": table["CPU s/file"] / ours_s}).round(3).to_string()
    within, _ = share_in_sessions(lambda: ours(files[:_COMPARED]))
    yield f"ours takes {ours_s / floor_s:.2f} times the floor's CPU, and {1 / within:.2f} times its own sessions'"
    yield differences(world, opened, plain, files[:_COMPARED]).to_string()
    yield "a fresh process opens it all in {:.1f} s of CPU, {:.1f} s of wall time".format(*start_up(world))


if __name__ == "__main__":
    sys.exit(print_alone(report, __doc__))
