"""Heads are chosen by name; each kind goes from a stand-in's cached embeddings to an opened, judged member."""

import numpy as np
import pytest

from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape
from lib.competition.scores import load_scores
from lib.competition.tables import Findings, read_taxonomy
from lib.core.errors import BadInput
from lib.judge.leakage import judge_member
from lib.learn.cache.embeddings import fill_embeddings
from lib.learn.head.base import leaky_variant
from lib.learn.head.crossfit import fit_head_member, fit_head_members
from lib.learn.head.data import load_head_data
from lib.learn.head.kinds import head_kinds, select_heads
from lib.models.embedder.base import find_labels, read_labels
from lib.models.embedder.labels import map_labels
from lib.models.embedder.pack import pack_embedder
from lib.models.embedder.packed import open_embedder
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.open import open_member
from lib.sound.decode import decode

INPUTS = ("block:MBConv_24", "embedding")


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return load_prepared(prepared_folder)


@pytest.fixture(scope="module")
def head_setup(prepared, public, standin_file, tmp_path_factory):
    """An output with the packed stand-in, and the head data of its cached embeddings."""
    output = tmp_path_factory.mktemp("output")
    packed = output / "embedders" / "standin"
    mapped = map_labels(read_taxonomy(public, prepared.classes, Findings()), read_labels(find_labels(standin_file)))
    pack_embedder(standin_file, None, mapped, prepared.classes, packed, blocks=["MBConv_24"])
    items = {name: public / "train_audio" / name for name in prepared.clips.filename}
    items |= {stem: public / "train_soundscapes" / f"{stem}.ogg" for stem in set(prepared.windows.stem)}
    cache = fill_embeddings(items, packed, prepared.classes, output / "cache", clip_windows=1)
    return output, packed, load_head_data(prepared, cache.embeddings, open_embedder(packed, prepared.classes).widths)


def test_an_unknown_head_lists_those_there_are():
    assert list(select_heads("linear zero_shot", INPUTS)) == ["linear", "zero_shot"]
    with pytest.raises(BadInput, match="zero_shot, linear, mlps, sequence, proto_ssm, residual_ssm"):
        select_heads("linear oracle", INPUTS)


def test_folds_side_by_side_give_members_that_score_as_out_of_fold_and_are_judged(head_setup, prepared, public):
    output, packed, data = head_setup
    kinds = select_heads("zero_shot linear", INPUTS)
    folders = {output / "members" / name: head for name, head in kinds.items()}
    cards = list(fit_head_members(prepared, data, folders, packed, [0]))
    assert [card.name for card in cards] == ["zero_shot", "linear"]
    path = sorted((public / "train_soundscapes").glob("*.ogg"))[0]
    stem = data.sequences.stems[0]
    path = public / "train_soundscapes" / f"{stem}.ogg"
    inputs = SoundscapeInputs(parse_soundscape(stem), decode(path))
    for folder in folders:
        assert 0 < judge_member(folder, prepared.labels, prepared.folds).macro < 1
        assert open_member(folder, prepared.classes).score(inputs).shape == (12, len(prepared.classes))
    oof = load_scores(output / "members" / "zero_shot" / "oof.parquet")
    scores = open_member(output / "members" / "zero_shot", prepared.classes).score(inputs)
    rows = [row for row in oof.row_ids if row.startswith(stem)]
    np.testing.assert_allclose(scores, oof.take(rows).values, atol=2e-3)  # but for the half precision of the cache


def test_a_head_trained_on_everything_is_refused_by_the_judge(head_setup, prepared):
    output, packed, data = head_setup
    leaky = output / "leaky" / "linear"
    fit_head_member(prepared, data, leaky_variant(select_heads("linear", ())["linear"]), leaky, packed, [0])
    with pytest.raises(BadInput, match="scores of rows it was trained on"):
        judge_member(leaky, prepared.labels, prepared.folds)


@pytest.mark.slow
def test_every_kind_of_head_becomes_an_opened_and_judged_member(head_setup, prepared):
    output, packed, data = head_setup
    for name, head in head_kinds(INPUTS).items():
        if name == "mlps":  # needs classes with five labelled windows in each part, which the tiny miniature lacks
            continue
        folder = output / "members" / f"every_{name}"
        fit_head_member(prepared, data, head, folder, packed, [0])
        assert 0 < judge_member(folder, prepared.labels, prepared.folds).macro < 1
        open_member(folder, prepared.classes)
