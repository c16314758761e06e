"""The command judges stored scores, refuses what was fitted on them, and keeps its verdicts."""

import shutil
from dataclasses import replace

import pytest

from build.judge import assess, main
from lib.blend.evaluate import evaluate
from lib.blend.recipe_file import save_recipe
from lib.competition.prepared import load_prepared
from lib.competition.qa import qa_rows, qa_table, read_qa, save_qa
from lib.core.errors import BadInput
from lib.core.records import seal
from lib.judge.leakage import judge_member
from lib.judge.ledger import read_ledger
from lib.judge.metric import judge


@pytest.fixture
def runs(prepared_folder, members, recipe, tmp_path):
    shutil.copytree(prepared_folder, tmp_path / "runs/tiny/01_data_prep/prepared")
    shutil.copytree(members, tmp_path / "runs/tiny/02_fold_training/members")
    save_recipe(tmp_path / "runs/tiny/05_blend/recipes", recipe)
    for each in (replace(recipe, name="bold", searched_score=0.9), replace(recipe, name="unvaried", by_fold={})):
        save_recipe(tmp_path / "runs/tiny/05_blend/recipes", each)
    seal(tmp_path / "runs/tiny/05_blend/recipes", "recipes")
    return tmp_path / "runs/tiny"


def store(runs, *recipes):
    """Store recipes as if 05 had made no others."""
    shutil.rmtree(runs / "05_blend")
    for each in recipes:
        save_recipe(runs / "05_blend/recipes", each)
    seal(runs / "05_blend/recipes", "recipes")


def with_class_weights(recipe, labels, parts):
    """The recipe, each class by the member that is best on these rows: a leak wherever they are judged."""
    alone = [judge(labels, parts[name]).per_class for name in recipe.weights]
    best = {label: [float(a[label] >= b[label]), float(a[label] < b[label])] for a, b in [alone] for label in a}
    return replace(recipe, mixes=[replace(recipe.mixes[0], class_weights=best)])


def test_members_have_the_judges_score_and_blends_that_of_their_weights(runs, prepared_folder, members):
    prepared = load_prepared(prepared_folder)
    board = assess(runs, blends=["l0_prior:0,l1_statistics:1"], reference="l1_statistics")
    for name in ("l0_prior", "l1_statistics"):
        assert board.macro[name] == judge_member(members / name, prepared.labels, prepared.folds).macro
    whole = board.differences["l0_prior:0,l1_statistics:1"]
    assert whole.gain == pytest.approx(0, abs=1e-6)
    assert board.macro["safe"] == judge(prepared.labels, board.scores["safe"]).macro
    assert board.candidates["l0_prior:0,l1_statistics:1"].seconds_per_soundscape == (
        board.candidates["l1_statistics"].seconds_per_soundscape
    )


def test_the_safe_recipe_is_the_reference_and_one_without_variants_is_left_out(runs):
    board = assess(runs)
    assert board.reference == "safe"
    assert set(board.macro) == {"l0_prior", "l1_statistics", "safe", "bold"}
    assert "unvaried is fitted on the labels of fold 0" in board.left_out[0]
    assert board.decisions["safe"].verdict == "promote"


def test_weights_that_saw_the_judged_rows_do_not_lift_the_judged_score(runs, prepared_folder, recipe):
    before, labels = assess(runs), load_prepared(prepared_folder).labels
    leaky = with_class_weights(recipe, labels, before.scores)
    assert judge(labels, evaluate(leaky, before.scores, labels)).macro > before.macro["safe"] + 0.005
    store(runs, leaky)
    assert assess(runs).macro["safe"] == before.macro["safe"]


def test_a_recipe_of_members_made_anew_is_left_out(runs, recipe):
    other = [replace(member, manifest="before") for member in recipe.members[:1]]
    store(runs, replace(recipe, members=[*other, *recipe.members[1:]]))
    assert "l0_prior absent, or made anew since the recipe was (run 05 again)" in assess(runs).left_out[0]


def test_heads_on_one_embedder_cost_it_once_together_and_each_of_them_alone(runs, recipe):
    store(runs, replace(recipe, members=[replace(each, shared={"perch": 2.0}) for each in recipe.members]))
    assert assess(runs).candidates["safe"].seconds_per_soundscape == pytest.approx(0.1 + 0.1 + 2.0)


def test_a_member_in_the_reference_is_not_killed_for_ranking_alike(runs):
    assert assess(runs).evidence["l1_statistics"].weight_in_reference == 0.75


def test_the_same_seed_gives_the_same_board(runs):
    assert assess(runs, seed=3).table.equals(assess(runs, seed=3).table)
    assert not assess(runs, seed=3).table.equals(assess(runs, seed=4).table)


def test_the_command_prints_the_board_and_appends_a_line_a_candidate(runs, capsys):
    assert main(["--runs", str(runs), "--ledger", "--blend", "l0_prior:0.5,l1_statistics:0.5"]) == 0
    shown = capsys.readouterr().out
    for text in (
        "fold std",
        "minutes of 90",
        "pairwise differences",
        "minimum detectable gain",
        "left out: recipe unvaried",
    ):
        assert text in shown
    lines = read_ledger(runs.parent / "ledger.jsonl")
    assert len(lines) == 5
    assert lines[0].tags == ("judge", "l0_prior")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--members", "l0_prior,l7"], "members to judge are not there"),
        (["--blend", "l0_prior=1"], "a blend cannot be read"),
        (["--blend", "l0_prior:0.5,l1_statistics:0.6"], "weights are not usable"),
        (["--reference", "unvaried"], "the reference is not among the candidates"),
    ],
)
def test_what_cannot_be_judged_is_reported(runs, capsys, arguments, message):
    assert main(["--runs", str(runs), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_one_member_alone_is_its_own_reference(runs):
    shutil.rmtree(runs / "05_blend")
    board = assess(runs, members="l1_statistics")
    assert board.reference == "l1_statistics"
    assert not board.differences


def add_related(runs, one, other):
    """Add to 01's QA table that two soundscapes are one recording."""
    folder = runs / "01_data_prep/prepared"
    row = qa_rows(add_related, "soundscape", "near copy", "group", [(one, other, "planted")])
    save_qa(folder, qa_table([read_qa(folder), row]))
    seal(folder, "prepared")


def test_a_copy_in_another_fold_is_refused_and_one_in_the_same_fold_is_not(runs, prepared_folder):
    fold_of = load_prepared(prepared_folder).folds.of("soundscape")
    first = next(iter(fold_of))
    before = assess(runs).macro
    add_related(runs, first, [stem for stem, fold in fold_of.items() if fold == fold_of[first]][-1])
    assert assess(runs).macro == before
    add_related(runs, first, next(stem for stem, fold in fold_of.items() if fold != fold_of[first]))
    with pytest.raises(BadInput, match="36 contaminated rows"):
        assess(runs)


def test_a_member_of_other_folds_is_refused(runs):
    record = runs / "02_fold_training/members/l0_prior/training.json"
    record.write_text(record.read_text().replace('"fold_version": "', '"fold_version": "x'))
    seal(record.parent, "member")
    with pytest.raises(BadInput, match="other folds"):
        assess(runs)
