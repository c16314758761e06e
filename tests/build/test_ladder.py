"""The ladder scores members and blends on the hidden test, and marks the rungs that run on a stand-in embedder."""

import html
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from build import ladder
from lib.blend.recipe import Part, RecipeMember
from lib.blend.recipe_file import save_recipe
from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.core.records import check_seal, seal
from lib.judge.leakage import judge_member
from lib.learn.baseline.logistic import LogisticSettings
from lib.learn.head.base import Head
from lib.learn.head.crossfit import fit_head_member
from lib.learn.head.data import load_head_data
from lib.learn.head.linear import LinearHeadSettings, fit_linear_head
from lib.models.embedder.base import find_labels, read_labels
from lib.models.embedder.card import read_embedder_card
from lib.models.embedder.labels import map_labels
from lib.models.embedder.pack import pack_embedder
from lib.models.embedder.packed import open_embedder
from lib.models.member.card import read_card
from lib.sound.decode import decode, loudest_windows, soundscape_windows
from tests.support.pagecheck import faults_of

LINEAR = Head("linear", fit_linear_head, LinearHeadSettings(("logits",), logistic=LogisticSettings(max_iterations=5)))


@pytest.fixture(scope="module")
def runs(prepared_folder, members, recipe, standin_file, public, tmp_path_factory):
    """The outputs of 01, 02, 03 and 05: two baselines, a head on a stand-in, two recipes of which one uses the head."""
    folder = tmp_path_factory.mktemp("ladder") / "runs"
    shutil.copytree(prepared_folder, folder / "01_data_prep/prepared")
    shutil.copytree(members, folder / "02_fold_training/members")
    head = fit_on_standin(load_prepared(prepared_folder), public, standin_file, folder / "03_perch_probe")
    parts = [Part("l1_statistics", 0.7), Part("l3_linear", 0.3)]
    mixes = [replace(recipe.mixes[0], parts=parts)]
    with_head = replace(
        recipe,
        name="bold",
        members=[*recipe.members, RecipeMember("l3_linear", check_seal(head), 0.1)],
        mixes=mixes,
        by_fold=dict.fromkeys(recipe.by_fold, mixes),
    )
    for each in (recipe, with_head):
        save_recipe(folder / "05_blend/recipes", each)
    seal(folder / "05_blend/recipes", "recipes")
    return folder


def fit_on_standin(prepared, public, standin_file, output):
    """The folder of a linear head on the stand-in's logits."""
    label_map = map_labels(read_taxonomy(public, prepared.classes, Findings()), read_labels(find_labels(standin_file)))
    packed = output / "embedders" / "any_name"
    pack_embedder(standin_file, None, label_map, prepared.classes, packed)
    embedder = open_embedder(packed, prepared.classes)

    def embed(item: str) -> dict[str, np.ndarray]:
        if "/" in item:
            return embedder.embed(loudest_windows(decode(public / "train_audio" / item), 2)).by_name()
        return embedder.embed(soundscape_windows(decode(public / "train_soundscapes" / f"{item}.ogg"))).by_name()

    folder = output / "members" / "l3_linear"
    fit_head_member(prepared, load_head_data(prepared, embed, ("logits",)), LINEAR, folder, packed, [0])
    return folder


def test_the_cards_of_the_embedder_and_of_its_heads_mark_the_stand_in(runs):
    assert read_embedder_card(runs / "03_perch_probe/embedders/any_name").standin
    classes = load_prepared(runs / "01_data_prep/prepared").classes
    assert read_card(runs / "03_perch_probe/members/l3_linear", classes).config["standin"]


@pytest.fixture(scope="module")
def climbed(runs, rerun, mini):
    return ladder.climb(rerun, mini / "hidden/solution.csv", runs)


def test_rungs_on_a_stand_in_are_marked_and_blends_by_its_weight(climbed):
    rows, _ = climbed
    marks = dict(zip(rows.name, rows["stand-in"], strict=True))
    assert marks == {
        "l0_prior": "",
        "l1_statistics": "",
        "l3_linear": "yes",
        "safe blend": "",
        "bold blend": "30% of weight",
    }


def test_a_rung_has_its_out_of_fold_and_its_hidden_score(climbed, runs):
    rows = climbed[0].set_index("name")
    prepared = load_prepared(runs / "01_data_prep/prepared")
    report = judge_member(runs / "02_fold_training/members/l1_statistics", prepared.labels, prepared.folds)
    assert rows.loc["l1_statistics", "out of fold"] == report.macro
    assert (rows.low <= rows.score).all()
    assert (rows.score <= rows.high).all()


def test_gains_out_of_fold_and_on_the_hidden_test_stand_side_by_side(climbed):
    rows, gains = climbed[0].set_index("name"), climbed[1]
    members = rows.loc[["l0_prior", "l1_statistics", "l3_linear"]]
    best = {members["out of fold"].idxmax(), members.score.idxmax()}
    assert set(zip(gains.recipe, gains["gain over"], strict=True)) == {(r, m) for r in ("safe", "bold") for m in best}
    for row in gains.itertuples():
        for shown, column in ((row[3], "out of fold"), (row[4], "score")):
            gain = rows.loc[f"{row.recipe} blend", column] - rows.loc[row[2], column]
            assert re.fullmatch(r"([+-][\d.]+) \[-?[\d.]+, -?[\d.]+\]", shown)[1] == f"{gain:+.3f}"


def test_the_printed_table_and_the_page_show_the_stand_in_and_what_it_means(runs, rerun, mini, tmp_path, capsys):
    arguments = ["--competition", str(rerun), "--solution", str(mini / "hidden/solution.csv"), "--runs", str(runs)]
    assert ladder.main([*arguments, "--page", str(tmp_path / "ladder.html")]) == 0
    printed, page = capsys.readouterr().out, html.unescape((tmp_path / "ladder.html").read_text())
    for text in (printed, page):
        assert "stand-in" in text
        assert "30% of weight" in text
        assert "gain over" in text
        assert all(note in " ".join(text.split()) for note in (ladder.STANDIN_NOTE, ladder.GAINS_NOTE))
    head = next(line for line in printed.splitlines() if "l3_linear" in line)
    assert head.endswith("yes")
    assert "l3_linear (stand-in)" in page
    assert faults_of(tmp_path / "ladder.html") == []
