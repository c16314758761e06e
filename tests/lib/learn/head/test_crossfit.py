"""Head members are cross-fitted on the frozen folds, and their training record lists what each fold was given."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape, row_ids
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.core.records import MEASURED, check_seal, read_json
from lib.judge.leakage import crossfit_training, judge_member
from lib.learn.baseline.logistic import LogisticSettings
from lib.learn.head.base import Head
from lib.learn.head.class_mlps import ClassMlpSettings, fit_class_mlps
from lib.learn.head.crossfit import fit_head_member
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head, zero_shot_head
from lib.models.member.card import read_card
from lib.models.member.head import HeadMember
from lib.models.member.inputs import SoundscapeInputs
from lib.sound.decode import decode
from tests.support.tinyheads import make_head_setup

QUICK = LinearHeadSettings(("logits", "block:MBConv_0"), logistic=LogisticSettings(max_iterations=5))


@pytest.fixture(scope="module")
def head_setup(prepared_folder, public, tmp_path_factory):
    return make_head_setup(load_prepared(prepared_folder), public, tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def linear(head_setup):
    return fitted(head_setup, "linear", Head("linear", fit_linear_head, QUICK))


def fitted(head_setup, name, head, data=None, seeds=(0,)):
    fit_head_member(
        head_setup.prepared, data or head_setup.data, head, head_setup.member(name), head_setup.embedder, seeds
    )
    return head_setup.member(name)


def everything(data, folds, fold):
    """A part that forgets the folds: a planted leak."""
    return np.ones(len(data.sequences), dtype=bool), np.ones(len(data.clips.names), dtype=bool)


def test_all_windows_of_the_labelled_soundscapes_are_scored_and_judged(head_setup, linear):
    prepared = head_setup.prepared
    scores = load_scores(linear / "oof.parquet")
    assert sorted(scores.row_ids) == sorted(row for stem in set(prepared.windows.stem) for row in row_ids(stem))
    assert 0 < judge_member(linear, prepared.labels, prepared.folds, related=prepared.related).macro < 1


def test_the_training_record_is_all_that_a_fold_does_not_hold_out(head_setup, linear):
    record, plain = read_json(linear / "training.json"), crossfit_training(head_setup.prepared.folds)
    assert record["soundscapes"] == plain.soundscapes
    assert record["clips"] == plain.clips


def test_a_head_that_was_fitted_on_everything_records_it_and_is_refused(head_setup):
    leak = fitted(head_setup, "leak", Head("linear", fit_linear_head, QUICK, everything))
    with pytest.raises(BadInput, match="leak has out-of-fold scores of rows it was trained on"):
        judge_member(leak, head_setup.prepared.labels, head_setup.prepared.folds)


def test_a_head_that_is_not_trained_has_an_empty_record_and_gives_the_embedders_own_output(head_setup):
    member = fitted(head_setup, "zero_shot", zero_shot_head())
    training = read_json(member / "training.json")
    assert training["soundscapes"] == training["clips"] == {}
    expected = expit(head_setup.data.sequences.embeddings["logits"]).reshape(-1, len(head_setup.prepared.classes))
    np.testing.assert_allclose(load_scores(member / "oof.parquet").values, expected, atol=1e-6)


def test_a_folds_labels_have_no_part_in_its_own_scores(head_setup, linear):
    """Turn fold 0's labels: its out-of-fold scores may not move by a bit, the other folds' must."""
    data, folds = head_setup.data, head_setup.prepared.folds
    here = np.array([folds.of("soundscape")[stem] == 0 for stem in data.sequences.stems])
    clips = np.array([folds.of("clip")[name] == 0 for name in data.clips.names])
    turned = replace(
        data,
        sequences=replace(data.sequences, truth=data.sequences.truth ^ here[:, None, None]),
        clips=replace(data.clips, truth=data.clips.truth ^ clips[data.clips.clip_of_row][:, None]),
    )
    other = fitted(head_setup, "turned", Head("linear", fit_linear_head, QUICK), turned)
    before, after = load_scores(linear / "oof.parquet").values, load_scores(other / "oof.parquet").values
    held = np.repeat(here, 12)
    np.testing.assert_array_equal(before[held], after[held])
    assert (before[~held] != after[~held]).any()


def test_the_opened_members_single_fold_gives_that_folds_out_of_fold_scores(head_setup, linear, public):
    prepared, oof = head_setup.prepared, load_scores(linear / "oof.parquet")
    head = HeadMember(linear, read_card(linear, prepared.classes), prepared.classes)
    for stem, fold in prepared.folds.of("soundscape").items():
        audio = decode(public / "train_soundscapes" / f"{stem}.ogg")
        rows = [row.startswith(stem) for row in oof.row_ids]
        predicted = head.predict(SoundscapeInputs(parse_soundscape(stem), audio), [fold])
        np.testing.assert_allclose(predicted, oof.values[rows], atol=1e-6)


def test_the_card_holds_what_inference_needs_and_what_was_measured(head_setup, linear):
    card = read_card(linear, head_setup.prepared.classes)
    assert card.family == "head"
    assert (card.inputs, card.outputs) == (["logits", "block:MBConv_0"], ["logit"])
    assert 0 <= card.measured.parity_max_abs < 1e-4
    own, shared = card.measured.own_seconds, card.measured.shared_seconds
    assert card.measured.seconds_per_soundscape == own + shared["tiny"]
    assert min(own, *shared.values()) > 0
    assert card.config["embedder"] == "tiny"
    assert card.config["embedder_manifest"] == check_seal(head_setup.embedder)
    assert card.config["settings"]["logistic"]["max_iterations"] == 5


def test_probes_of_torch_are_a_member_like_any_other_which_opens(head_setup):
    settings = ClassMlpSettings(fewest_positives=3, steps=20)
    member = fitted(head_setup, "probes", Head("class-mlps", fit_class_mlps, settings), seeds=(0, 1))
    card = read_card(member, head_setup.prepared.classes)
    assert card.inputs == ["embedding", "logits"]
    HeadMember(member, card, head_setup.prepared.classes)
    assert 0 < judge_member(member, head_setup.prepared.labels, head_setup.prepared.folds).macro < 1


class Wavering:
    """A head whose logit is its seed, exported as another number where `lies`."""

    def __init__(self, data, settings, *, seed):
        self.linear = fit_linear_head(data, QUICK, seed=seed)
        self.shift, self.lies = seed, settings == "lies"
        object.__setattr__(self.linear.linear, "bias", self.linear.linear.bias + seed)

    def logits(self, sequences):
        return self.linear.logits(sequences) + 0.01 * self.lies

    def export(self, path):
        self.linear.export(path)


def test_the_seeds_of_a_fold_are_one_graph_with_their_mean_logit(head_setup, linear, monkeypatch):
    monkeypatch.setattr("lib.learn.head.crossfit.asdict", lambda settings: {"settings": settings})
    two = fitted(head_setup, "two", Head("wavering", Wavering, ""), seeds=(1, 3))
    logits = [np.log(p / (1 - p)) for p in (load_scores(m / "oof.parquet").values.astype(float) for m in (linear, two))]
    np.testing.assert_allclose(logits[1], logits[0] + 2.0, atol=1e-3)
    assert read_json(two / "member.json")["config"]["seeds"] == [1, 3]


def test_an_export_that_differs_from_what_was_fitted_is_refused_before_there_is_a_member(head_setup, monkeypatch):
    monkeypatch.setattr("lib.learn.head.crossfit.asdict", lambda settings: {"settings": settings})
    with pytest.raises(BadInput, match="the exported head differs"):
        fitted(head_setup, "liar", Head("wavering", Wavering, "lies"))
    assert not (head_setup.member("liar") / "manifest.json").exists()


def test_the_same_material_gives_the_same_member_but_for_what_was_timed(head_setup, linear):
    repeated = fitted(head_setup, f"again/{linear.name}", Head("linear", fit_linear_head, QUICK))
    assert check_seal(repeated) == check_seal(linear)
    assert (repeated / MEASURED).read_bytes() != (linear / MEASURED).read_bytes()
