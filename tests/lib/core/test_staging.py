"""A run's outputs replace the last good ones all together or not at all, whenever it ends."""

import os
import shutil
import subprocess
import sys

import pytest

from lib.core import staging
from lib.core.errors import BadInput
from lib.core.paths import find_artifacts
from lib.core.records import seal, write_json
from lib.core.staging import describe_output, final_place, publish_outputs, stage_outputs


def make(folder, text, kind="member"):
    """A sealed folder that holds this text."""
    folder.mkdir(parents=True)
    (folder / "model.bin").write_text(text)
    seal(folder, kind)


def run(output, text, names=("a", "b")):
    """What a run makes of two members and a table; it is not published yet."""
    staged = stage_outputs(output)
    for name in names:
        make(staged / "members" / name, text)
    (staged / "table.csv").write_text(text)
    return staged


def texts(output):
    """Every output by its path, without what is hidden."""
    files = [path for path in output.rglob("*") if path.name in ("model.bin", "table.csv")]
    found = {str(path.relative_to(output).parent / path.stem): path.read_text() for path in files}
    return {name: text for name, text in found.items() if not name.startswith(".")}


def hidden(output):
    """What a run leaves beside its outputs."""
    return sorted(path.name for path in (output / ".staged").iterdir() if path.name != "lock")


OLD = {"members/a/model": "old", "members/b/model": "old", "table": "old"}
NEW = dict.fromkeys(OLD, "new")


@pytest.fixture
def output(tmp_path):
    """An output with two members and a table, all old."""
    folder = tmp_path / "runs" / "02_fold_training"
    publish_outputs(run(folder, "old"))
    return folder


def test_outputs_are_swapped_together_and_each_is_compared_with_the_one_before(output):
    staged = run(output, "new", names=("b", "c"))
    assert texts(output) == OLD
    assert publish_outputs(staged, retired=["members/a", "members/c", "members/x"]) == [
        "members/b: another than before: what was made from that one has to be made again",
        "members/c: new",
        "table.csv: replaced",
        "members/a: taken away",
    ]
    assert texts(output) == {"members/b/model": "new", "members/c/model": "new", "table": "new"}
    assert hidden(output) == []
    assert publish_outputs(run(output, "new", names=("b", "c")))[0] == "members/b: as before"


def test_a_run_names_where_it_writes_and_what_it_may_replace(output, tmp_path):
    assert describe_output(output) == f"{output} (in place of members/a, members/b, table.csv, where made anew)"
    assert describe_output(tmp_path / "none") == f"{tmp_path / 'none'} (empty so far)"


def test_what_resumes_lies_where_the_next_run_finds_it(output):
    assert final_place(run(output, "new") / "members" / "a") == output / "members" / "a"
    assert final_place(output / "x") == output / "x"


def test_a_run_that_fails_leaves_the_outputs_and_the_next_removes_what_it_had_made(output):
    run(output, "half")
    assert texts(output) == OLD
    staged = run(output, "new")
    assert [name for name in hidden(output) if not name.endswith(".alive")] == [staged.name]
    publish_outputs(staged)
    assert texts(output) == NEW


@pytest.mark.parametrize("renames", range(7))
def test_a_publication_that_is_killed_is_completed_by_the_next_reader(output, renames, monkeypatch):
    """After any number of its renames: three move the old ones aside, three the new ones in, one takes one away."""
    make(output / "members" / "gone", "old")
    staged, left = run(output, "new"), iter(range(renames))

    class Killed(BaseException):
        pass

    def rename(path, to):
        if next(left, None) is None:
            raise Killed
        os.replace(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(staging.os, "rename", rename)
        with pytest.raises(Killed):
            publish_outputs(staged, retired=["members/gone"])
    assert {folder.name for folder in find_artifacts("member", str(output.parent))} == {"a", "b"}
    assert texts(output) == NEW
    assert hidden(output) == []


def test_a_disk_that_is_full_when_the_plan_is_written_changes_nothing(output, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    staged = run(output, "new")
    with monkeypatch.context() as patched:
        patched.setattr(staging, "write_json", full)
        with pytest.raises(OSError, match="No space"):
            publish_outputs(staged)
    assert texts(output) == OLD
    publish_outputs(staged)
    assert texts(output) == NEW


def test_a_plan_that_leads_out_of_the_output_is_refused(output):
    write_json(output / ".staged/publishing.json", {"staged": "run", "put": ["../../x"], "retire": []})
    with pytest.raises(BadInput, match=r"publishing\.json was not written by a run"):
        find_artifacts("member", str(output.parent))


def test_two_runs_at_once_do_not_touch_each_others_outputs_and_a_dead_ones_are_removed(output, tmp_path):
    code = "import sys, time; from tests.lib.core.test_staging import run; from pathlib import Path; "
    code += "run(Path(sys.argv[1]), 'theirs', ('b', 'c')); print(flush=True); time.sleep(600)"
    other = subprocess.Popen([sys.executable, "-c", code, str(output)], stdout=subprocess.PIPE)
    other.stdout.readline()
    publish_outputs(run(output, "new", ("a",)))
    assert texts(output) == OLD | {"members/a/model": "new", "table": "new"}
    assert len(hidden(output)) == 2
    other.kill()
    other.wait()
    shutil.rmtree(stage_outputs(output))
    assert len([name for name in hidden(output) if not name.endswith(".alive")]) == 0
