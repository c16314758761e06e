"""Properties of every step of the registry: shape, range, alignment, and its two flags."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from lib.blend.mix import percentile_ranks
from lib.blend.steps.registry import STEPS, apply_step
from lib.competition.row_ids import row_ids
from lib.competition.scores import Scores
from lib.core.errors import BadInput

STEMS = [f"BC2026_Test_{n:04d}_S{n:02d}_20250101_0{n}0000" for n in range(4)]
ROWS = [row for stem in STEMS for row in row_ids(stem)]
CLASSES = list("abcdef")
ALL = ("logit", "prob", "rank")
BOUNDED = ("prob", "rank")


@dataclass(frozen=True)
class Case:
    """A step's usual parameters, neutral ones, and the kinds it takes."""

    usual: dict
    neutral: dict
    kinds: tuple[str, ...]
    windows: bool = False


BOTH = {"member": "one", "member_against": "other"}
SUSTAINED = {"kernel": [0.25, 0.5, 0.25], "sustained_above": 0.6, "rank_above": 0.5, "below": 0.6}
CASES = {
    "smooth_windows": Case({"sigma": 0.65}, {"sigma": 0.0}, ALL, windows=True),
    "smooth_by_kernel": Case({"kernel": [0.1, 0.6, 0.3]}, {"kernel": [0.0, 1.0, 0.0]}, ALL, windows=True),
    "lift_to_neighbours": Case(
        {"labels": ["f", "b"], "share": 0.4}, {"labels": ["b"], "share": 0.0}, ALL, windows=True
    ),
    "smooth_unsure_windows": Case({"share": 0.9}, {"share": 0.0}, BOUNDED, windows=True),
    "scale_by_file": Case({"top_windows": 2, "power": 0.4}, {"top_windows": 1, "power": 0.0}, BOUNDED, windows=True),
    "add_prior": Case({"member": "one", "strength": 0.4}, {"member": "one", "strength": 0.0}, ALL),
    "temper": Case(
        {"labels": ["e", "a"], "temperature": 1.5}, {"labels": ["a"], "temperature": 1.0}, ("logit", "prob")
    ),
    "smooth_in_groups": Case(
        {"groups": [["e", "a"], ["b", "c"]], "share": 0.3}, {"groups": [["a", "b"]], "share": 0}, ALL
    ),
    "mirror_in_groups": Case({"groups": [["e", "a", "c"]]}, {"groups": []}, ALL),
    "damp_below_mean": Case(
        {"labels": ["d", "a"], "margin": 0.05, "factor": 0.9}, {"labels": ["a"], "margin": 0.1, "factor": 1.0}, BOUNDED
    ),
    "gate_window": Case(
        {**BOTH, "above": 0.6, "below": 0.4, "share": 0.5},
        {**BOTH, "above": 0.1, "below": 0.9, "share": 0.0},
        ("rank",),
    ),
    "gate_sustained": Case(
        {**BOTH, **SUSTAINED, "share": 0.5}, {**BOTH, **SUSTAINED, "share": 0.0}, ("rank",), windows=True
    ),
    "percentile_ranks": Case({}, {}, ALL),
}
EACH = [(name, kind) for name, case in CASES.items() for kind in case.kinds]
LOCAL = [pair for pair in EACH if STEPS[pair[0]].file_local]
NEUTRAL = [pair for pair in EACH if STEPS[pair[0]].rank_neutral]
each = pytest.mark.parametrize(("name", "kind"), EACH)
few = settings(deadline=None, max_examples=8)
seeds = st.integers(0, 9999)


def scores(seed, kind="prob", rows=ROWS):
    """Values with ties; logits on both sides of zero, bounded ones with exact zeros and ones among them."""
    values = np.random.default_rng(seed).integers(0, 65, (len(rows), len(CLASSES))) / 64
    return Scores(8 * values - 4 if kind == "logit" else values, rows, CLASSES, kind)


def parts(seed):
    return {"one": scores(seed + 1), "other": scores(seed + 2)}


def apply(name, part, members, parameters=None):
    """The step by its name, parameters as they come out of a file."""
    chosen = CASES[name].usual if parameters is None else parameters
    return apply_step(part, name, json.loads(json.dumps(chosen)), members)


def taken(members, rows):
    return {name: member.take(rows) for name, member in members.items()}


def orders(part):
    return rankdata(part.values, axis=0)


def test_every_step_is_examined_here():
    assert set(CASES) == set(STEPS) - {"sidecar"}  # which may refuse to move, and is tested alone


@each
@few
@given(seed=seeds)
def test_a_step_keeps_rows_classes_kind_and_range_and_leaves_its_input_alone(name, kind, seed):
    part, members = scores(seed, kind), parts(seed)
    before = part.values.copy()
    after = apply(name, part, members)
    assert (after.row_ids, after.classes) == (part.row_ids, part.classes)
    assert after.kind == ("rank" if name == "percentile_ranks" else kind)
    assert np.isfinite(after.values).all()
    assert after.kind == "logit" or (0 <= after.values.min() <= after.values.max() <= 1)
    np.testing.assert_array_equal(part.values, before)
    assert not np.array_equal(after.values, before)


@each
@few
@given(seed=seeds)
def test_a_neutral_parameter_changes_nothing(name, kind, seed):
    part = scores(seed, kind)
    if name == "percentile_ranks":
        part = percentile_ranks(part)
    after = apply(name, part, parts(seed), CASES[name].neutral)
    np.testing.assert_array_equal(after.values, part.values)


@each
@few
@given(seed=seeds)
def test_the_order_of_files_and_of_classes_does_not_matter(name, kind, seed):
    part, members = scores(seed, kind), parts(seed)
    after = apply(name, part, members)
    files = np.random.default_rng(seed).permutation(len(STEMS))
    rows = [row for file in files for row in row_ids(STEMS[file])]
    moved = apply(name, part.take(rows), taken(members, rows))
    np.testing.assert_array_equal(moved.values, after.take(rows).values)

    columns = np.random.default_rng(seed).permutation(len(CLASSES))
    turn = lambda some: Scores(some.values[:, columns], ROWS, [CLASSES[n] for n in columns], some.kind)  # noqa: E731
    turned = apply(name, turn(part), {key: turn(member) for key, member in members.items()})
    np.testing.assert_array_equal(turned.values, after.values[:, columns])


@pytest.mark.parametrize(("name", "kind"), NEUTRAL)
@few
@given(seed=seeds)
def test_a_rank_neutral_step_keeps_every_classs_order_and_ties(name, kind, seed):
    part = scores(seed, kind)
    np.testing.assert_array_equal(orders(apply(name, part, parts(seed))), orders(part))


@pytest.mark.parametrize(("name", "kind"), [pair for pair in EACH if pair not in NEUTRAL])
def test_a_step_that_is_not_rank_neutral_changes_an_order(name, kind):
    part = scores(0, kind)
    assert (orders(apply(name, part, parts(0))) != orders(part)).any()


@pytest.mark.parametrize(("name", "kind"), LOCAL)
@few
@given(seed=seeds)
def test_a_file_local_step_needs_no_row_of_another_file(name, kind, seed):
    part, members, rows = scores(seed, kind), parts(seed), row_ids(STEMS[2])
    alone = apply(name, part.take(rows), taken(members, rows))
    np.testing.assert_array_equal(alone.values, apply(name, part, members).take(rows).values)


@pytest.mark.parametrize(("name", "kind"), [pair for pair in EACH if pair not in LOCAL])
def test_a_step_that_is_not_file_local_reads_other_files(name, kind):
    part, members, rows = scores(0, kind), parts(0), row_ids(STEMS[2])
    alone = apply(name, part.take(rows), taken(members, rows))
    assert (alone.values != apply(name, part, members).take(rows).values).any()


@pytest.mark.parametrize("name", CASES)
def test_kinds_that_a_step_is_not_defined_for_are_refused_by_name(name):
    for kind in set(ALL) - set(CASES[name].kinds):
        with pytest.raises(BadInput, match=f"kind {' or '.join(CASES[name].kinds)}"):
            apply(name, scores(0, kind), parts(0))


@pytest.mark.parametrize("name", CASES)
def test_window_steps_need_whole_soundscapes_and_other_steps_take_any_rows(name):
    case, rows = CASES[name], ROWS[3:20]
    part, members = scores(0, case.kinds[0]).take(rows), taken(parts(0), rows)
    if case.windows:
        with pytest.raises(BadInput, match="whole soundscapes"):
            apply(name, part, members)
    else:
        assert apply(name, part, members).row_ids == tuple(rows)


@each
def test_no_rows_give_no_rows(name, kind):
    nothing = {key: scores(0, rows=[]) for key in ("one", "other")}
    assert apply(name, scores(0, kind, rows=[]), nothing).values.shape == (0, len(CLASSES))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "member" in case.usual])
def test_a_member_of_other_rows_or_classes_is_refused(name):
    part, members = scores(0, CASES[name].kinds[-1]), parts(0)
    backwards = {key: member.take(ROWS[::-1]) for key, member in members.items()}
    with pytest.raises(BadInput, match="other row_ids"):
        apply(name, part, backwards)
    renamed = {key: Scores(member.values, ROWS, CLASSES[::-1], "prob") for key, member in members.items()}
    with pytest.raises(BadInput, match="other classes"):
        apply(name, part, renamed)
    with pytest.raises(BadInput, match="missing"):
        apply(name, part, {})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("smooth_windows", {"sigma": -0.1}),
        ("smooth_windows", {"sigma": float("nan")}),
        ("smooth_windows", {"sigma": float("inf")}),
        ("smooth_by_kernel", {"kernel": [0.5, 0.5]}),
        ("smooth_by_kernel", {"kernel": []}),
        ("smooth_by_kernel", {"kernel": [-0.5, 2.0, -0.5]}),
        ("smooth_by_kernel", {"kernel": [0.2, 0.5, 0.2]}),
        ("smooth_by_kernel", {"kernel": [0.2, float("nan"), 0.2]}),
        ("smooth_by_kernel", {"labels": ["unknown"]}),
        ("lift_to_neighbours", {"share": 1.1}),
        ("lift_to_neighbours", {"labels": ["a", "a"]}),
        ("smooth_unsure_windows", {"share": -0.1}),
        ("scale_by_file", {"top_windows": 13}),
        ("scale_by_file", {"top_windows": 0}),
        ("scale_by_file", {"power": -1.0}),
        ("add_prior", {"strength": -0.4}),
        ("temper", {"temperature": 0.0}),
        ("temper", {"labels": ["unknown"]}),
        ("smooth_in_groups", {"share": 2.0}),
        ("smooth_in_groups", {"groups": [["a", "b"], ["b", "c"]]}),
        ("mirror_in_groups", {"groups": [["a", "unknown"]]}),
        ("damp_below_mean", {"factor": 0.0}),
        ("damp_below_mean", {"margin": 1.5}),
        ("gate_window", {"share": 1.5}),
        ("gate_window", {"above": float("nan")}),
        ("gate_sustained", {"below": -0.5}),
        ("gate_sustained", {"kernel": [0.5, 0.5]}),
        ("temper", {"degrees": 1.0}),
        ("percentile_ranks", {"axis": 1}),
    ],
)
def test_unusable_parameters_are_refused(name, change):
    part = scores(0, CASES[name].kinds[-1])
    with pytest.raises(BadInput, match=r"do this:  (set|run) "):
        apply_step(part, name, {**CASES[name].usual, **change}, parts(0))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.usual])
def test_a_missing_parameter_is_refused_and_the_needed_ones_are_named(name):
    lacking = dict(list(CASES[name].usual.items())[1:])
    with pytest.raises(BadInput, match=next(iter(CASES[name].usual))):
        apply_step(scores(0, CASES[name].kinds[-1]), name, lacking, parts(0))
