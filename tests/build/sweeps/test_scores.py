"""Stored scores of runs are found, executed where it is a recipe, and compared only without leakage."""

from dataclasses import replace

import pytest

from build.sweeps.one import _member
from build.sweeps.report import judge_folder
from build.sweeps.runs import Request, Run
from build.sweeps.scores import load_stored_scores
from lib.blend.recipe import Mix, Part, Recipe, RecipeMember
from lib.blend.recipe_file import save_recipe
from lib.core.records import from_json, identity_of, read_json, write_json
from lib.judge.ledger import LedgerLine
from lib.judge.metric import judge
from tests.support.tinysweep import (
    ledger_line,
    make_finished_run,
    make_member,
    make_prepared,
    make_record,
    make_sweep,
    output,
)


@pytest.fixture
def world(tmp_path):
    """The folder of runs, what 01 left there, and two members, of which the second is the better one."""
    prepared = make_prepared(tmp_path)
    for name, lift in (("poor", 1.0), ("good", 2.0)):
        make_member(tmp_path / "02_fold_training/members" / name, prepared, lift, int(lift))
    return tmp_path, prepared


def mixed(name, share):
    """A mix with so much of the good member."""
    return Mix(name, "rank", [Part("poor", 1 - share), Part("good", share)])


def blended(runs, folder, prepared, number, share, blind=None, names=("poor", "good")):
    """The record of a run of 05 whose recipe `safe` has so much of the good member, and blind to a fold `blind`."""
    members = [RecipeMember(name, identity_of(runs / "02_fold_training/members" / name), 0.1) for name in names]
    by_fold = {str(fold): [mixed("blend", share if blind is None else blind)] for fold in prepared.folds.numbers}
    facts = (prepared.facts.class_hash, prepared.folds.version, members)
    recipe = Recipe("safe", *facts, [mixed("blend", share)], "poor", 0.7, [0.6, 0.8], 12, by_fold=by_fold)
    save_recipe(folder / output(number, "05_blend") / "recipes", recipe)
    lines = [ledger_line(0.7, "recipe", "safe"), ledger_line(0.9, "recipe", "bold")]
    facts = {"score": 0.7 + number / 100, "interval": [0.6, 0.8], "ledger": lines}
    return make_record(folder, number, {"share": share}, **facts), recipe


def a_blend_sweep(runs, name):
    return make_sweep(runs, name, notebook="05_blend", metric="safe", points=[{"share": 0.0}, {"share": 1.0}])


def test_a_better_recipe_is_promoted_by_its_members_scores(world):
    runs, prepared = world
    folder = a_blend_sweep(runs, "blends")
    for number, share in ((1, 0.0), (2, 1.0)):
        blended(runs, folder, prepared, number, share)
    _, better = judge_folder(folder).last
    assert better.decision.verdict == "promote"
    lifted = {
        name: judge(prepared.labels, make_member(runs / name, prepared, lift, int(lift))).macro
        for name, lift in (("again_poor", 1.0), ("again_good", 2.0))
    }
    assert better.over_recordings.gain == pytest.approx(lifted["again_good"] - lifted["again_poor"])
    assert better.interval.low < lifted["again_good"] < better.interval.high


def test_a_recipe_is_judged_on_each_fold_without_that_folds_labels(world):
    runs, prepared = world
    folder = a_blend_sweep(runs, "blind")
    records = [blended(runs, folder, prepared, 1, 0.0)[0], blended(runs, folder, prepared, 2, 1.0, blind=0.0)[0]]
    kept, notes = load_stored_scores(folder, read_json(folder / "sweep.json"), records)
    scores = [judge(kept.labels, kept.scores[record.id]).macro for record in records]
    assert scores[0] == scores[1]
    assert kept.seconds[records[0].id] == pytest.approx(0.2)
    assert notes == []


def test_recipes_that_cannot_be_judged_are_named_and_left_out(world):
    runs, prepared = world
    folder = a_blend_sweep(runs, "unfit")
    records, recipes = zip(*[blended(runs, folder, prepared, n, n / 4) for n in (1, 2, 3, 4)], strict=True)
    here = folder / output(1, "05_blend") / "recipes"
    save_recipe(here, replace(recipes[0], by_fold={}))
    elsewhere = [replace(recipes[1].members[0], manifest="0" * 16), recipes[1].members[1]]
    save_recipe(folder / output(2, "05_blend") / "recipes", replace(recipes[1], members=elsewhere))
    (folder / output(3, "05_blend") / "recipes/safe.json").unlink()
    kept, notes = load_stored_scores(folder, read_json(folder / "sweep.json"), records)
    assert set(kept.scores) == {records[3].id}
    assert [note.split(":")[0].split(" is ")[0] for note in notes] == ["Run 1", "Run 2"]
    assert "fitted on the labels of fold 0" in notes[0]
    assert "member poor is not the one of the recipe" in notes[1]


def test_a_student_is_found_where_it_was_laid_and_its_teacher_among_the_inputs(world):
    runs, prepared = world
    folder = make_sweep(runs, "students", notebook="04_pseudo_labels")
    line = from_json(LedgerLine, ledger_line(0.7, "student", "pupil_r1"), "")
    found = []
    for number, kind in ((1, "members"), (2, "discarded")):
        make_member(
            folder / output(number, "04_pseudo_labels") / kind / "pupil_r1", prepared, 1.5, 1, teachers=("good",)
        )
        run = Run(f"{number:012d}", number, "only", {})
        request = Request(str(folder), run, "notebooks_src/04_pseudo_labels.py", {"inputs_dir": str(runs)}, "pupil_r1")
        member, per_fold = _member(request, line)
        assert set(per_fold) == {str(fold) for fold in prepared.folds.numbers}
        found.append(make_record(folder, number, {"a": number}, score=0.7, interval=[0.6, 0.8], member=member))
    assert [record.member.split("/")[-2:] for record in found] == [["members", "pupil_r1"], ["discarded", "pupil_r1"]]
    kept, notes = load_stored_scores(folder, read_json(folder / "sweep.json"), found)
    assert (len(kept.scores), notes) == (2, [])


def test_a_student_of_a_member_that_has_met_the_rows_is_left_out(world):
    runs, prepared = world
    folder = make_sweep(runs, "leak", notebook="04_pseudo_labels")
    teacher = runs / "02_fold_training/members/good/training.json"
    met = read_json(teacher)
    write_json(teacher, met | {"soundscapes": dict.fromkeys(met["soundscapes"], prepared.folds.numbers)})
    pupil = output(1, "04_pseudo_labels") / "members/pupil_r1"
    make_member(folder / pupil, prepared, 1.5, 1, teachers=("good",))
    record = make_record(folder, 1, {}, score=0.7, interval=[0.6, 0.8], member=pupil.as_posix())
    kept, notes = load_stored_scores(folder, read_json(folder / "sweep.json"), [record])
    assert kept is None
    assert "has out-of-fold scores of rows it was trained on" in notes[0]


def test_a_run_is_scored_in_the_same_classes_of_a_fold_as_any_other(world):
    runs, prepared = world
    folder = make_sweep(runs, "folds", points=[{"a": 0}])
    record = make_finished_run(folder, prepared, 1, {"a": 0}, 1.5, 1)
    kept, _ = load_stored_scores(folder, read_json(folder / "sweep.json"), [record])
    fold = prepared.labels.take(
        [row for row, of in zip(prepared.labels.row_ids, prepared.labels.strata, strict=True) if of == 0]
    )
    assert kept.per_fold(record.id)["0"] == pytest.approx(judge(fold, kept.scores[record.id]).macro)
