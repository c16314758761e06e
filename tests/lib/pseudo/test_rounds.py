"""Rounds continue while students are surely better; teachers, comparisons and folders of each round are exact."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest

from build.project import ROOT
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput
from lib.core.paths import find_artifacts, manifest_kind
from lib.core.records import check_seal, read_json, seal, to_json, write_json
from lib.judge.bootstrap import Interval
from lib.judge.leakage import crossfit_training
from lib.learn.network.config import NetworkPlan, override
from lib.learn.soft_labels.store import open_soft_labels
from lib.pseudo import predictions, rounds
from lib.pseudo.rounds import (
    LeakyControl,
    Round,
    RoundContext,
    RoundSettings,
    gains_table,
    of_round,
    parse_numbers,
    run_rounds,
)
from lib.pseudo.student_gain import RoundVerdict, StudentGain
from lib.pseudo.teachers import TeacherBlend
from tests.lib.learn.network.test_crossfit import same_member
from tests.support.tinyexamples import LABELLED, RELATED, SAME_DAY, STEMS, tiny_prepared, windows_of
from tests.support.tinylabels import write_labels
from tests.support.tinyplan import TINY_PLAN

PLAN = override(NetworkPlan(), pseudo_ratio=1.0)
CALLS = {end: ("ant",) if end <= 10 else () for end in range(5, 61, 5)}  # alike in every soundscape: no luck in draws
PREPARED = replace(tiny_prepared(), windows=windows_of(dict.fromkeys(LABELLED, CALLS)))
FOLDS, CLASSES = PREPARED.folds, PREPARED.classes
TEACHING = TeacherBlend.of_member("hen")


def scores_of(auc, stems=LABELLED):
    """Scores that separate calls from silence with this AUC, a multiple of a tenth."""
    values = np.full((12 * len(stems), 3), 0.5)
    values[:, 0] = np.tile([auc, auc, *(np.arange(10) + 0.5) / 10], len(stems))
    return Scores(values, [row for stem in stems for row in row_ids(stem)], CLASSES.labels, "prob")


def write_member(folder, auc, teachers=(), **met):
    """A sealed member that is so good."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    training = crossfit_training(FOLDS)
    met = training.soundscapes | met
    write_json(folder / "training.json", to_json(replace(training, soundscapes=met, teachers=list(teachers))))
    scores_of(auc).save(folder / "oof.parquet")
    seal(folder, "member")
    return folder


class Stage:
    """A context in which students are as good as they are set to be, with notes of what was called."""

    def __init__(self, folder):
        self.output, self.students, self.leaky = folder / "output", {}, 0.9
        self.labellers, self.fitted = [], []
        members = {name: write_member(folder / "there" / name, auc) for name, auc in (("owl", 0.5), ("hen", 0.6))}
        self.context = RoundContext(folder, folder, self.output, folder / "cache", members, ())

    def label(self, blend, members, soundscapes, prepared, folder, cache):
        """Hens predict .25, students .75; note who labelled."""
        (who,) = blend.members
        self.labellers.append(who)
        probabilities = np.full((len(STEMS), 12, 3), 0.25 if who == "hen" else 0.75)
        return write_labels(folder, prepared, dict.fromkeys(FOLDS.numbers, probabilities), STEMS, {who: members[who]})

    def fit_network(self, plan, prepared, public, member, *, labels, others, folds=None, pooled=False, **how):
        """The student; note of what it was made."""
        opened = open_soft_labels(labels, CLASSES, FOLDS)
        self.fitted.append(
            SimpleNamespace(plan=plan, member=member, labels=opened, others=others, folds=folds, pooled=pooled, **how)
        )
        if folds is not None:
            return SimpleNamespace(oof=scores_of(self.leaky, [LABELLED[fold] for fold in folds]))
        write_member(member, self.students[member.name], opened.card.teachers)
        return SimpleNamespace(oof=None)

    def run(self, *aucs, control="owl", teaching=TEACHING, plan=PLAN, **settings):
        """The rounds of students x_r1, x_r2, ... that are so good."""
        self.students = {f"x_r{number}": auc for number, auc in enumerate(aucs, start=1)}
        settings = RoundSettings(**{"rounds": len(aucs)} | settings)
        return list(run_rounds(plan, teaching, control, "x", settings, self.context))

    def members(self):
        """The names of what a later notebook takes for members."""
        return sorted(folder.name for folder in find_artifacts("member", str(self.output)))


@pytest.fixture
def stage(monkeypatch, tmp_path):
    monkeypatch.setattr(rounds, "load_prepared", lambda folder: PREPARED)
    made = Stage(tmp_path)
    monkeypatch.setattr(rounds, "label", made.label)
    monkeypatch.setattr(rounds, "fit_network", made.fit_network)
    return made


def verdicts(done):
    return [each.verdict.word for each in done]


def test_rounds_go_on_while_students_are_surely_better_than_the_one_before(stage):
    done = stage.run(0.7, 0.9, 0.9, 1.0, 1.0)
    assert verdicts(done) == ["keep", "keep", "stop"]
    assert [each.number for each in done] == [1, 2, 3]
    assert [each.gain.gain for each in done] == pytest.approx([0.2, 0.4, 0.4])
    assert [each.gain_over_last.gain for each in done] == pytest.approx([0.2, 0.2, 0.0])
    assert [each.leaky_control for each in done] == [None] * 3
    assert stage.members() == ["x_r1", "x_r2", "x_r3"]  # one that is no better is a member all the same
    assert [each.folder for each in done] == [stage.output / "members" / f"x_r{n}" for n in (1, 2, 3)]


def test_the_last_of_the_rounds_that_were_set_is_the_end(stage):
    assert verdicts(stage.run(0.7, 0.8)) == ["keep", "keep"]
    assert stage.labellers == ["hen", "x_r1"]


def test_one_that_is_surely_worse_is_discarded_and_found_as_no_member(stage):
    done = stage.run(0.7, 0.6, 0.9)
    assert verdicts(done) == ["keep", "discard"]
    assert done[1].folder == stage.output / "discarded" / "x_r2"
    assert manifest_kind(done[1].folder) == "discarded"
    check_seal(done[1].folder)
    assert stage.members() == ["x_r1"]
    assert not (stage.output / "members" / "x_r2").exists()


def test_to_the_end_all_rounds_run_and_a_discarded_student_labels_nothing(stage):
    done = stage.run(0.3, 0.7, 0.7, 0.6, 0.9, to_the_end=True)
    assert verdicts(done) == ["discard", "keep", "stop", "discard", "keep"]
    assert [each.gain_over_last.gain for each in done] == pytest.approx([-0.2, 0.2, 0.0, -0.1, 0.2])  # 1: the control
    assert stage.labellers == ["hen", "x_r2", "x_r3", "x_r3"]
    teachers = [sorted(each.labels.card.teachers) for each in done]
    assert teachers == [["hen"], ["hen"], ["hen", "x_r2"], ["hen", "x_r3"], ["hen", "x_r3"]]
    assert stage.members() == ["x_r2", "x_r3", "x_r5"]
    there = stage.context.members | {name: stage.output / "members" / name for name in stage.members()}
    for name in stage.members():
        stage.context.oof_scores(there[name], there)  # no teacher in its chain is missing


def test_each_round_has_its_own_numbers_and_a_short_list_repeats_its_last(stage):
    stage.run(0.6, 0.7, 0.8, soft_powers=(1.0, 1.5), pseudo_weights=(0.25, 0.5, 2.0))
    plans = [fit.plan for fit in stage.fitted]
    assert [plan.gate.soft_power for plan in plans] == [1.0, 1.5, 1.5]
    assert [plan.pseudo.pseudo_weight for plan in plans] == [0.25, 0.5, 2.0]
    assert plans[0] == override(PLAN, pseudo_weight=0.25)
    assert [of_round((1.0, 2.0), number) for number in (1, 2, 3)] == [1.0, 2.0, 2.0]


def test_from_the_second_round_on_the_last_student_has_its_share_in_the_labels(stage):
    done = stage.run(0.6, 0.7, 0.8, 0.9, student_shares=(0.25, 1.0))
    values = [set(np.unique(each.labels.of_fold(1)).tolist()) for each in done]
    assert values == [{0.25}, {0.375}, {0.75}, {0.75}]
    assert [sorted(each.labels.card.teachers) for each in done] == [["hen"], *(["hen", f"x_r{n}"] for n in (1, 2, 3))]
    assert [each.labels.folder.name for each in done] == ["x_r1", "x_r2", "x_r3", "x_r4"]


def test_everything_that_training_needs_reaches_it(stage):
    stage.run(0.6, 0.7)
    first, last = stage.fitted
    assert (first.cache_folder, first.seed, first.pooled) == (stage.context.cache_folder, 1, False)
    assert set(first.others) >= {"owl", "hen"}
    assert last.others["x_r1"] == stage.output / "members" / "x_r1"
    assert last.labels.folder == stage.output / "labels" / "x_r2"


def test_a_leaky_control_is_compared_on_its_folds_and_leaves_no_member(stage):
    (done,) = stage.run(0.7, leaky_folds=(0, 2))
    _, leaky = stage.fitted
    assert (leaky.pooled, leaky.folds, leaky.member) == (True, (0, 2), stage.output / "leaky" / "x_r1")
    on_leaky_folds = (done.leaky_control.clean, done.leaky_control.leaky)
    assert [each.rows for each in (done.gain, *on_leaky_folds)] == [36, 24, 24]
    assert [each.gain for each in on_leaky_folds] == pytest.approx([0.2, 0.4])
    assert [each.control for each in on_leaky_folds] == pytest.approx([0.5, 0.5])
    assert verdicts([done]) == ["keep"]
    assert stage.members() == ["x_r1"]
    assert not (stage.output / "leaky").exists()


def test_what_a_leak_gains_decides_nothing(stage):
    stage.leaky = 1.0
    assert verdicts(stage.run(0.4, leaky_folds=(1,))) == ["discard"]


@pytest.mark.parametrize("auc", [0.7, 0.4], ids=["kept", "discarded"])
def test_students_of_an_earlier_run_do_not_stay_beside_others(stage, auc):
    stage.run(0.3)
    stage.run(0.7, 0.8)
    bystander = write_member(stage.output / "members" / "x_r1_again", 0.5)
    stage.run(auc)
    assert stage.members() == sorted(["x_r1"] * (auc == 0.7) + [bystander.name])
    assert (stage.output / "discarded" / "x_r1").exists() == (auc == 0.4)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"control": "lark"}, r"no member 'lark'(.|\n)*hen, owl, x_r3"),
        ({"control": "x_r3"}, "name of its control"),
        ({"leaky_folds": (0, 1, 2)}, "leaky control is no member"),
        ({"leaky_folds": (0, 7)}, "leaky control is no member"),
        ({"pseudo_weights": (1.0, 1.0, 0.0)}, "pseudo-label settings"),  # of a third round, hours later
        ({"rounds": 0}, "settings of rounds"),
        ({"soft_powers": ()}, "settings of rounds"),
        ({"student_shares": (0.5, 1.5)}, "settings of rounds"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_predicted(stage, how, why):
    stage.context.members["x_r3"] = stage.context.members["owl"]
    with pytest.raises(BadInput, match=why):
        stage.run(0.6, 0.7, 0.8, **how)
    assert (stage.labellers, stage.fitted) == ([], [])


@pytest.mark.parametrize("between", [[], ["lark"]], ids=["a teacher", "a teacher's teacher"])
def test_a_student_may_not_be_called_like_one_it_descends_from(stage, between):
    there, members = stage.output.parent / "there", stage.context.members
    members["x_r2"] = write_member(there / "x_r2", 0.6)
    last = "x_r2"
    for name in between:
        members[name], last = write_member(there / name, 0.6, [last]), name
    with pytest.raises(BadInput, match=r"one that it descends from(.|\n)*x_r1, x_r2"):
        stage.run(0.7, 0.8, teaching=TeacherBlend.of_member(last))
    assert (stage.labellers, stage.fitted) == ([], [])
    assert verdicts(stage.run(0.7, teaching=TeacherBlend.of_member(last))) == ["keep"]  # x_r1 is free


@pytest.mark.parametrize(
    ("met", "fold"), [(LABELLED[0], 0), (SAME_DAY, 0), (RELATED, 1)], ids=["itself", "of its day", "related"]
)
def test_a_student_of_a_teacher_that_has_met_what_it_is_judged_on_gains_nothing(stage, met, fold):
    write_member(stage.context.members["hen"], 0.6, **{met: [fold]})
    with pytest.raises(
        BadInput, match=r"x_r1 has out-of-fold scores of rows it was trained on(.|\n)*12 contaminated.*through hen"
    ):
        stage.run(1.0)


def gained(gain, low, high):
    return StudentGain(0.5 + gain, 0.5, Interval(low, high), 12)


def test_the_table_has_a_row_a_gain_on_the_leaky_folds_where_there_is_a_leaky_control():
    clean, leaky = gained(0.25, 0.125, 0.5), gained(0.375, 0.25, 0.5)
    whole, step = gained(0.125, 0.0, 0.25), gained(-0.5, -1.0, -0.25)
    facts = {"labels": None, "trained": None, "folder": None, "gain": whole, "gain_over_last": step}
    done = [
        Round(1, **facts, leaky_control=LeakyControl(clean, leaky), verdict=RoundVerdict("keep", "")),
        Round(2, **facts, leaky_control=None, verdict=RoundVerdict("discard", "")),
    ]
    table = gains_table(done)
    assert list(table) == ["round", "kind", "gain", "low", "high", "verdict"]
    assert table.to_numpy().tolist() == [
        [1, "student", 0.25, 0.125, 0.5, "keep"],
        [1, "leaky", 0.375, 0.25, 0.5, "keep"],
        [2, "student", 0.125, 0.0, 0.25, "discard"],
    ]


def test_numbers_are_parsed_from_text():
    assert parse_numbers("1, 1.54,2,") == (1.0, 1.54, 2.0)
    assert parse_numbers(" ") == ()
    with pytest.raises(BadInput, match="list of numbers"):
        parse_numbers("1; 2")


def real_round(prepared_folder, public, members, output):
    """R1 on the tiny miniature, by real labelling and training; the prior is its control."""
    folders = {folder.name: folder for folder in sorted(members.iterdir())}
    soundscapes = tuple(sorted((public / "train_soundscapes").glob("*.ogg")))
    context = RoundContext(prepared_folder, public, output, output / "cache", folders, soundscapes)
    plan, settings = override(TINY_PLAN, pseudo_ratio=1.0, gate="top_k", top_k=1), RoundSettings(leaky_folds=(0,))
    with patch.object(predictions, "CHUNK", 2):
        (done,) = run_rounds(plan, TeacherBlend.of_member("l1_statistics"), "l0_prior", "x", settings, context)
    return done, context


@pytest.fixture(scope="module")
def real(prepared_folder, public, members, tmp_path_factory):
    output = tmp_path_factory.mktemp("rounds") / "output"
    return *real_round(prepared_folder, public, members, output), output


@pytest.mark.slow
def test_a_real_round_is_judged_as_it_should_be(real, prepared_folder, public):
    done, context, output = real
    training = read_json(done.folder / "training.json")
    assert (training["teachers"], training["pooled_teachers"]) == (["l1_statistics"], [])
    assert len(done.labels.card.stems) == len(list((public / "train_soundscapes").glob("*.ogg")))
    of_fold = {stem for stem, fold in context.prepared.folds.of("soundscape").items() if fold == 0}
    windows = context.prepared.windows
    assert done.gain.rows == len(windows)
    assert [each.rows for each in (done.leaky_control.clean, done.leaky_control.leaky)] == [
        windows.stem.isin(of_fold).sum()
    ] * 2
    assert done.gain_over_last == done.gain
    assert done.folder.parent.name == ("discarded" if done.verdict.word == "discard" else "members")
    scores = context.oof_scores(done.folder, context.members | {done.folder.name: done.folder})
    assert 0 < scores.values.min() <= scores.values.max() < 1
    assert not (output / "leaky").exists()
    assert len(list((output / "training").iterdir())) == 2  # the student's and its leaky control's


@pytest.mark.slow
def test_killed_while_labelling_and_while_learning_a_round_ends_with_the_same_bytes(
    real, prepared_folder, public, members, tmp_path
):
    done, _, output = real
    paths, again = [str(ROOT)], tmp_path / "output"
    where = [str(folder) for folder in (prepared_folder, public, members, again)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}; from pathlib import Path; "
        "from tests.lib.pseudo.test_rounds import real_round; "
        f"real_round(*map(Path, {where!r}))"
    )
    for begun in ("teacher_predictions/*.npy", "training/*/fold0/checkpoint"):
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        while not list(again.glob(begun)):
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        time.sleep(1)  # the folds' processes end with it
        assert not (again / ("labels" if begun.startswith("teacher_predictions") else "members")).exists(), (
            "killed too late"
        )
    ended, _ = real_round(prepared_folder, public, members, again)
    for folder in ("labels/x_r1", "teacher_predictions"):
        names = sorted(path.name for path in (output / folder).iterdir())
        assert names == sorted(path.name for path in (again / folder).iterdir())
        for name in names:
            assert (again / folder / name).read_bytes() == (output / folder / name).read_bytes(), name
    assert (ended.gain, ended.leaky_control, ended.verdict) == (done.gain, done.leaky_control, done.verdict)
    same_member(done.folder, ended.folder)
