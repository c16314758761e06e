"""Head members are cross-fitted on the frozen folds, and their training record tells what each fold was given."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.records import check_seal, read_json
from lib.judge.leakage import judge_member, training_on
from lib.learn.baseline.logistic import LogisticSettings
from lib.learn.head.base import Head
from lib.learn.head.class_mlps import ClassMlpSettings, fit_class_mlps
from lib.learn.head.crossfit import fit_head_member
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head, zero_shot_head
from lib.models.member.card import read_card
from lib.models.member.head import HeadMember
from lib.models.member.inputs import SoundscapeInputs
from lib.sound.decode import decode
from tests.support.tinyheads import make_studio

QUICK = LinearHeadSettings(("logits", "block:MBConv_0"), logistic=LogisticSettings(max_iterations=5))


@pytest.fixture(scope="module")
def studio(prepared_folder, public, tmp_path_factory):
    return make_studio(load_prepared(prepared_folder), public, tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def linear(studio):
    return fitted(studio, "linear", Head("linear", fit_linear_head, QUICK))


def fitted(studio, name, head, lesson=None, seeds=(0,)):
    fit_head_member(studio.prepared, lesson or studio.lesson, head, studio.member(name), studio.embedder, seeds)
    return studio.member(name)


def everything(lesson, folds, fold):
    """A part that forgets the folds: a planted leak."""
    return np.ones(len(lesson.sequences), dtype=bool), np.ones(len(lesson.clips.names), dtype=bool)


def test_all_windows_of_the_labelled_soundscapes_are_scored_and_judged(studio, linear):
    prepared = studio.prepared
    scores = load_scores(linear / "oof.parquet")
    assert sorted(scores.row_ids) == sorted(row for stem in set(prepared.windows.stem) for row in row_ids(stem))
    assert 0 < judge_member(linear, prepared.labels, prepared.folds, related=prepared.related).macro < 1


def test_what_was_met_is_all_that_a_fold_does_not_hold_out(studio, linear):
    told, plain = read_json(linear / "training.json"), training_on(studio.prepared.folds)
    assert told["soundscapes"] == plain.soundscapes
    assert told["clips"] == plain.clips


def test_a_head_that_was_fitted_on_everything_says_so_and_is_refused(studio):
    leak = fitted(studio, "leak", Head("linear", fit_linear_head, QUICK, everything))
    with pytest.raises(BadInput, match="leak claims scores of rows it has seen"):
        judge_member(leak, studio.prepared.labels, studio.prepared.folds)


def test_a_head_that_learns_nothing_has_met_nothing_and_gives_the_embedders_own_word(studio):
    member = fitted(studio, "zero_shot", zero_shot_head())
    training = read_json(member / "training.json")
    assert training["soundscapes"] == training["clips"] == {}
    expected = expit(studio.lesson.sequences.tokens["logits"]).reshape(-1, len(studio.prepared.classes))
    np.testing.assert_allclose(load_scores(member / "oof.parquet").values, expected, atol=1e-6)


def test_a_folds_labels_have_no_part_in_its_own_scores(studio, linear):
    """Turn fold 0's labels: its out-of-fold scores may not move by a bit, the other folds' must."""
    lesson, folds = studio.lesson, studio.prepared.folds
    here = np.array([folds.of("soundscape")[stem] == 0 for stem in lesson.sequences.stems])
    clips = np.array([folds.of("clip")[name] == 0 for name in lesson.clips.names])
    turned = replace(
        lesson,
        sequences=replace(lesson.sequences, truth=lesson.sequences.truth ^ here[:, None, None]),
        clips=replace(lesson.clips, truth=lesson.clips.truth ^ clips[lesson.clips.clip_of_row][:, None]),
    )
    other = fitted(studio, "turned", Head("linear", fit_linear_head, QUICK), turned)
    before, after = load_scores(linear / "oof.parquet").values, load_scores(other / "oof.parquet").values
    held = np.repeat(here, 12)
    np.testing.assert_array_equal(before[held], after[held])
    assert (before[~held] != after[~held]).any()


def test_the_opened_member_asked_for_one_fold_gives_that_folds_out_of_fold_scores(studio, linear, public):
    prepared, oof = studio.prepared, load_scores(linear / "oof.parquet")
    head = HeadMember(linear, read_card(linear, prepared.classes), prepared.classes)
    for stem, fold in prepared.folds.of("soundscape").items():
        audio = decode(public / "train_soundscapes" / f"{stem}.ogg")
        rows = [row.startswith(stem) for row in oof.row_ids]
        said = head.hear(SoundscapeInputs(parse_soundscape(stem), audio), [fold])
        np.testing.assert_allclose(said, oof.values[rows], atol=1e-6)


def test_the_card_says_what_inference_needs_and_what_was_measured(studio, linear):
    card = read_card(linear, studio.prepared.classes)
    assert card.family == "head"
    assert (card.inputs, card.outputs) == (["logits", "block:MBConv_0"], ["logit"])
    assert 0 <= card.parity_max_abs < 1e-4
    seconds = card.config["seconds"]
    assert card.seconds_per_soundscape == seconds["head"] + seconds["embedder"]
    assert min(seconds.values()) > 0
    assert card.config["embedder"] == "ear"
    assert card.config["embedder_manifest"] == check_seal(studio.embedder)
    assert card.config["settings"]["logistic"]["max_iterations"] == 5


def test_probes_of_torch_are_a_member_like_any_other_which_opens(studio):
    settings = ClassMlpSettings(fewest_positives=3, steps=20)
    member = fitted(studio, "probes", Head("class-mlps", fit_class_mlps, settings), seeds=(0, 1))
    card = read_card(member, studio.prepared.classes)
    assert card.inputs == ["embedding", "logits"]
    HeadMember(member, card, studio.prepared.classes)
    assert 0 < judge_member(member, studio.prepared.labels, studio.prepared.folds).macro < 1


class Wavering:
    """A head whose logit is its seed, exported as another number where `lies`."""

    def __init__(self, lesson, settings, *, seed):
        self.linear = fit_linear_head(lesson, QUICK, seed=seed)
        self.shift, self.lies = seed, settings == "lies"
        object.__setattr__(self.linear.linear, "bias", self.linear.linear.bias + seed)

    def logits(self, sequences):
        return self.linear.logits(sequences) + 0.01 * self.lies

    def export(self, path):
        self.linear.export(path)


def test_the_seeds_of_a_fold_are_one_graph_with_their_mean_logit(studio, linear, monkeypatch):
    monkeypatch.setattr("lib.learn.head.crossfit.asdict", lambda settings: {"settings": settings})
    two = fitted(studio, "two", Head("wavering", Wavering, ""), seeds=(1, 3))
    logits = [np.log(p / (1 - p)) for p in (load_scores(m / "oof.parquet").values.astype(float) for m in (linear, two))]
    np.testing.assert_allclose(logits[1], logits[0] + 2.0, atol=1e-3)
    assert read_json(two / "member.json")["config"]["seeds"] == [1, 3]


def test_an_export_that_differs_from_what_was_fitted_is_refused_before_there_is_a_member(studio, monkeypatch):
    monkeypatch.setattr("lib.learn.head.crossfit.asdict", lambda settings: {"settings": settings})
    with pytest.raises(BadInput, match="the exported head differs"):
        fitted(studio, "liar", Head("wavering", Wavering, "lies"))
    assert not (studio.member("liar") / "manifest.json").exists()


def test_the_same_material_gives_the_same_member_but_for_what_was_timed(studio, linear):
    again = fitted(studio, "again", Head("linear", fit_linear_head, QUICK))
    for path in linear.iterdir():
        if path.name not in ("member.json", "manifest.json"):
            assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    one, other = (read_json(member / "member.json") for member in (linear, again))
    assert one["config_fingerprint"] == other["config_fingerprint"]
