"""Whatever a file or a member does, a soundscape has a result that records it."""

import time

import numpy as np
import onnxruntime
import pytest
import soundfile
from onnx import TensorProto, helper

from lib.models.member.open import Member
from lib.models.runtime.onnx import in_session
from lib.submit.budget import GUARD_MINUTES, Clock
from lib.submit.soundscape import score_soundscape
from tests.support.fakemachine import CLASSES, table_of

STEM = "BC2026_Test_0001_S05_20250227_010002"
GOOD = table_of("a", STEM)


def member(score):
    return Member(None, needs_audio=True, score=score)


def of_windows(inputs):
    """Twelve means of the windows' loudness, in every class."""
    return np.repeat(np.abs(inputs.windows()).mean(axis=1, keepdims=True), len(CLASSES), axis=1)


@pytest.fixture
def sound(tmp_path):
    def write(seconds, rate=32_000, channels=1):
        tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(int(seconds * rate)) / rate)
        soundfile.write(tmp_path / f"{STEM}.ogg", np.stack([tone] * channels, axis=1), rate, format="FLAC")
        return tmp_path / f"{STEM}.ogg"

    return write


def run(file, members, clock=None):
    return score_soundscape(file, members, len(CLASSES), clock or Clock())


ODD = [(60, 32_000, 1), (1, 32_000, 1), (75, 32_000, 1), (60, 44_100, 1), (60, 32_000, 2), (3, 48_000, 2)]


@pytest.mark.parametrize(("seconds", "rate", "channels"), ODD)
def test_odd_lengths_rates_and_channels_give_the_same_twelve_windows(sound, seconds, rate, channels):
    table = run(sound(seconds, rate, channels), {"a": member(of_windows)}).tables["a"]
    np.testing.assert_allclose(table, 1 / np.pi, atol=0.01)  # the mean of half a rectified sine, everywhere


@pytest.mark.parametrize("content", [b"", b"not an ogg", b"OggS" + bytes(100)])
def test_a_corrupt_file_is_unreadable_by_name_and_no_member_runs(tmp_path, content):
    (tmp_path / f"{STEM}.ogg").write_bytes(content)
    got = run(tmp_path / f"{STEM}.ogg", {"a": member(lambda inputs: pytest.fail("must not run"))})
    assert got.read_error.startswith(f"{STEM}.ogg: ")
    assert got.read_error.count(STEM) == 1
    assert (got.tables, got.failures) == ({}, {})


def test_a_file_that_is_gone_is_unreadable_too(tmp_path):
    assert STEM in run(tmp_path / f"{STEM}.ogg", {}).read_error


FAILURES = {
    "raises": (lambda inputs: 1 / 0, "ZeroDivisionError"),
    "NaN": (lambda inputs: np.where(np.arange(5) == 2, np.nan, GOOD), "not finite"),
    "infinite": (lambda inputs: GOOD + np.inf, "not finite"),
    "thirteen windows": (lambda inputs: np.concatenate([GOOD, GOOD[:1]]), r"shape (13, 5) instead of (12, 5)"),
    "classes": (lambda inputs: GOOD[:, 1:], r"shape (12, 4)"),
    "nothing": (lambda inputs: None, "shape ()"),
    "over one": (lambda inputs: GOOD + 1, "outside [0, 1]"),
    "below zero": (lambda inputs: -GOOD, "outside [0, 1]"),
}


@pytest.mark.parametrize(("score", "failure"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failing_member_is_named_and_the_others_are_scored(sound, score, failure):
    got = run(sound(1), {"bad": member(score), "good": member(lambda inputs: GOOD)})
    assert failure in got.failures["bad"]
    assert set(got.tables) == {"good"}
    np.testing.assert_array_equal(got.tables["good"], GOOD)


def test_a_failure_that_does_not_come_back_is_none(sound):
    tries = []

    def score(inputs):
        tries.append(1)
        if len(tries) == 1:
            raise ValueError
        return GOOD

    got = run(sound(1), {"a": member(score)})
    assert got.failures == {}
    np.testing.assert_array_equal(got.tables["a"], GOOD)
    assert len(tries) == 2


def expand(times):
    """An ONNX session that makes so many copies of a number."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Expand", ["x", "shape"], ["y"])]
    inputs = [value("x", TensorProto.FLOAT, ["n"]), value("shape", TensorProto.INT64, ["m"])]
    graph = helper.make_graph(nodes, "expand", inputs, [value("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones(1, np.float32), "shape": np.array([times])})


def test_time_inside_sessions_is_part_of_the_members_time(sound, tmp_path):
    tables = {"a": member(lambda inputs: wait(0.02) or GOOD), "b": member(lambda inputs: GOOD)}
    seconds = run(sound(1), tables).seconds
    assert 0.02 <= seconds.sessions <= seconds.own["a"]


def wait(seconds):
    with in_session():
        time.sleep(seconds)


def no_memory(inputs):
    raise MemoryError


@pytest.mark.parametrize("score", [no_memory, lambda inputs: expand(1 << 46)], ids=["Python", "ONNX Runtime"])
def test_out_of_memory_is_the_members_failure_in_the_final_attempt_only(sound, score):
    with pytest.raises(MemoryError):
        run(sound(1), {"a": member(score)})
    got = score_soundscape(sound(1), {"a": member(score)}, len(CLASSES), Clock(), final_attempt=True)
    assert "emory" in got.failures["a"]
    assert "\n" not in got.failures["a"]


def test_after_the_guard_no_further_member_runs(sound):
    at = [0.0]

    def slow(inputs):
        at[0] += 60 * GUARD_MINUTES
        return GOOD

    never = member(lambda inputs: pytest.fail("must not run after the guard"))
    got = run(sound(1), {"slow": member(slow), "never": never}, Clock(now=lambda: at[0]))
    assert got.timed_out
    assert got.tables == {}


def test_a_member_dropped_meanwhile_does_not_run(sound):
    members = {}

    def drop(inputs):
        del members["b"]
        return GOOD

    members |= {"a": member(drop), "b": member(lambda inputs: pytest.fail("must not run"))}
    assert set(run(sound(1), members).tables) == {"a"}
