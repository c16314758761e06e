"""Rehearse the submission: run the built kernel as Kaggle would, and check the files that it writes.

python -m build.rehearse --data data/mini --outputs runs/mini     from an empty folder, without network and checkout
"""

import argparse
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from build import inline
from build.cli.exit_codes import Parser, end, exit_code_of, failing_after_start, tool
from build.kaggle_io import wheels
from build.kaggle_io.datasets import sealed_folders
from build.kernels import metadata
from build.project import ROOT
from build.sandbox.image import IMAGES, image_python
from build.sandbox.room import Isolation, Room, choose_isolation, make_room, start_process
from build.sandbox.verdict import check_notebook, load_receipt, load_submission, score_rerun
from lib.core.errors import BadInput

KERNEL = "pantanal-06-submission"
MODES = ("public", "rerun")
LIMIT_S = 5400.0
NOTEBOOK = "__notebook__.ipynb"
_TAIL_LINES = 25
_POLL_S = 0.2
_UNSHOWN = ("Executing Cell", "Ending Cell", "[IPKernelApp]", "Input Notebook", "Output Notebook")


def rehearse(root: Path, given: argparse.Namespace, mode: str, python: Path) -> str:
    """Run once in one mode, keep the files in dist/rehearsal/<image>-<mode>/, and return a summary of the run."""
    notebook, data = load_built_kernel(root, given.kernel)
    inputs = input_folders(root, data, given, mode)
    variables = {"KAGGLE_KERNEL_RUN_TYPE": "Batch"} | ({"KAGGLE_IS_COMPETITION_RERUN": "1"} if mode == "rerun" else {})
    kept = root / "dist" / "rehearsal" / f"{given.image}-{mode}"
    if kept.exists():
        shutil.rmtree(kept)  # nothing of an earlier run may pass for this one's
    kept.mkdir(parents=True)
    hidden = tuple(dict.fromkeys((root.resolve(), ROOT)))
    with failing_after_start(), make_room(Room(python, inputs, variables, hidden)) as room:
        isolation = choose_isolation(room, given.open)
        print(f"== {mode}, image {given.image}, {isolation}", flush=True)
        executed = room.working / NOTEBOOK
        shutil.copyfile(notebook, executed)
        started = time.monotonic()
        try:
            code = _execute(room, isolation, given.limit, kept / "log.txt")
        finally:
            shutil.copy2(executed, kept / "executed.ipynb")
        summary = _check_run(room.working, kept, inputs, given, mode, code)
    return f"{mode}, image {given.image}: {summary}\n  {time.monotonic() - started:.0f} s in all, {isolation}"


def load_built_kernel(root: Path, slug: str) -> tuple[Path, dict]:
    """The built notebook and its metadata; a build that is missing, or older than its sources, is an error."""
    folder = root / "dist" / "kernels" / slug
    notebook, metadata_file = folder / f"{slug}.ipynb", folder / metadata.FILE
    build_first = "run `python -m build.inline` (or `make kernels`)"
    if not notebook.is_file() or not metadata_file.is_file():
        raise BadInput(f"{slug} is not built", expected=str(notebook), got="no such file", do=build_first)
    data = json.loads(metadata_file.read_text(encoding="utf-8"))
    owner = data["id"].partition("/")[0]
    chain = "dataset" if f"{owner}/{metadata.WEIGHTS}" in data.get("dataset_sources", []) else "kernels"
    expected = metadata.for_owner(metadata.with_chain(metadata.load_metadata(root)[KERNEL], chain), owner)
    made_of = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("pantanal", {})
    fresh = inline.build_kernel(root, KERNEL, expected, made_of.get("parameters", {}))
    if fresh.notebook != notebook.read_text(encoding="utf-8") or json.loads(fresh.metadata) != data:
        raise BadInput(
            f"{slug} was built from other sources",
            expected=f"lib {fresh.digest} and the notebook as they are now",
            got="an older build, or one edited by hand",
            do=build_first,
        )
    return notebook, data


def input_folders(root: Path, data: dict, given: argparse.Namespace, mode: str) -> dict[str, Path]:
    """The folders below /kaggle/input by the kernel's metadata: competition, earlier notebooks' outputs, datasets."""
    found = {f"competitions/{slug}": given.data / mode / slug for slug in data.get("competition_sources", [])}
    for source in data.get("kernel_sources", []):
        found[f"notebooks/{source}"] = given.outputs / Path(metadata.source_of(source.partition("/")[2])).stem
    for source in data.get("dataset_sources", []):
        found |= {f"datasets/{source}{name}": folder for name, folder in _dataset(root, source, given).items()}
    if missing := [f"{folder} (for {name})" for name, folder in found.items() if not folder.is_dir()]:
        raise BadInput(
            "inputs of the submission are missing",
            expected="a folder for each source in its metadata",
            got="no " + ", no ".join(missing),
            do="run the earlier notebooks (`make demo`), or give --data and --outputs",
        )
    return found


def _dataset(root: Path, source: str, given: argparse.Namespace) -> dict[str, Path]:
    """The folders that make up one dataset, by their place in it; wheels are collected where the image needs them."""
    slug, folder = source.partition("/")[2], root / "dist" / "wheels"
    if slug == metadata.WEIGHTS:
        return {f"/{name}": made for name, made in sealed_folders(given.outputs).items()}
    if slug != metadata.WHEELS:
        raise BadInput(
            f"no folder stands for the dataset {source}",
            expected=f"{metadata.WHEELS} or {metadata.WEIGHTS}",
            got=source,
            do="detach it in the kernel's metadata, or add its folder to build/rehearse.py",
        )
    if any(folder.glob("*.whl")):
        return {"": folder}
    if given.image == "kaggle":
        return {"": wheels.collect(root)}
    print(f"left out: {source}, since dist/wheels is not there and this Python has its own onnxruntime", flush=True)
    return {}


def _execute(room: Room, isolation: Isolation, limit_s: float, log: Path) -> int:
    """Run papermill in the room, show and keep its log, end everything it started, and return its exit status."""
    arguments = ["-m", "papermill", NOTEBOOK, NOTEBOOK, "--no-progress-bar", "--log-output"]
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output, log.open(encoding="utf-8", errors="replace") as reader:
        process = start_process(room, isolation, arguments, output)
        family = {psutil.Process(process.pid)}
        try:
            while process.poll() is None and time.monotonic() - started < limit_s:
                time.sleep(_POLL_S)
                family.update(_descendants(process.pid))
                _show(reader, started)
            in_time = process.poll() is not None
        finally:
            for member in family:
                with suppress(psutil.NoSuchProcess):  # ended by itself, which is what we want
                    member.kill()
        code = process.wait()
        _show(reader, started)
    if not in_time:
        raise BadInput(
            "the kernel ran over the time limit",
            expected=f"at most {limit_s:g} s",
            got=f"still running after {limit_s:g} s",
            do=f"see {os.path.relpath(log)} for the cell it was in, or raise --limit",
        )
    return code


def _descendants(pid: int) -> list[psutil.Process]:
    """Everything a process has started and that still runs; nothing when it has just ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _show(reader: IO[str], started: float) -> None:
    """Print the log's new lines, with the seconds since the start."""
    for line in reader.read().splitlines():
        if line.strip() and not line.startswith(_UNSHOWN):
            print(f"  {time.monotonic() - started:7.1f} s  {line}", flush=True)


def _check_run(
    working: Path, kept: Path, inputs: dict[str, Path], given: argparse.Namespace, mode: str, code: int
) -> str:
    """Check notebook, submission and receipt, keep the files, and return a summary of a few lines."""
    tail = "\n".join((kept / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
    check_notebook(kept / "executed.ipynb", code, tail)
    competition = next(folder for name, folder in inputs.items() if name.startswith("competitions/"))
    submission = load_submission(working / "submission.csv", competition)
    receipt = load_receipt(working / "receipt.json", mode, given.minutes)
    score = score_rerun(given.solution, submission) if given.solution and mode == "rerun" else None
    for name in ("submission.csv", "receipt.json"):
        shutil.copy2(working / name, kept / name)
    lines = [
        f"{len(submission)} rows of {len(submission.columns) - 1} classes, valid",
        f"{receipt['seconds_per_soundscape']:.3f} s a soundscape over {receipt['soundscapes']}; "
        f"600 would take {receipt['projected_minutes_600']:.1f} minutes",
        *([f"official score {score.value:.4f} over {score.classes} classes"] if score else []),
        *(f"ALARM {alarm}" for alarm in receipt["alarms"]),
        f"kept in {os.path.relpath(kept)}",
    ]
    return "\n  ".join(lines)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = Parser(__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "mini", help="holds <mode>/birdclef-2026")
    parser.add_argument("--outputs", type=Path, default=ROOT / "runs" / "mini", help="earlier notebooks' outputs")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--image", choices=IMAGES, default="here", help="this Python, or Kaggle's versions")
    parser.add_argument("--kernel", default=KERNEL, help="a folder of dist/kernels, for a variant (%(default)s)")
    parser.add_argument("--solution", type=Path, help="a CSV of the rerun's truth, for the official score")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds a run may take (%(default)g)")
    parser.add_argument("--minutes", type=float, default=90.0, help="projected minutes allowed for 600 soundscapes")
    parser.add_argument("--open", action="store_true", help="do not seal, even where the system could")
    return parser.parse_args(arguments)


def _modes(given: argparse.Namespace) -> tuple[str, ...]:
    """The modes to run; without a hidden test, as with the real data, only the public one."""
    if given.mode != "both":
        return (given.mode,)
    if not (given.data / "rerun").is_dir():
        print(f"{given.data} has no rerun folder: only the public mode is rehearsed")
        return ("public",)
    return MODES


@tool
def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line."""
    given = parse_arguments(arguments)
    summaries: list[str] = []
    mode = given.mode
    try:
        python = image_python(root, given.image)
        for mode in _modes(given):
            summaries.append(rehearse(root, given, mode, python))
    except BadInput as error:
        print("\n".join([*summaries, f"REHEARSAL FAILED, mode {mode}, image {given.image}: {error}"]), file=sys.stderr)
        return exit_code_of(error)
    print("\n" + "\n".join(summaries))
    return 0


if __name__ == "__main__":
    end(main)
