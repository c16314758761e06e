"""Make the miniature competition on disk: complete or not at all, and only when it does not exist yet."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd

from lib.competition.miniature.cast import Species, make_cast
from lib.competition.miniature.clips import Clip, plan_clips, render_clip
from lib.competition.miniature.ogg import encode_ogg
from lib.competition.miniature.plan import Scene, plan_scenes
from lib.competition.miniature.quirks import quirk_table
from lib.competition.miniature.scenes import render_scene
from lib.competition.miniature.sites import make_recordings
from lib.competition.miniature.spec import MiniatureSpec
from lib.competition.miniature.tables import (
    README_TEXT,
    SITE_TEXT,
    event_table,
    partial_windows,
    sample_table,
    solution_table,
    soundscape_label_table,
    taxonomy_table,
    train_table,
    truth_table,
)
from lib.competition.row_ids import SAMPLE_RATE
from lib.core.errors import BadInput
from lib.core.progress import progress

COMPETITION = "birdclef-2026"
INFO_FILE = "miniature.json"
_PUBLIC_SAMPLE_ROWS = 3


def make_miniature(root: Path, spec: MiniatureSpec | None = None, *, workers: int | None = None) -> Path:
    """The folder `root` holding the miniature of `spec` (the demo by default): found there, or made now."""
    root, spec = Path(root), spec or MiniatureSpec()
    if _is_current(root, spec):
        return root
    _refuse_foreign(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{root.name}.building-", dir=root.parent))
    try:
        building.chmod(0o755)
        _build(building, spec, workers or os.cpu_count() or 1)
        _move_in(building, root, spec)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


def read_info(root: Path) -> dict:
    """The contents of miniature.json: spec, fingerprint, counts and quirks; empty when there is none."""
    path = Path(root) / INFO_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def _is_current(root: Path, spec: MiniatureSpec) -> bool:
    return read_info(root).get("fingerprint") == spec.fingerprint()


def _refuse_foreign(root: Path) -> None:
    """Stop before a folder that is not a miniature would be replaced by one."""
    if root.exists() and not read_info(root) and (not root.is_dir() or any(root.iterdir())):
        raise BadInput(
            f"{root} holds something that is not a miniature competition",
            expected=f"a new or empty folder, or one with {INFO_FILE}",
            got="other files",
            do="give another folder, or empty this one yourself",
        )


def _move_in(building: Path, root: Path, spec: MiniatureSpec) -> None:
    """Move the finished folder to `root`; if another process was faster with the same miniature, keep that one."""
    doomed = building.with_name(building.name + "-replaced")
    try:
        if root.exists():
            root.rename(doomed)
        building.rename(root)
    except OSError:
        if not _is_current(root, spec):
            raise
    finally:
        shutil.rmtree(doomed, ignore_errors=True)


def _build(root: Path, spec: MiniatureSpec, workers: int) -> None:
    cast = make_cast(spec)
    clips = plan_clips(spec, cast)
    scenes = plan_scenes(spec, cast, make_recordings(spec))
    train = [scene for scene in scenes if scene.recording.role != "test"]
    test = [scene for scene in scenes if scene.recording.role == "test"]
    public, rerun, hidden = root / "public" / COMPETITION, root / "rerun" / COMPETITION, root / "hidden"
    for folder in (public / "train_soundscapes", public / "test_soundscapes", hidden):
        folder.mkdir(parents=True)
    for label in sorted({clip.label for clip in clips}):
        (public / "train_audio" / label).mkdir(parents=True)

    partly = partial_windows(spec, train)
    table = train_table(spec, cast, clips)
    _write_public_tables(public, spec, cast, table, soundscape_label_table(train, partly), test)
    (rerun / "test_soundscapes").mkdir(parents=True)
    shuffled = spec.stream("corrupt test").permutation([scene.recording.stem for scene in test]).tolist()
    corrupt = sorted(shuffled[: spec.corrupt_test])
    _run(_audio_jobs(spec, cast, clips, scenes, public, rerun, corrupt), workers)
    _link_tree(public, rerun)
    classes = [species.label for species in cast]
    sample = sample_table([scene.recording.stem for scene in test], classes)
    _write_csv(sample, rerun / "sample_submission.csv")
    _write_csv(solution_table(spec, test, classes), hidden / "solution.csv")
    _write_csv(truth_table(train, classes), hidden / "truth.csv")
    _write_csv(event_table(scenes), hidden / "events.csv")
    info = {
        "fingerprint": spec.fingerprint(),
        "spec": asdict(spec),
        "counts": _counts(cast, clips, scenes),
        "quirks": quirk_table(cast, clips, table, scenes, partly, corrupt),
    }
    (root / INFO_FILE).write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n")


def _write_public_tables(
    public: Path, spec: MiniatureSpec, cast: list[Species], train: pd.DataFrame, labels: pd.DataFrame, test: list[Scene]
) -> None:
    classes = [species.label for species in cast]
    _write_csv(train, public / "train.csv")
    _write_csv(taxonomy_table(cast), public / "taxonomy.csv")
    _write_csv(labels, public / "train_soundscapes_labels.csv")
    _write_csv(
        sample_table([test[0].recording.stem], classes).head(_PUBLIC_SAMPLE_ROWS), public / "sample_submission.csv"
    )
    (public / "recording_location.txt").write_text(SITE_TEXT)
    (public / "test_soundscapes" / "readme.txt").write_text(README_TEXT)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n")


def _audio_jobs(
    spec: MiniatureSpec,
    cast: list[Species],
    clips: list[Clip],
    scenes: list[Scene],
    public: Path,
    rerun: Path,
    corrupt: list[str],
) -> list[Callable[[], None]]:
    """One job per audio file, the long ones first."""
    by_label = {species.label: species for species in cast}
    jobs: list[Callable[[], None]] = []
    for scene in scenes:
        stem, is_test = scene.recording.stem, scene.recording.role == "test"
        folder = rerun / "test_soundscapes" if is_test else public / "train_soundscapes"
        jobs.append(partial(_write_scene, spec, scene, folder / f"{stem}.ogg", stem in corrupt))
    return jobs + [partial(_write_clip, spec, clip, by_label, public / "train_audio" / clip.filename) for clip in clips]


def _write_scene(spec: MiniatureSpec, scene: Scene, path: Path, unreadable: bool) -> None:
    if unreadable:
        path.write_bytes(spec.stream("corrupt", path.name).bytes(20_000))
    else:
        path.write_bytes(encode_ogg(render_scene(spec, scene), SAMPLE_RATE, path.name))


def _write_clip(spec: MiniatureSpec, clip: Clip, cast: dict[str, Species], path: Path) -> None:
    if clip.fault == "zero_byte_clip":
        path.write_bytes(b"")
    elif clip.fault == "corrupt_clip":
        path.write_bytes(spec.stream("corrupt", clip.filename).bytes(8_000))
    else:
        encoded = encode_ogg(render_clip(spec, clip, cast), clip.sample_rate, clip.filename)
        path.write_bytes(encoded[: len(encoded) * 6 // 10] if clip.fault == "truncated_clip" else encoded)


def _run(jobs: list[Callable[[], None]], workers: int) -> None:
    """Run the jobs in threads: the encoder and numpy's transforms release the interpreter lock, and threads need no
    guard around the caller's main module, which a notebook does not have."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for future in progress(futures, "making sounds", len(futures)):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _link_tree(public: Path, rerun: Path) -> None:
    """Link the files of `public` into `rerun`, or copy them across file systems; not the sample submission."""
    for path in sorted(public.rglob("*")):
        target = rerun / path.relative_to(public)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.name != "sample_submission.csv":
            try:
                os.link(path, target)
            except OSError:  # another file system, or one without hard links
                shutil.copy2(path, target)


def _counts(cast: list[Species], clips: list[Clip], scenes: list[Scene]) -> dict[str, int]:
    roles = [scene.recording.role for scene in scenes]
    return {
        "classes": len(cast),
        "clips": len(clips),
        **{role: roles.count(role) for role in ("labelled", "unlabelled", "test")},
        "events": sum(len(scene.events) for scene in scenes),
    }
