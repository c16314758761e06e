"""Plans: each setting has one name, changes reach it, and a difference is listed by part and name."""

from dataclasses import asdict, fields, replace

import pytest

from lib.core.errors import BadInput
from lib.core.records import from_json
from lib.learn.network.config import FRONT_ENDS, NetworkPlan, differences, override, parse_settings
from lib.learn.network.presets import plan_network
from lib.models.member.windows import WindowSpec
from lib.sound.mel.config import FrontEnd

PLAN = NetworkPlan()
PARTS = {f.name: f.type for f in fields(NetworkPlan) if f.type is not str}


def test_no_two_parts_have_a_setting_of_the_same_name_but_kind():
    """Otherwise `override` would be ambiguous."""
    names = [f.name for kind in PARTS.values() for f in fields(kind) if f.name != "kind"]
    assert len(names) == len(set(names))
    assert not set(names) & {f.name for f in fields(NetworkPlan) if f.type is str or f.name == "front_end"}


OWN_NAMES = [(part, f.name) for part, kind in PARTS.items() for f in fields(kind) if f.type in (int, float)]


@pytest.mark.parametrize(("part", "name"), OWN_NAMES)
def test_a_number_of_any_part_is_changed_by_its_own_name_alone(part, name):
    now = getattr(getattr(PLAN, part), name)
    other = (2 * now or 1) if isinstance(now, int) else (now / 2 or (1.0 if "gamma" in name else 0.5))
    assert differences(override(PLAN, **{name: other}), PLAN) == {f"{part}.{name}": other}


def test_a_short_name_reaches_its_part():
    plan = override(
        PLAN, loss="focal", crop="energy", sampler="weighted", weights="timm", front_end=FrontEnd(n_mels=64)
    )
    assert (plan.loss.kind, plan.crop.kind, plan.sampler.clips) == ("focal", "energy", "weighted")
    assert differences(plan, PLAN) == {
        "loss.kind": "focal",
        "crop.kind": "energy",
        "sampler.clips": "weighted",
        "weights": "timm",
        "front_end.n_mels": 64,
    }
    assert differences(PLAN, plan)["weights"] == "none"
    assert NetworkPlan() == PLAN


@pytest.mark.parametrize("name", ["wings", "kind", "network"])
def test_a_name_that_is_none_is_refused_with_all_that_are(name):
    with pytest.raises(BadInput, match=rf"no setting '{name}'(.|\n)*loss, crop, sampler(.|\n)*backbone"):
        override(PLAN, **{name: 1})


def test_a_parts_own_refusals_hold():
    with pytest.raises(BadInput, match="schedule"):
        override(PLAN, schedule="sometimes")
    with pytest.raises(BadInput, match="unknown to a crop"):
        override(PLAN, front_end=FrontEnd(scope="file"))
    assert override(PLAN, front_end=FrontEnd(scope="file", level="pcen")).front_end.level == "pcen"


def test_none_keeps_the_plans_own_setting():
    plan = override(PLAN, epochs=None, backbone=None, learning_rate=0.0, batch_size=7)
    assert differences(plan, PLAN) == {"loop.learning_rate": 0.0, "sampler.batch_size": 7}


def test_a_front_end_is_set_by_its_name():
    assert override(PLAN, front_end="mel128").front_end == FRONT_ENDS["mel128"]
    with pytest.raises(BadInput, match="mel128, mel128 minmax, mel256"):
        override(PLAN, front_end="owl")


def test_settings_are_read_from_text():
    read = parse_settings("width=8, mixup_p = 0.5 ,stop_gradient=True, head=gem, weights=")
    assert read == {"width": 8, "mixup_p": 0.5, "stop_gradient": True, "head": "gem", "weights": ""}
    assert parse_settings("") == {}
    with pytest.raises(BadInput, match=r"mixup_p 0\.5, head"):
        parse_settings("width=8, mixup_p 0.5, head")


def test_the_windows_of_inference_are_as_long_as_the_crops():
    assert override(PLAN, seconds=10).window_spec == WindowSpec(10)


def test_a_plan_comes_back_from_the_card():
    plan = override(PLAN, width=8, loss="focal")
    card = asdict(plan)
    parts = {f.name: from_json(f.type, card[f.name], f.name) for f in fields(NetworkPlan) if f.type is not str}
    assert replace(PLAN, **parts) == plan


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"loss": "focl"}, "unknown kind of a loss"),
        ({"mixup_p": "high"}, "mixup_p cannot take this value"),
        ({"mixup_p": 2}, "augmentation settings"),
        ({"epochs": -1}, "epochs is too small"),
        ({"epochs": 1.5}, "epochs cannot take this value"),
        ({"head": "gam"}, "unknown head"),
        ({"dropout_hidden": 1.0}, "dropout_hidden of a network is out of range"),
        ({"mixup_q": 1}, "write mixup_p"),
    ],
)
def test_a_value_that_a_setting_cannot_take_is_refused(setting, message):
    with pytest.raises(BadInput, match=message):
        override(PLAN, **setting)


def test_make_plan_refuses_a_setting_given_twice():
    assert plan_network(None, "loss=focal", epochs=None) == override(PLAN, loss="focal")
    with pytest.raises(BadInput, match="a parameter of its own"):
        plan_network("small_sed", "epochs=2", epochs=None)
    with pytest.raises(BadInput, match="stands twice"):
        plan_network("small_sed", "loss=bce,loss=focal")
