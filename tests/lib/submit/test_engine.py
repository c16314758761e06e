"""The engine opens what the recipe names, and ranks every row, the unscored ones by the prior."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from lib.blend.mix import percentile_ranks
from lib.blend.recipe import Mix, Part, RecipeMember, Step
from lib.competition.row_ids import row_ids
from lib.competition.tables import read_solution
from lib.core.errors import BadInput
from lib.core.records import check_seal, seal
from lib.judge.metric import judge
from lib.submit import engine, stream
from lib.submit.budget import Clock
from lib.submit.engine import execute, flat_classes, open_members, open_prior, prior_scores
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


def score_all(files, opened, classes):
    rows = [row for file in files for row in row_ids(file.stem)]
    prior = prior_scores(rows, opened.members[opened.recipe.prior], classes)
    return score_soundscapes(files, opened.members, opened.usable_recipe.members, prior, Clock())


@pytest.fixture(scope="module")
def result(files, opened, classes):
    return score_all(files, opened, classes)


def test_every_soundscape_has_twelve_rows_from_every_member(result, files, opened):
    rows = [row for file in files for row in row_ids(file.stem)]
    assert set(result.member_scores) == set(opened.members)
    assert all(list(part.row_ids) == rows for part in result.member_scores.values())
    assert result.alarms == ()


def test_the_result_does_not_depend_on_order_or_on_how_many_work(result, files, opened, recipe, classes, monkeypatch):
    monkeypatch.setattr(stream, "cpu_count", lambda: 1)
    again = execute(recipe, score_all(files[::-1], opened, classes)).scores
    expected = execute(recipe, result).scores
    np.testing.assert_array_equal(again.take(expected.row_ids).values, expected.values)


def test_an_unreadable_soundscape_takes_the_priors_ranks_and_gives_alarm(files, opened, recipe, classes, tmp_path):
    copies = [shutil.copy(file, tmp_path / file.name) for file in files]
    copies[1].write_bytes(b"not an ogg")
    copies[2].write_bytes(b"")
    result = score_all(copies, opened, classes)
    blended = execute(recipe, result).scores
    assert len(result.alarms) == 2
    assert copies[1].name in result.alarms[0]
    assert blended.row_ids == tuple(row for file in copies for row in row_ids(file.stem))
    np.testing.assert_array_equal(
        blended.take(row_ids(copies[1].stem)).values,
        percentile_ranks(result.prior).take(row_ids(copies[1].stem)).values,
    )


def test_if_nothing_can_be_read_all_rows_take_the_priors_ranks(files, opened, recipe, classes, tmp_path):
    silent = [tmp_path / file.name for file in files]
    for file in silent:
        file.write_bytes(b"x")
    result = score_all(silent, opened, classes)
    np.testing.assert_array_equal(execute(recipe, result).scores.values, percentile_ranks(result.prior).values)
    assert len(result.alarms) == len(files)


def test_the_first_submission_needs_names_only(public, opened, recipe, classes):
    required = required_rows(public)
    scores = prior_scores(required.row_ids, opened.members[recipe.prior], classes)
    assert scores.row_ids == required.row_ids
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


def test_of_two_folders_of_one_name_the_recipes_own_is_opened(recipe, members, classes, tmp_path):
    """An older member of the name, and one that was resealed after a change, do not stand in its way."""
    ours = sorted(members.iterdir())
    for place in ("a-before", "z-after"):
        other = shutil.copytree(ours[1], tmp_path / place / ours[1].name)
        (other / "training.json").write_text("{}")
        seal(other, "member")
    damaged_copy = shutil.copytree(ours[1], tmp_path / "b-damaged" / ours[1].name)
    (damaged_copy / "model.onnx").write_bytes(b"x")
    others = sorted(tmp_path.glob(f"*/{ours[1].name}"))
    opened = open_members(recipe, [others[0], others[1], *ours, others[2]], classes)
    assert opened.folders == {folder.name: folder for folder in ours}
    with pytest.raises(BadInput, match=r"l1_statistics is not the one of the recipe(.|\n)*a-before(.|\n)*z-after"):
        open_members(recipe, [ours[0], others[0], others[2]], classes)


def test_the_prior_opens_alone_whatever_the_others_are(public, recipe, members, classes):
    folders = [folder for folder in members.iterdir() if folder.name == recipe.prior]
    prior = open_prior(recipe, folders, classes)
    required = required_rows(public)
    assert prior_scores(required.row_ids, prior, classes).row_ids == required.row_ids


@pytest.mark.parametrize(
    "step",
    [
        Step("smooth_windows", {"sigma": "wide"}),
        Step("smooth_windows", {"sigma": None}),
        Step("smooth_windows", {"sigma": 1e999}),
        Step("scale_by_file", {"top_windows": [2], "power": 0.4}),
        Step("sidecar", {"member": "l1_statistics", "gate": {"1161364": "high"}, "settings": {}}),
        Step("sidecar", {"member": ["l1_statistics"], "gate": {}, "settings": {}}),
    ],
)
def test_a_recipe_that_cannot_be_executed_is_refused_before_anything_is_opened(recipe, members, classes, step):
    mixes = [replace(recipe.mixes[0], steps=[step])]
    with pytest.raises(BadInput, match=r"recipe safe (cannot be executed|is not usable)"):
        open_members(replace(recipe, mixes=mixes), sorted(members.iterdir()), classes)


def absent(folder):
    shutil.rmtree(folder)


def without_manifest(folder):
    (folder / "manifest.json").unlink()


def cut_manifest(folder):
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:40])


def foreign_manifest(folder):
    (folder / "manifest.json").write_text('{"name": "app", "icons": []}')


def damaged(folder):
    (folder / "model.onnx").write_bytes(b"x")


def sealed_but_broken(folder):
    (folder / "model.onnx").write_bytes(b"x")
    seal(folder, "member")


@pytest.mark.parametrize(
    "spoil", [absent, without_manifest, cut_manifest, foreign_manifest, damaged, sealed_but_broken]
)
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
    assert list(opened.unavailable) == ["l1_statistics"]
    assert "\n" not in opened.alarms[0]
    assert opened.usable_recipe.mixes[0].parts == [Part("l0_prior", 1.0)]
    assert opened.recipe.members[1] == side


def test_a_member_that_hangs_while_it_opens_is_left_out_or_refused(recipe, members, classes, monkeypatch):
    opening, end = engine.open_member, threading.Event()

    def hang(folder, classes):
        return end.wait(30) if folder.name == "l1_statistics" else opening(folder, classes)

    monkeypatch.setattr(engine, "open_member", hang)
    monkeypatch.setattr(engine, "_OPEN_S", 0.3)
    folders = sorted(members.iterdir())
    try:
        with pytest.raises(BadInput, match="l1_statistics hangs while it is opened"):
            open_members(recipe, folders, classes)
        side = replace(recipe, members=[recipe.members[0], replace(recipe.members[1], required=False)])
        assert list(open_members(side, folders, classes).unavailable) == ["l1_statistics"]
    finally:
        end.set()


FILES = soundscapes(4)
RECIPE_MEMBERS = [RecipeMember("prior", "m", 0.0), RecipeMember("a", "m", 1.0), optional("b", 1.0, 0.01)]


def result_of(names, scored_files=FILES, **spoilt):
    parts = {name: spoilt.get(name, scores_of(name, scored_files)) for name in names}
    return StreamResult(parts, scores_of("prior", FILES), {}, (), Meter(), 4)


def test_a_dropped_members_weight_goes_to_the_others():
    result = replace(result_of(["prior", "a"]), dropped={"b": DroppedMember("slow", 3.0)})
    blend = execute(recipe_of(RECIPE_MEMBERS, [0.5, 0.5]), result)
    np.testing.assert_array_equal(blend.scores.values, percentile_ranks(scores_of("a", FILES)).values)
    assert blend.alarms == ()


def test_if_all_members_with_a_weight_are_dropped_all_rows_take_the_priors_ranks_with_an_alarm():
    recipe = recipe_of([RECIPE_MEMBERS[0], RECIPE_MEMBERS[2]], [1.0])
    blend = execute(recipe, replace(result_of(["prior"]), dropped={"b": DroppedMember("slow", 3.0)}))
    np.testing.assert_array_equal(blend.scores.values, percentile_ranks(scores_of("prior", FILES)).values)
    assert "no member with a weight is left" in blend.alarms[0]


@pytest.mark.parametrize("space", ["logit", "prob", "rank"])
def test_unscored_rows_stand_among_the_others_by_rank_whatever_the_mix_is_in(space):
    recipe = replace(recipe_of(RECIPE_MEMBERS), mixes=[Mix("blend", space, [Part("a", 1.0)])])
    blend = execute(recipe, result_of(["prior", "a", "b"], FILES[1:]))
    assert blend.scores.kind == "rank"
    expected = percentile_ranks(scores_of("a", FILES[1:]))
    np.testing.assert_allclose(blend.scores.take(expected.row_ids).values, expected.values, atol=1e-6)
    first = row_ids(FILES[0].stem)
    np.testing.assert_array_equal(
        blend.scores.take(first).values, percentile_ranks(scores_of("prior", FILES)).take(first).values
    )


def test_a_flat_class_gives_alarm_by_name():
    scores = scores_of("a", FILES)
    flat = scores.with_values(np.where(np.arange(5) == 3, 0.5, scores.values))
    blend = execute(recipe_of(RECIPE_MEMBERS[:2]), result_of(["prior", "a"], a=flat))
    assert flat_classes(blend.scores) == [CLASSES[3]]
    assert blend.alarms == (f"the same for all rows in 1 of 5 classes: {CLASSES[3]}",)
    assert flat_classes(scores.take(scores.row_ids[:1])) == []


def test_a_sidecar_that_breaks_its_guard_gives_alarm_and_the_anchor_stays(monkeypatch):
    from lib.blend.sidecar.apply import AnchorKept
    from lib.blend.steps import registry as steps

    def refuse(scores, *, member):
        raise AnchorKept("too far")

    monkeypatch.setitem(steps.STEPS, "refuse", steps.StepKind(refuse, False, False))
    recipe = replace(
        recipe_of(RECIPE_MEMBERS), mixes=[Mix("blend", "rank", [Part("a", 1.0)], [Step("refuse", {"member": "b"})])]
    )
    blend = execute(recipe, result_of(["prior", "a", "b"]))
    assert blend.alarms == ("refuse b: the anchor is kept, too far",)
    np.testing.assert_array_equal(blend.scores.values, percentile_ranks(scores_of("a", FILES)).values)


def test_the_blend_scores_above_chance(result, recipe, mini, classes):
    labels = read_solution(mini / "hidden" / "solution.csv", classes)
    assert judge(labels, execute(recipe, result).scores).macro > 0.55
