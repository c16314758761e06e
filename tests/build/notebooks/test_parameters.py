"""The parameters of the six notebooks: the choices that their cells list are those of lib; and the grammar of P."""

import pytest

from build.notebooks.assignments import Assignment, assign, parse_assignments
from build.notebooks.parameters import parameters_of
from build.notebooks.values import convert_parameters
from build.project import ROOT
from lib.blend.templates.registry import TEMPLATES
from lib.core.errors import BadInput
from lib.learn.head.kinds import head_kinds
from lib.learn.network.presets import PRESETS
from lib.learn.network.tta_member import TTA_PRESETS

SOURCES = {path.stem[:2]: path for path in sorted((ROOT / "notebooks_src").glob("[0-9]*.py"))}


@pytest.mark.parametrize(
    ("number", "name", "registry", "several"),
    [
        ("02", "preset", PRESETS, False),
        ("04", "preset", PRESETS, False),
        ("05", "template", TEMPLATES, False),
        ("02", "tta", TTA_PRESETS, True),
        ("03", "heads", head_kinds(()), True),
    ],
)
def test_the_names_listed_are_those_of_the_registry(number, name, registry, several):
    parameter = parameters_of(SOURCES[number])[name]
    assert parameter.names == tuple(registry)
    assert parameter.several == several


def test_every_default_is_a_value_that_may_be_given():
    for source in SOURCES.values():
        defaults = {name: each.value for name, each in parameters_of(source).items()}
        assert convert_parameters(source, defaults) == defaults


def test_an_assignment_without_a_notebook_is_for_all_that_have_the_parameter_and_one_with_it_wins():
    chosen = [SOURCES["02"], SOURCES["03"], SOURCES["04"]]
    given = assign(chosen, "seed=3 04:seed=7 02:overrides='loss=focal, mixup_p=1'")
    assert given == {
        SOURCES["02"]: {"seed": 3, "overrides": "loss=focal, mixup_p=1"},
        SOURCES["03"]: {},
        SOURCES["04"]: {"seed": 7},
    }


def test_assignments_are_read_in_one_grammar():
    assert parse_assignments("02:epochs=1 seed= a='x y' b=c=d") == [
        Assignment("02", "epochs", "1"),
        Assignment("", "seed", ""),
        Assignment("", "a", "x y"),
        Assignment("", "b", "c=d"),
    ]
    for wrong in ("epochs", "-p epochs=1", "a=1 a=2", "a='x", "02:=1", "a b=1"):
        with pytest.raises(BadInput, match="not a list of parameters"):
            parse_assignments(wrong)


@pytest.mark.parametrize(
    "values", [{"epochs": "2", "overrides": "epochs=3"}, {"overrides": "mixup_p=2"}, {"tta": "shifts,halve"}]
)
def test_settings_that_no_network_can_have_are_refused(values):
    with pytest.raises(BadInput):
        convert_parameters(SOURCES["02"], values)
