"""A network switches to OpenVINO and bfloat16 only where both are there and the ranks stay; else nothing changes."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.competition.classes import ClassList
from lib.competition.miniature.ogg import encode_ogg
from lib.competition.row_ids import SAMPLE_RATE, parse_soundscape
from lib.core.errors import BadInput
from lib.core.records import to_json
from lib.models.export.network import NETWORK_INPUTS, NETWORK_OUTPUTS
from lib.models.member import network as network_module
from lib.models.member.card import Measured, MemberCard
from lib.models.member.golden_output import golden_sound, write_golden_output
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.network import NetworkMember
from lib.models.member.windows import WindowSpec, mean_probabilities
from lib.models.runtime.choose import choose_runtime
from lib.models.runtime.onnx import OnnxSession
from lib.models.runtime.openvino import multiplies_bfloat16, openvino_installed
from lib.sound.mel.config import FrontEnd
from tests.support.tinynetwork import CLASSES, graph

FRONT_END = FrontEnd(n_mels=32, hop_samples=4102, normalise="zscore")  # spectrograms of 32 × 40, as in training
SOUNDS = [np.roll(golden_sound(), 40_000 * n) * (1 + n) for n in range(1, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A member's folder with one fold, but for card and seal."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "fold0.onnx").write_bytes(graph())
    session = OnnxSession(folder / "fold0.onnx", inputs=NETWORK_INPUTS, outputs=NETWORK_OUTPUTS)
    mels = WindowSpec().spectrograms(golden_sound(), FRONT_END)
    write_golden_output(
        folder, mean_probabilities(mels, WindowSpec(), [lambda mel: session.run(spectrogram=mel)])[None]
    )
    return folder


@pytest.fixture
def networks(folder):
    config = {"front_end": to_json(FRONT_END), "crop": {"seconds": 5}}
    hash_ = ClassList(tuple("abcd"[:CLASSES])).hash
    return NetworkMember(
        folder, MemberCard("tiny", "network", hash_, config, "", "", 0, NETWORK_INPUTS, NETWORK_OUTPUTS, Measured(0.0))
    )


def predict(networks):
    """Their probabilities of a soundscape."""
    soundscape = parse_soundscape("BC2026_Test_0001_S01_20260101_060000")
    return networks.predict(SoundscapeInputs(soundscape, SOUNDS[0]))


def planted(monkeypatch, change):
    """Let OpenVINO be there, with the outputs of ONNX Runtime but for a change of the logits."""

    class Planted(OnnxSession):
        def __init__(self, path, *, inputs, outputs, precision):
            super().__init__(path, inputs=inputs, outputs=outputs)
            assert precision == "bf16"

        def run(self, **inputs):
            return [change(logits) for logits in super().run(**inputs)]

    monkeypatch.setattr(network_module, "openvino_installed", lambda: True)
    monkeypatch.setattr(network_module, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(network_module, "OpenvinoSession", Planted)


def test_equivalent_ranks_switch_and_the_figures_are_reported(networks, monkeypatch):
    before = predict(networks)
    planted(monkeypatch, lambda logits: logits + np.float32(0.01))
    verdict = networks.use_bf16_if_equivalent(SOUNDS)
    assert verdict.startswith("openvino, bfloat16: rank agreement ")
    assert verdict.endswith(" over 36 windows")
    assert (predict(networks) > before).all()


def test_other_ranks_do_not_switch_and_nothing_changes(networks, monkeypatch):
    before = predict(networks)
    planted(monkeypatch, lambda logits: logits.round(0))
    assert networks.use_bf16_if_equivalent(SOUNDS).startswith("onnxruntime: bfloat16 has rank agreement 0.")
    np.testing.assert_array_equal(predict(networks), before)


def test_agreement_on_the_golden_sound_alone_does_not_switch(networks, monkeypatch):
    mels = WindowSpec().spectrograms(golden_sound(), FRONT_END)
    own = {logits.tobytes() for session in networks._sessions.values() for logits in session.run(spectrogram=mels)}
    planted(monkeypatch, lambda logits: logits if logits.tobytes() in own else -logits)
    assert networks.use_bf16_if_equivalent(SOUNDS).startswith("onnxruntime: ")


@pytest.mark.parametrize(
    ("what", "why"), [("openvino_installed", "OpenVINO is not installed"), ("multiplies_bfloat16", "no bfloat16")]
)
def test_where_something_is_missing_it_stays_in_onnx_runtime_and_reports_it(networks, monkeypatch, what, why):
    planted(monkeypatch, lambda logits: pytest.fail("called"))
    monkeypatch.setattr(network_module, what, lambda: False)
    before = predict(networks)
    assert networks.use_bf16_if_equivalent(SOUNDS).endswith(why)
    np.testing.assert_array_equal(predict(networks), before)


@pytest.mark.skipif(not (openvino_installed() and multiplies_bfloat16()), reason="needs OpenVINO and bfloat16")
def test_bfloat16_itself_keeps_the_ranks_of_a_trained_network_and_changes_its_outputs(networks):
    before = predict(networks)
    verdict = networks.use_bf16_if_equivalent(SOUNDS)
    after = predict(networks)
    assert verdict.startswith("openvino, bfloat16: "), verdict
    assert 0 < np.abs(after - before).max() < 0.05


def logging_member(log, name):
    """A network member that logs the lengths of the sounds it is compared on."""

    def use_bf16_if_equivalent(sounds):
        log.append((name, [len(sound) for sound in sounds]))
        return f"openvino for {name}"

    return SimpleNamespace(use_bf16_if_equivalent=use_bf16_if_equivalent)


def test_network_members_alone_are_tried_on_the_first_soundscapes_that_can_be_read(tmp_path):
    files = [tmp_path / f"{n}.ogg" for n in range(6)]
    for n, file in enumerate(files):
        file.write_bytes(encode_ogg(np.zeros(SAMPLE_RATE * (n + 1), np.float32), SAMPLE_RATE, file.name))
    files[1].write_bytes(b"not an ogg")
    log = []
    members = {"one": logging_member(log, "one"), "prior": SimpleNamespace(use_bf16_if_equivalent=None)}
    assert choose_runtime("openvino", members, files) == {"one": "openvino for one"}
    assert log == [("one", [SAMPLE_RATE * n for n in (1, 3, 4)])]


def test_by_default_nothing_is_tried():
    log = []
    members = {"one": logging_member(log, "one"), "prior": SimpleNamespace(use_bf16_if_equivalent=None)}
    assert choose_runtime("onnxruntime", members, []) == {"one": "onnxruntime"}
    assert log == []


def test_an_unknown_runtime_is_refused():
    with pytest.raises(BadInput, match="onnxruntime or openvino"):
        choose_runtime("tensorrt", {}, [])


def test_where_openvino_fails_onnx_runtime_stays():
    def fail(sounds):
        raise RuntimeError("no such\nop")

    failing = SimpleNamespace(use_bf16_if_equivalent=fail)
    assert choose_runtime("openvino", {"net": failing}, []) == {
        "net": "onnxruntime: OpenVINO failed, RuntimeError: no such op"
    }
