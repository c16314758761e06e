"""The engine scores every soundscape, the unreadable ones by the prior, the same way however many work at once."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from lib.blend.ranks import percentile_ranks
from lib.competition.errors import BadInput
from lib.competition.names import row_ids
from lib.competition.records import check_seal
from lib.competition.scores import Labels
from lib.judge.metric import judge
from lib.submit import engine
from lib.submit.clock import Clock
from lib.submit.engine import execute, listen, open_members, prior_scores
from lib.submit.receipt import make_receipt, named_inputs
from lib.submit.rows import asked_rows


@pytest.fixture(scope="module")
def opened(recipe, members, classes):
    return open_members(recipe, sorted(members.iterdir()), classes)


@pytest.fixture(scope="module")
def files(rerun):
    return sorted((rerun / "test_soundscapes").glob("*.ogg"))


@pytest.fixture(scope="module")
def heard(files, opened, recipe, classes):
    return listen(files, opened, recipe.prior, classes)


def test_every_soundscape_has_twelve_rows_from_every_member(heard, files, opened):
    rows = [row for file in files for row in row_ids(file.stem)]
    assert set(heard.parts) == set(opened)
    assert all(list(part.row_ids) == rows for part in heard.parts.values())
    assert heard.alarms == ()


def test_the_result_does_not_depend_on_order_or_on_how_many_work(heard, files, opened, recipe, classes, monkeypatch):
    monkeypatch.setattr(engine, "cpu_count", lambda: 1)
    again = execute(recipe, listen(files[::-1], opened, recipe.prior, classes))
    expected = execute(recipe, heard)
    np.testing.assert_array_equal(again.take(expected.row_ids).values, expected.values)


def test_an_unreadable_soundscape_takes_the_priors_ranks_and_gives_alarm(files, opened, recipe, classes, tmp_path):
    copies = [shutil.copy(file, tmp_path / file.name) for file in files]
    copies[1].write_bytes(b"not an ogg")
    copies[2].write_bytes(b"")
    heard = listen(copies, opened, recipe.prior, classes)
    blended = execute(recipe, heard)
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
    blended = execute(recipe, listen(silent, opened, recipe.prior, classes))
    assert len(blended.row_ids) == 12 * len(files)


def test_the_first_submission_needs_names_only(public, opened, recipe, classes):
    asked = asked_rows(public)
    scores = prior_scores(asked.row_ids, opened[recipe.prior], classes)
    assert scores.row_ids == asked.row_ids
    assert scores.kind == "prob"


def test_absent_or_changed_members_are_refused(recipe, members, classes, tmp_path):
    folders = sorted(members.iterdir())
    with pytest.raises(BadInput, match="no l1_statistics"):
        open_members(recipe, folders[:1], classes)
    stale = replace(recipe, members=[replace(recipe.members[0], manifest="0" * 16), recipe.members[1]])
    with pytest.raises(BadInput, match="not the one of the recipe"):
        open_members(stale, folders, classes)
    with pytest.raises(BadInput, match="another class list"):
        open_members(replace(recipe, class_hash="0" * 16), folders, classes)


def test_the_receipt_says_what_ran_and_what_is_flat(public, recipe, opened, classes):
    asked, clock = asked_rows(public), Clock()
    with clock.stage("opening"):
        pass
    with clock.stage("listening"):
        pass
    clock.stages = {"opening": 12.0, "listening": 4.0}
    scores = prior_scores(asked.row_ids, opened[recipe.prior], classes)
    flat = scores.with_values(np.where(np.arange(len(classes)) == 2, 0.5, scores.values))
    inputs = {"recipes": {"path": "there", "manifest": "abc"}}
    receipt = make_receipt(asked, recipe, inputs, "abc", clock, 8, flat, ["x"])
    assert receipt.inputs == inputs
    assert receipt.seconds_per_soundscape == 0.5
    assert receipt.projected_minutes_600 == pytest.approx((12 + 300) / 60)
    assert classes.labels[2] in receipt.constant_classes
    assert receipt.alarms == ["x"]
    assert receipt.versions["onnxruntime"]


def test_every_input_is_named_with_its_folder_and_what_lay_there(public, tables, recipe, members, tmp_path):
    folders = {folder.name: folder for folder in members.iterdir()}
    inputs = named_inputs(public, tmp_path, "f" * 16, recipe, folders)
    assert set(inputs) == {"competition", "recipes", "l0_prior", "l1_statistics"}
    assert inputs["recipes"] == {"path": str(tmp_path), "manifest": "f" * 16}
    assert inputs["l0_prior"] == {"path": str(folders["l0_prior"]), "manifest": check_seal(folders["l0_prior"])}
    copied = named_inputs(tables, tmp_path, "f" * 16, recipe, folders)["competition"]
    assert copied == {"path": str(tables), "manifest": inputs["competition"]["manifest"]}
    for table in ("sample_submission.csv", "taxonomy.csv"):
        with (tables / table).open("a") as file:
            file.write("\n")
        changed = named_inputs(tables, tmp_path, "f" * 16, recipe, folders)["competition"]
        assert changed["manifest"] != copied["manifest"]
        copied = changed


def test_the_blend_knows_something(heard, recipe, mini, classes):
    from lib.competition.tables import read_solution

    labels = read_solution(mini / "hidden" / "solution.csv", classes)
    assert isinstance(labels, Labels)
    assert judge(labels, execute(recipe, heard)).macro > 0.55
