"""The engine opens what the recipe names, and ranks every row, the unheard ones by the prior."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from lib.blend.mix import percentile_ranks
from lib.blend.recipe import Ingredient, Mix, Part, Step
from lib.competition.row_ids import row_ids
from lib.competition.tables import read_solution
from lib.core.errors import BadInput
from lib.core.records import check_seal
from lib.judge.metric import judge
from lib.submit import stream
from lib.submit.budget import Clock
from lib.submit.engine import execute, flat_classes, open_members, prior_scores
from lib.submit.rows import required_rows
from lib.submit.stream import DroppedMember, StreamResult, score_soundscapes
from lib.submit.timing import Meter
from tests.support.fakemachine import CLASSES, optional, recipe_of, scores_of, soundscapes


@pytest.fixture(scope="module")
def opened(recipe, members, classes):
    return open_members(recipe, sorted(members.iterdir()), classes)


@pytest.fixture(scope="module")
def files(rerun):
    return sorted((rerun / "test_soundscapes").glob("*.ogg"))


def hear_all(files, opened, classes):
    rows = [row for file in files for row in row_ids(file.stem)]
    prior = prior_scores(rows, opened.members[opened.recipe.prior], classes)
    return score_soundscapes(files, opened.members, opened.left.members, prior, Clock())


@pytest.fixture(scope="module")
def heard(files, opened, classes):
    return hear_all(files, opened, classes)


def test_every_soundscape_has_twelve_rows_from_every_member(heard, files, opened):
    rows = [row for file in files for row in row_ids(file.stem)]
    assert set(heard.parts) == set(opened.members)
    assert all(list(part.row_ids) == rows for part in heard.parts.values())
    assert heard.alarms == ()


def test_the_result_does_not_depend_on_order_or_on_how_many_work(heard, files, opened, recipe, classes, monkeypatch):
    monkeypatch.setattr(stream, "cpu_count", lambda: 1)
    again = execute(recipe, hear_all(files[::-1], opened, classes)).scores
    expected = execute(recipe, heard).scores
    np.testing.assert_array_equal(again.take(expected.row_ids).values, expected.values)


def test_an_unreadable_soundscape_takes_the_priors_ranks_and_gives_alarm(files, opened, recipe, classes, tmp_path):
    copies = [shutil.copy(file, tmp_path / file.name) for file in files]
    copies[1].write_bytes(b"not an ogg")
    copies[2].write_bytes(b"")
    heard = hear_all(copies, opened, classes)
    blended = execute(recipe, heard).scores
    assert len(heard.alarms) == 2
    assert copies[1].name in heard.alarms[0]
    assert blended.row_ids == tuple(row for file in copies for row in row_ids(file.stem))
    np.testing.assert_array_equal(
        blended.take(row_ids(copies[1].stem)).values,
        percentile_ranks(heard.prior).take(row_ids(copies[1].stem)).values,
    )


def test_if_nothing_can_be_read_the_prior_speaks_for_all(files, opened, recipe, classes, tmp_path):
    silent = [tmp_path / file.name for file in files]
    for file in silent:
        file.write_bytes(b"x")
    heard = hear_all(silent, opened, classes)
    np.testing.assert_array_equal(execute(recipe, heard).scores.values, percentile_ranks(heard.prior).values)
    assert len(heard.alarms) == len(files)


def test_the_first_submission_needs_names_only(public, opened, recipe, classes):
    asked = required_rows(public)
    scores = prior_scores(asked.row_ids, opened.members[recipe.prior], classes)
    assert scores.row_ids == asked.row_ids
    assert scores.kind == "prob"


def test_absent_or_changed_members_are_refused_where_the_recipe_requires_them(recipe, members, classes):
    folders = sorted(members.iterdir())
    with pytest.raises(BadInput, match="no l1_statistics"):
        open_members(recipe, folders[:1], classes)
    stale = replace(recipe, members=[replace(recipe.members[0], manifest="0" * 16), recipe.members[1]])
    with pytest.raises(BadInput, match="not the one of the recipe"):
        open_members(stale, folders, classes)
    with pytest.raises(BadInput, match="another class list"):
        open_members(replace(recipe, class_hash="0" * 16), folders, classes)


def absent(folder):
    shutil.rmtree(folder)


def damaged(folder):
    (folder / "model.onnx").write_bytes(b"x")


def sealed_but_broken(folder):
    from lib.core.records import seal

    (folder / "model.onnx").write_bytes(b"x")
    seal(folder, "member")


@pytest.mark.parametrize("spoil", [absent, damaged, sealed_but_broken])
def test_an_optional_member_that_cannot_be_opened_is_left_out_with_the_reason(
    recipe, members, classes, tmp_path, spoil
):
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in sorted(members.iterdir())]
    spoil(folders[1])
    manifest = check_seal(folders[1]) if spoil is sealed_but_broken else recipe.members[1].manifest
    side = replace(recipe.members[1], required=False, manifest=manifest)
    opened = open_members(
        replace(recipe, members=[recipe.members[0], side]), [f for f in folders if f.exists()], classes
    )
    assert list(opened.members) == ["l0_prior"]
    assert list(opened.lost) == ["l1_statistics"]
    assert "\n" not in opened.alarms[0]
    assert opened.left.mixes[0].parts == [Part("l0_prior", 1.0)]
    assert opened.recipe.members[1] == side


FILES = soundscapes(4)
INGREDIENTS = [Ingredient("prior", "m", 0.0), Ingredient("a", "m", 1.0), optional("b", 1.0, 0.01)]


def heard_of(names, heard_files=FILES, **spoilt):
    parts = {name: spoilt.get(name, scores_of(name, heard_files)) for name in names}
    return StreamResult(parts, scores_of("prior", FILES), {}, (), Meter(), 4)


def test_a_dropped_members_weight_goes_to_the_others():
    heard = replace(heard_of(["prior", "a"]), dropped={"b": DroppedMember("slow", 3.0)})
    outcome = execute(recipe_of(INGREDIENTS, [0.5, 0.5]), heard)
    np.testing.assert_array_equal(outcome.scores.values, percentile_ranks(scores_of("a", FILES)).values)
    assert outcome.alarms == ()


def test_if_all_who_are_mixed_are_dropped_the_prior_speaks_with_alarm():
    recipe = recipe_of([INGREDIENTS[0], INGREDIENTS[2]], [1.0])
    outcome = execute(recipe, replace(heard_of(["prior"]), dropped={"b": DroppedMember("slow", 3.0)}))
    np.testing.assert_array_equal(outcome.scores.values, percentile_ranks(scores_of("prior", FILES)).values)
    assert "nobody is left" in outcome.alarms[0]


@pytest.mark.parametrize("space", ["logit", "prob", "rank"])
def test_unheard_rows_stand_among_the_others_by_rank_whatever_the_mix_is_in(space):
    recipe = replace(recipe_of(INGREDIENTS), mixes=[Mix("blend", space, [Part("a", 1.0)])])
    outcome = execute(recipe, heard_of(["prior", "a", "b"], FILES[1:]))
    assert outcome.scores.kind == "rank"
    expected = percentile_ranks(scores_of("a", FILES[1:]))
    np.testing.assert_allclose(outcome.scores.take(expected.row_ids).values, expected.values, atol=1e-6)
    first = row_ids(FILES[0].stem)
    np.testing.assert_array_equal(
        outcome.scores.take(first).values, percentile_ranks(scores_of("prior", FILES)).take(first).values
    )


def test_a_flat_class_gives_alarm_by_name():
    scores = scores_of("a", FILES)
    flat = scores.with_values(np.where(np.arange(5) == 3, 0.5, scores.values))
    outcome = execute(recipe_of(INGREDIENTS[:2]), heard_of(["prior", "a"], a=flat))
    assert flat_classes(outcome.scores) == [CLASSES[3]]
    assert outcome.alarms == (f"the same for all rows in 1 of 5 classes: {CLASSES[3]}",)
    assert flat_classes(scores.take(scores.row_ids[:1])) == []


def test_a_sidecar_that_breaks_its_guard_gives_alarm_and_the_anchor_stays(monkeypatch):
    from lib.blend.sidecar.apply import AnchorKept
    from lib.blend.steps import registry as steps

    def refuse(scores, *, member):
        raise AnchorKept("too far")

    monkeypatch.setitem(steps.STEPS, "refuse", steps.StepKind(refuse, False, False))
    recipe = replace(
        recipe_of(INGREDIENTS), mixes=[Mix("blend", "rank", [Part("a", 1.0)], [Step("refuse", {"member": "b"})])]
    )
    outcome = execute(recipe, heard_of(["prior", "a", "b"]))
    assert outcome.alarms == ("refuse b: the anchor is kept, too far",)
    np.testing.assert_array_equal(outcome.scores.values, percentile_ranks(scores_of("a", FILES)).values)


def test_the_blend_knows_something(heard, recipe, mini, classes):
    labels = read_solution(mini / "hidden" / "solution.csv", classes)
    assert judge(labels, execute(recipe, heard).scores).macro > 0.55
