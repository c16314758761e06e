"""A score is refused when the model behind it, its teachers or its priors have met the recording or a related one."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.blend.recipe import RecipeMember
from lib.competition.folds import Folds
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores
from lib.core.errors import BadInput
from lib.core.records import check_seal, read_json, seal, to_json, write_json
from lib.judge.leakage import (
    crossfit_training,
    fit_record,
    judge_member,
    load_oof_scores,
    refuse_self_judged,
)
from lib.learn.network import crossfit as fit_network
from lib.learn.network.config import override
from lib.learn.network.fold import TrainingRun
from lib.learn.soft_labels.crops import PseudoLabelSource, load_pseudo_labels
from lib.pseudo.label import label
from lib.pseudo.teachers import TeacherBlend
from tests.support.tinylabels import tiny_labels
from tests.support.tinyplan import TINY_PLAN, fit

STEMS = [f"BC2026_Train_{n:04d}_S0{n}_20250101_000000" for n in range(4)]
SAME_DAY = "BC2026_Train_0009_S00_20250101_030000"  # the site and day of the first stem


@pytest.fixture
def folds():
    stems = [*STEMS, SAME_DAY]
    group = [f"S0{n}_20250101" for n in range(4)] + ["S00_20250101"]
    return Folds(pd.DataFrame({"item": stems, "kind": "soundscape", "group": group, "fold": [0, 1, 0, 1, 0]}))


@pytest.fixture
def member(tmp_path, folds):
    rows = [row for stem in STEMS for row in row_ids(stem)]
    values = np.random.default_rng(0).random((len(rows), 2))
    Scores(values, rows, ["x", "y"], "prob").save(tmp_path / "oof.parquet")
    write_json(tmp_path / "training.json", to_json(crossfit_training(folds)))
    return tmp_path


def retrained(member, training):
    write_json(member / "training.json", to_json(training))


def test_clean_cross_fitting_is_judged(member, folds):
    scores = load_oof_scores(member, folds)
    truth = np.random.default_rng(1).random(scores.values.shape) < 0.5
    report = judge_member(member, Labels(truth, scores.row_ids, scores.classes), folds)
    assert report.rows == 48
    assert 0 < report.macro < 1


def test_a_model_that_met_the_row_it_scores_is_refused_and_the_rows_are_named(member, folds):
    clean = crossfit_training(folds)
    retrained(member, replace(clean, soundscapes=clean.soundscapes | {STEMS[1]: [0, 1]}))
    with pytest.raises(BadInput, match="12 contaminated rows") as caught:
        load_oof_scores(member, folds)
    assert STEMS[1] in str(caught.value)


def test_meeting_another_file_of_the_same_site_and_day_counts_as_seen(member, folds):
    clean = crossfit_training(folds)
    retrained(member, replace(clean, soundscapes=clean.soundscapes | {SAME_DAY: [0]}))
    with pytest.raises(BadInput, match="12 contaminated rows") as caught:
        load_oof_scores(member, folds)
    assert STEMS[0] in str(caught.value)


def test_other_folds_are_refused(member, folds):
    moved = Folds(folds.table.assign(fold=1 - folds.table.fold))
    with pytest.raises(BadInput, match="other folds"):
        load_oof_scores(member, moved)


def test_rows_of_soundscapes_outside_the_folds_are_refused(member, folds):
    rows = row_ids("BC2026_Train_0777_S07_20250101_000000")
    Scores(np.zeros((12, 2)), rows, ["x", "y"], "prob").save(member / "oof.parquet")
    with pytest.raises(BadInput, match="contaminated"):
        load_oof_scores(member, folds)


def write_teacher(place, name, training):
    """A member's folder that holds its training record alone."""
    write_json(place / name / "training.json", to_json(training))
    return name


def everything(folds):
    """What a model fitted on all rows has met, whatever fold it is used for."""
    clean = crossfit_training(folds)
    return replace(clean, soundscapes=dict.fromkeys(clean.soundscapes, folds.numbers))


def student(member, folds, **teachers):
    """The member, moved into a folder of its own beside its teachers."""
    folder = member / "student"
    folder.mkdir()
    (member / "oof.parquet").rename(folder / "oof.parquet")
    retrained(folder, replace(crossfit_training(folds), **teachers))
    return folder


def test_models_numbered_otherwise_than_their_folds_are_refused(member, folds):
    fold_of = folds.of("soundscape")  # model 0 was held back from fold 1, and scored fold 0
    retrained(member, replace(crossfit_training(folds), soundscapes={stem: [fold] for stem, fold in fold_of.items()}))
    with pytest.raises(BadInput, match="48 contaminated rows"):
        load_oof_scores(member, folds)


def test_a_teacher_of_a_teacher_that_met_the_rows_is_found_and_named(member, folds):
    write_teacher(member, "grand", everything(folds))
    write_teacher(member, "teacher", replace(crossfit_training(folds), teachers=["grand"]))
    with pytest.raises(BadInput, match=r"48 contaminated rows.*through grand"):
        load_oof_scores(student(member, folds, teachers=["teacher"]), folds)


def test_a_chain_of_cross_fitted_teachers_passes(member, folds):
    write_teacher(member, "grand", crossfit_training(folds))
    write_teacher(member, "teacher", replace(crossfit_training(folds), teachers=["grand"]))
    assert len(load_oof_scores(student(member, folds, teachers=["teacher"]), folds).row_ids) == 48


def test_a_prior_fitted_on_all_rows_spoils_the_member_that_leans_on_it(member, folds):
    write_teacher(member, "prior", everything(folds))
    with pytest.raises(BadInput, match="through prior"):
        load_oof_scores(student(member, folds, teachers=["prior"]), folds)


def test_a_cross_fitted_prior_passes(member, folds):
    write_teacher(member, "prior", crossfit_training(folds))
    load_oof_scores(student(member, folds, teachers=["prior"]), folds)


def test_cross_fitted_teachers_pooled_over_folds_are_refused(member, folds):
    write_teacher(member, "teacher", crossfit_training(folds))
    with pytest.raises(BadInput, match=r"48 contaminated rows.*through teacher"):
        load_oof_scores(student(member, folds, pooled_teachers=["teacher"]), folds)


def test_a_pooled_teacher_that_never_met_a_soundscape_passes(member, folds):
    write_teacher(member, "teacher", replace(crossfit_training(folds), soundscapes={}, clips={"a/XC1.ogg": [0, 1]}))
    load_oof_scores(student(member, folds, pooled_teachers=["teacher"]), folds)


def test_teachers_in_a_cycle_are_an_error(member, folds):
    write_teacher(member, "teacher", replace(crossfit_training(folds), teachers=["student"]))
    with pytest.raises(BadInput, match="student <- teacher <- student"):
        load_oof_scores(student(member, folds, teachers=["teacher"]), folds)


def test_a_teacher_that_is_not_there_is_an_error_and_one_found_elsewhere_is_not(member, folds, tmp_path_factory):
    pupil = student(member, folds, teachers=["teacher"])
    with pytest.raises(BadInput, match=r"the teacher teacher of .* is missing"):
        load_oof_scores(pupil, folds)
    with pytest.raises(BadInput, match="none among"):
        load_oof_scores(pupil, folds, others={"another": member})
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_teacher(elsewhere, "teacher", crossfit_training(folds))
    load_oof_scores(pupil, folds, others={"teacher": elsewhere / "teacher"})


def test_a_near_duplicate_in_another_fold_counts_as_met(member, folds):
    assert len(load_oof_scores(member, folds, related={STEMS[0]: "d1", STEMS[2]: "d1"}).row_ids) == 48  # in one fold
    with pytest.raises(BadInput, match="24 contaminated rows") as caught:
        load_oof_scores(member, folds, related={STEMS[0]: "d1", STEMS[1]: "d1"})
    assert STEMS[0] in str(caught.value)


def test_a_clip_cut_from_a_soundscape_counts_as_meeting_it(member, folds):
    retrained(member, replace(crossfit_training(folds), clips={"a/XC1.ogg": [1]}))
    load_oof_scores(member, folds, related={"a/XC1.ogg": "d1"})
    with pytest.raises(BadInput, match="12 contaminated rows") as caught:
        load_oof_scores(member, folds, related={"a/XC1.ogg": "d1", STEMS[3]: "d1"})
    assert STEMS[3] in str(caught.value)


def test_a_gate_is_refused_on_the_rows_it_was_fitted_on_and_judged_on_others():
    gate = fit_record("gate", row_ids(STEMS[0]) + row_ids(STEMS[1])[:3])
    assert gate.soundscapes == (STEMS[0], STEMS[1])
    refuse_self_judged(gate, row_ids(STEMS[2]))
    with pytest.raises(BadInput, match=r"gate would be judged.*\n.*\n.*12 contaminated"):
        refuse_self_judged(gate, row_ids(STEMS[1]) + row_ids(STEMS[2]))  # other windows of a soundscape count too
    with pytest.raises(BadInput, match="12 contaminated"):
        refuse_self_judged(gate, row_ids(SAME_DAY))
    with pytest.raises(BadInput, match="12 contaminated"):
        refuse_self_judged(gate, row_ids(STEMS[2]), related={STEMS[1]: "d", STEMS[2]: "d"})


WITH_PSEUDO_LABELS = override(TINY_PLAN, pseudo_ratio=1.0, gate="top_k", top_k=1)


class Lineage:
    """Members on the tiny miniature with teachers among them, each with the record that training would have written."""

    def __init__(self, members, prepared_folder, public, folder):
        self.folder, self.prepared_folder, self.public = folder, prepared_folder, public
        self.prepared = load_prepared(prepared_folder)
        shutil.copytree(members, folder / "members")

    def member(self, name):
        """The member's folder."""
        return self.folder / "members" / name

    def change(self, name, **changes):
        """Write other things into the member's record, and seal it anew."""
        record = self.member(name) / "training.json"
        write_json(record, read_json(record) | changes)
        seal(self.member(name), "member")

    def leak(self, name):
        """Let the member's first model have met a soundscape that its fold holds out."""
        met = read_json(self.member(name) / "training.json")["soundscapes"]
        self.change(name, soundscapes=met | {self.stem: [0, *met[self.stem]]})

    @property
    def stem(self):
        """A soundscape that fold 0 holds out."""
        return next(stem for stem, fold in self.prepared.folds.of("soundscape").items() if fold == 0)

    def labels_by(self, *teachers):
        """Soft labels that these members are recorded to have predicted for all soundscapes."""
        there = {name: self.member(name) for name in teachers}
        return tiny_labels(self.folder / "labels" / "-".join(teachers), self.prepared, self.public, there)

    def learned(self, name, labels, pooled=False):
        """A member that learned from these labels."""
        source = PseudoLabelSource(labels, pooled, ("Aves",) * len(self.prepared.classes))
        run = TrainingRun(WITH_PSEUDO_LABELS, self.prepared, self.public, self.member(name), 1, source)
        self.member(name).mkdir()
        write_json(self.member(name) / "training.json", to_json(fit_network._training_record(run)))
        shutil.copy(self.member("l1_statistics") / "oof.parquet", self.member(name))
        seal(self.member(name), "member")
        return name

    def judged(self, name):
        """The scores that count."""
        return load_oof_scores(self.member(name), self.prepared.folds, related=self.prepared.related)

    def teach(self, labels):
        """Train the first fold of a student, which may not happen."""
        fit(WITH_PSEUDO_LABELS, "student", self.prepared_folder, self.public, self.folder, labels=labels, folds=[0])

    def may_teach(self, labels):
        """True when the teachers of the labels pass the checks before training."""
        place = self.folder / "members"
        settings = WITH_PSEUDO_LABELS.pseudo
        return load_pseudo_labels(labels, False, settings, self.prepared, self.public, place, None) is not None


@pytest.fixture
def lineage(members, prepared_folder, public, tmp_path):
    return Lineage(members, prepared_folder, public, tmp_path)


LEAKED = "has out-of-fold scores of rows it was trained on"


def refused(call, argument, why):
    with pytest.raises(BadInput, match=why):
        call(argument)


def test_without_a_leak_grandchildren_are_judged_and_may_teach(lineage):
    child = lineage.learned("child", lineage.labels_by("l1_statistics", "l0_prior"))
    grandchild = lineage.learned("grandchild", lineage.labels_by(child))
    assert len(lineage.judged(grandchild).row_ids) == 12 * len(lineage.prepared.folds.of("soundscape"))
    assert lineage.may_teach(lineage.labels_by(grandchild))


def test_planted_a_teacher_that_met_what_its_student_is_judged_on(lineage):
    lineage.leak("l1_statistics")
    labels = lineage.labels_by("l0_prior", "l1_statistics")
    student = lineage.learned("child", labels)
    refused(lineage.judged, student, rf"child {LEAKED}(.|\n)*{lineage.stem}(.|\n)*through l1_statistics")
    refused(lineage.teach, labels, f"l1_statistics {LEAKED}")


def test_planted_a_leak_two_generations_back(lineage):
    lineage.leak("l1_statistics")
    child = lineage.learned("child", lineage.labels_by("l1_statistics"))
    labels = lineage.labels_by(child)
    grandchild = lineage.learned("grandchild", labels)
    refused(
        lineage.judged,
        grandchild,
        rf"grandchild {LEAKED}(.|\n)*{lineage.stem}(.|\n)*through l1_statistics",
    )
    refused(lineage.teach, labels, rf"child {LEAKED}(.|\n)*through l1_statistics")
    refused(lineage.teach, lineage.labels_by(grandchild), rf"grandchild {LEAKED}(.|\n)*through l1_statistics")


def test_planted_a_leak_that_teaches_through_a_recipe(lineage, recipe):
    lineage.leak("l1_statistics")
    there = {part.name: lineage.member(part.name) for part in recipe.members}
    ingredients = [RecipeMember(name, check_seal(folder), 0.1) for name, folder in there.items()]
    knowing = replace(recipe, members=ingredients, by_fold=dict.fromkeys("012", recipe.mixes))
    soundscapes = (lineage.public / "train_soundscapes").glob("*.ogg")
    place, cache = lineage.folder / "labels" / "recipe", lineage.folder / "teacher_predictions"
    labels = label(TeacherBlend.of_recipe(knowing), there, soundscapes, lineage.prepared, place, cache)
    student = lineage.learned("child", labels)
    refused(lineage.judged, student, rf"child {LEAKED}(.|\n)*through l1_statistics")
    refused(lineage.teach, labels, f"l1_statistics {LEAKED}")


@pytest.mark.parametrize("hidden", [False, True], ids=["as it is", "what it was trained on itself left out"])
def test_planted_a_pooled_teacher_two_generations_back(lineage, hidden):
    child = lineage.learned("child", lineage.labels_by("l1_statistics"), pooled=True)
    if hidden:
        lineage.change(child, soundscapes={})
    labels = lineage.labels_by(child)
    grandchild = lineage.learned("grandchild", labels)
    through = "l1_statistics" if hidden else "child"
    refused(lineage.judged, grandchild, rf"grandchild {LEAKED}(.|\n)*through {through}")
    refused(lineage.teach, labels, f"child {LEAKED}")


def test_planted_a_record_that_names_a_missing_teacher(lineage):
    child = lineage.learned("child", lineage.labels_by("l1_statistics"))
    grandchild = lineage.learned("grandchild", lineage.labels_by(child))
    lineage.change(child, teachers=["absent"])
    refused(lineage.judged, grandchild, "the teacher absent of child is missing")
    refused(lineage.teach, lineage.labels_by(child), "the teacher absent of child is missing")


def test_planted_a_record_from_which_the_leaky_teacher_was_struck(lineage):
    lineage.leak("l1_statistics")
    child = lineage.learned("child", lineage.labels_by("l1_statistics"))
    labels, record = lineage.labels_by(child), lineage.member(child) / "training.json"
    write_json(record, read_json(record) | {"teachers": []})
    refused(lineage.teach, labels, r"changed or damaged(.|\n)*training.json")
    lineage.change(child)  # and sealed: it is no longer the one that made the labels
    refused(lineage.teach, labels, "the teacher child is not the one that made the labels")
