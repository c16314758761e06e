"""A newcomer's wrong commands: each has one error of four parts and the code 2, and nothing was begun."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from build import fetch, inline, judge, lab, ladder, load_test, push, rehearse, run, submit, sweep
from build.cli import make_check
from build.cli.exit_codes import REFUSED
from build.notebooks.inputs import check_inputs
from build.project import ROOT
from build.tracking import mlflow_export
from lib.core.errors import BadInput
from lib.core.paths import MARKERS
from lib.core.records import seal, write_text

MAKE = {
    "make swep": "write sweep",
    "make sweep": "give SWEEP=sweeps/losses.yaml",
    "make sweep SWEEP=sweeps/loss.yaml": "SWEEP names no file",
    "make notebooks ONYL=02": "write ONLY",
    "make notebooks P=preset=zzz": "one of small_sed",
    "make notebooks P='-p epochs=1'": "name=value, with spaces between",
    "make notebooks ONLY=02 P=overrides=loss=focl": "write focal",
    "make notebooks ONLY=02 P=05:sigma=1": "is for a notebook that is not run",
    "make notebooks P=epochs=0": "at least 1",
    "make notebooks DATA=/no/such": "DATA names no folder",
    "make push-train P=preset=zzz DRY=1": "one of small_sed",
    "make push-all P=fold=0": "takes no variable P",
    "make push-train DRY=0": "1, or nothing",
    "make kernels P=foo=1": "none of 6 notebooks has a parameter foo",
    "make rehearse-infer MODE=publik": "one of public, rerun, both",
    "make judge MEMBER=a,b": "write MEMBERS",
    "make submit": 'give MESSAGE="what changed"',
    "make fetch": "give WHAT=data|perch|birdnet|outputs",
    "make fetch WHAT=perk": "one of data, perch, birdnet, outputs",
    "make logs": "give K=infer",
    "make lab PAIRD=1": "write PAIRED",
    "make mlflow PORT=http": "a whole number above 0",
    "make load-test N=-3": "a whole number above 0",
    "make ladder RUN=runs/mini": "write RUNS",
    "make demo QUICK=yes": "1, or nothing",
    "make test SLOW=1": "takes no variable SLOW",
}


def refused(code, capsys, message):
    shown = capsys.readouterr().err
    assert code == REFUSED
    assert message in shown
    for part in ("expected: ", "got:      ", "do this:  "):
        assert shown.count(f"\n  {part}") == 1, shown


@pytest.mark.parametrize("command", MAKE)
def test_make_refuses_it_before_anything_is_installed(command, capsys):
    start = time.process_time()
    _make, target, *given = shlex.split(command)
    refused(make_check.main([target, *given]), capsys, MAKE[command])
    assert time.process_time() - start < 1.0


TOOLS = [
    (run, ["07"], "there is no notebook 07"),
    (run, ["02", "--data", "/no/such"], "competition's files were not found"),
    (run, ["04", "-p", "external_dir=/no/such", "--data", "{data}"], "external_dir"),
    (run, ["02", "--data", "{data}", "--runs", "/no/such"], "nothing of kind 'prepared'"),
    (sweep, ["{file}", "--dry"], "write focal"),
    (sweep, [str(ROOT / "sweeps/losses.yaml"), "--dry", "--data", "/no/such"], "competition's files were not found"),
    (push, ["train", "--set", "preset=zzz", "--dry"], "one of small_sed"),
    (push, ["train", "--set", "preset=zzz"], "one of small_sed"),  # also before a login
    (push, ["trian"], "the command line cannot be read"),
    (submit, ["send"], "--message"),
    (fetch, ["outputs"], "kernel"),
    (load_test, ["--runtime", "tflite"], "one of onnxruntime, openvino"),
    (inline, ["--set", "fold"], "name=value"),
    (rehearse, ["--mode", "publik"], "the command line cannot be read"),
    (judge, ["--runs", "/no/such"], "nothing of kind"),
    (ladder, ["--competition", "/no/such"], "competition's files were not found"),
    (lab, ["09"], "09"),
    (mlflow_export, ["--port", "http"], "the command line cannot be read"),
]


@pytest.mark.parametrize(("command", "arguments", "message"), TOOLS)
def test_a_tool_refuses_it_before_it_begins(command, arguments, message, tmp_path, capsys):
    for marker in MARKERS:
        (tmp_path / marker).touch()
    bad = tmp_path / "bad.yaml"
    bad.write_text('question: x\nnotebook: "02"\ngrid: {overrides.loss: [bce, focl]}\n')
    places = {"data": tmp_path, "file": bad}
    before = sorted(path.name for path in ROOT.iterdir())
    refused(command.main([each.format(**places) for each in arguments]), capsys, message)
    assert sorted(path.name for path in ROOT.iterdir()) == before


def test_a_fold_and_a_recipe_that_are_not_there_are_refused(tmp_path):
    for kind, file, text in (("prepared", "folds.csv", "item,fold\na,0\nb,1\n"), ("recipes", "safe.json", "{}")):
        write_text(tmp_path / kind / file, text)
        seal(tmp_path / kind, kind)
    toy = tmp_path / "02_toy.py"
    toy.write_text('find_artifact("prepared", inputs_dir)')
    for good, bad in (({"fold": 1}, {"fold": 2}), ({"leaky_folds": "0,1"}, {"leaky_folds": "0,9"})):
        check_inputs(toy, {"inputs_dir": tmp_path, **good}, first=True)
        with pytest.raises(BadInput, match="a fold that there is not"):
            check_inputs(toy, {"inputs_dir": tmp_path, **bad}, first=True)
    with pytest.raises(BadInput, match="write safe"):
        check_inputs(toy, {"inputs_dir": tmp_path, "recipe_name": "saef"}, first=True)


def test_a_check_waits_for_no_heavy_package():
    """As measured, papermill, pandas, scipy and torch take two to ten seconds to load on a busy machine."""
    heavy = "{'torch', 'pandas', 'scipy', 'papermill', 'nbformat', 'jupytext', 'kaggle'}"
    loaded = "build.run, build.sweep, build.push, build.inline, build.cli.make_check, lib.learn.network.presets, sys"
    code = f"import {loaded}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


def make(*arguments, folder=ROOT):
    """What make does and prints, as a person would see it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *arguments], cwd=folder, env=clean, capture_output=True, text=True)


def test_on_a_fresh_machine_a_wrong_command_installs_nothing(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("build", "lib", "notebooks_src"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for arguments in (["sweep"], ["notebooks", "ONYL=02"], ["swep"], ["kernels", "P=foo=1 bar='x y'"]):
        done = make(*arguments, folder=tmp_path)
        assert done.returncode == 2
        assert re.search(r"\n  do this: .*\nexit 2: refused.*\nmake: \*\*\* .*Error 2\n", done.stderr), done.stderr
        assert not (tmp_path / ".venv").exists()


def test_values_reach_a_tool_as_they_were_typed():
    shown = make("-n", "push-train", "OWNER=a'; touch x", 'P=02:epochs=1 member="x y"', "DRY=1").stdout
    assert "--owner 'a'\\''; touch x' --dry" in shown
    assert "--set '02:epochs=1 member=\"x y\"' train" in shown


def test_what_the_papers_tell_to_type_is_accepted():
    papers = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(path.read_text() for path in papers)
    typed = set(re.findall(r"`(make [^`]+=[^`]+)`", text)) | set(re.findall(r"^(?:\$ )?(make .+=.+)$", text, re.M))
    assert len(typed) > 25
    makefile = (ROOT / "Makefile").read_text()
    for command in typed:
        _make, *words = shlex.split(command)
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        pairs.pop("DATA", None)  # a folder that is there only after the demo
        make_check.check([word for word in words if "=" not in word], pairs, makefile)
