"""Every preset is a network that can be built and trained into a member that opens and is judged."""

import pytest
import torch

from lib.competition.folds import make_folds
from lib.competition.prepared import load_prepared, save_prepared
from lib.core.errors import BadInput
from lib.judge.leakage import judge_member
from lib.learn.network.config import FRONT_ENDS, NetworkPlan, differences, find_front_end, override
from lib.learn.network.losses import make_loss
from lib.learn.network.presets import PRESETS, find_preset
from lib.learn.network.samplers import Sampler
from lib.models.member.open import open_member
from lib.models.network.backbones import BACKBONES
from lib.models.network.network import build_network
from tests.support.standin import write_standin
from tests.support.tinylabels import tiny_labels
from tests.support.tinyplan import fit

N_CLASSES = 234


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_built_and_takes_spectrograms_of_its_front_end(name):
    plan = find_preset(name)
    assert plan.front_end in FRONT_ENDS.values()
    assert plan.network.backbone in BACKBONES
    assert plan.weights == ("none" if plan.network.backbone == "plain" else "timm")
    with torch.device("meta"):  # shapes alone
        network = build_network(plan.network, N_CLASSES)
        frames = plan.front_end.frames(plan.crop.samples)
        output = network(torch.zeros(2, 1, plan.front_end.n_mels, frames))
    assert output.clip_logits.shape == (2, N_CLASSES)
    assert output.frame_logits.shape[:2] == (2, N_CLASSES)
    assert output.frame_logits.shape[2] > 5 or plan.network.head != "sed"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_fed_and_trained(name):
    plan = find_preset(name)
    logits = torch.zeros(3, 4, requires_grad=True)
    loss = make_loss(plan.loss, torch.ones(4))(logits, torch.eye(4)[:3], torch.ones(3, 4))
    loss.backward()
    assert logits.grad.abs().sum() > 0
    primary = torch.arange(20).repeat(3).numpy()
    passed_gate = torch.eye(20, dtype=bool).numpy() if plan.pseudo.pseudo_ratio else None
    clips, soundscapes, pseudo = Sampler(primary, 50, plan.sampler, 0, passed_gate, plan.pseudo).rows(0)
    assert (len(pseudo) > 0) == (passed_gate is not None)
    assert len(clips) + len(soundscapes) + len(pseudo) == plan.sampler.batch_size
    assert len(soundscapes) or not (plan.sampler.soundscape_share or plan.augment.soundscape_mixup_p)


def test_presets_differ_from_each_other():
    plans = list(PRESETS.values())
    assert all(differences(one, other) for n, one in enumerate(plans) for other in plans[:n])


def test_a_preset_or_front_end_of_no_such_name_is_refused_with_all_that_are():
    with pytest.raises(BadInput, match=r"small_sed(.|\n)*owl"):
        find_preset("owl")
    with pytest.raises(BadInput, match=r"mel128(.|\n)*owl"):
        find_front_end("owl")


@pytest.fixture(scope="module")
def two_folds(prepared_folder, tmp_path_factory):
    """The tiny miniature prepared in two folds: each is a network to export, which is what takes the time."""
    whole = load_prepared(prepared_folder)
    folds = make_folds(whole.clips, whole.windows, whole.classes, n_folds=2, seed=0)
    folder = tmp_path_factory.mktemp("two_folds") / "prepared"
    save_prepared(
        folder,
        whole.classes,
        whole.clips,
        whole.windows,
        folds,
        qa=whole.qa,
        data_version=whole.facts.data_version,
        seed=0,
    )
    return folder


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Where the presets' members come to lie, side by side."""
    return tmp_path_factory.mktemp("presets")


def short(plan: NetworkPlan) -> NetworkPlan:
    """The plan with few steps on coarse spectrograms, from random weights."""
    return override(plan, weights="none", epochs=1, steps_per_epoch=2, batch_size=10, n_mels=64, hop_samples=2048)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_into_a_member_that_opens_and_is_judged(name, two_folds, networks, public, classes):
    plan, prepared = short(find_preset(name)), load_prepared(two_folds)
    if plan.embedder:
        write_standin(networks / "standin.onnx")
        plan = override(plan, embedder=str(networks / "standin.onnx"))
    how = {"labels": tiny_labels(networks / "labels", prepared, public, {})} if plan.pseudo.pseudo_ratio else {}
    fitted = fit(plan, name, two_folds, public, networks, **how)
    assert len(fitted.history) == 2
    assert fitted.history.loss.between(0, 100).all()
    open_member(networks / "members" / name, classes)
    assert 0 <= judge_member(networks / "members" / name, prepared.labels, prepared.folds).macro <= 1
