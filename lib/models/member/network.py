"""L2 members at inference: exported networks on the spectrograms of a soundscape.

The network trained on the full data is served where there is one, else those of all folds.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path

import numpy as np

from lib.core.records import from_json
from lib.models.member.card import MemberCard, find_fold, fold_files
from lib.models.member.golden_output import check_golden_output, golden_sound
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.tta import TTA, tta_probabilities, tta_spectrograms
from lib.models.member.windows import NetworkCall, WindowSpec
from lib.models.runtime.agreement import runtime_agreement
from lib.models.runtime.onnx import OnnxSession
from lib.models.runtime.openvino import OpenvinoSession, multiplies_bfloat16, openvino_installed
from lib.sound.mel.config import FrontEnd

FULL_DATA_FILE = "full_data.onnx"  # the network trained on the full data

_Session = OnnxSession | OpenvinoSession


class NetworkMember:
    """The served networks, once they reproduce the golden output; a fold's file is opened at its first use."""

    def __init__(self, folder: Path, card: MemberCard):
        self.front_end = from_json(FrontEnd, card.config["front_end"], f"{card.name}: front_end")
        self.window_spec = WindowSpec(card.config["crop"]["seconds"])
        self._set_tta(from_json(TTA, card.config.get("tta", {}), f"{card.name}: tta"))
        self._name, self._interface = card.name, {"inputs": card.inputs, "outputs": card.outputs}
        self._folds, full_data = fold_files(folder, ".onnx"), folder / FULL_DATA_FILE
        self._served = [full_data] if full_data.is_file() else list(self._folds.values())
        self._sessions: dict[Path, _Session] = {}
        check_golden_output(folder, self.predict_each)

    def predict(self, inputs: SoundscapeInputs) -> np.ndarray:
        """(12, classes) probabilities in the windows of a soundscape: the mean of the served networks."""
        return self._predict_shared(inputs, self._open_sessions(self._served))

    def for_fold(self, fold: int) -> Callable[[SoundscapeInputs], np.ndarray]:
        """The same by the network of one fold alone."""
        sessions = self._open_sessions([find_fold(self._folds, fold, self._name)])
        return lambda inputs: self._predict_shared(inputs, sessions)

    def predict_audio(self, audio: np.ndarray, folds: Sequence[int]) -> np.ndarray:
        """The same by the networks of these folds, from audio that no other member scores."""
        files = [find_fold(self._folds, fold, self._name) for fold in folds]
        return self._probabilities(self._spectrograms(audio), self._open_sessions(files))

    def predict_each(self, audio: np.ndarray) -> np.ndarray:
        """(served networks, 12, classes) probabilities by each of them."""
        mels = self._spectrograms(audio)
        return np.array([self._probabilities(mels, [session]) for session in self._open_sessions(self._served)])

    def with_tta(self, tta: TTA) -> "NetworkMember":
        """The same networks with another test-time augmentation."""
        other = copy(self)
        other._set_tta(tta)
        return other

    def use_bf16_if_equivalent(self, sounds: Sequence[np.ndarray]) -> str:
        """The runtime from now on, with the reason: OpenVINO in bfloat16 if that ranks windows as ONNX Runtime does.

        The windows are the golden sound's and those of the sounds. In float32 OpenVINO was measured to be no faster.
        """
        if not openvino_installed():
            return "onnxruntime: OpenVINO is not installed"
        if not multiplies_bfloat16():
            return "onnxruntime: this processor has no bfloat16"
        rounded: dict[Path, _Session] = {
            path: OpenvinoSession(path, **self._interface, precision="bf16") for path in self._served
        }
        exact = dict(zip(self._served, self._open_sessions(self._served), strict=True))
        inputs = [self._spectrograms(sound) for sound in (golden_sound(), *sounds)]
        tables = [
            np.concatenate([self._probabilities(mels, sessions.values()) for mels in inputs])
            for sessions in (exact, rounded)
        ]
        agreement = runtime_agreement(*tables)
        if not agreement.equivalent:
            return f"onnxruntime: bfloat16 has {agreement}"
        self._sessions = rounded
        return f"openvino, bfloat16: {agreement}"

    def _set_tta(self, tta: TTA) -> None:
        self._passes, self._overlaps = tta.effective_passes(self.front_end), tta.overlaps
        self._copies = [(each.shift_s, each.gain_db) for each in self._passes]

    def _open_sessions(self, files: Iterable[Path]) -> list[_Session]:
        """The sessions of these files, opened at their first use."""
        for path in files:
            if path not in self._sessions:
                self._sessions[path] = OnnxSession(path, **self._interface)
        return [self._sessions[path] for path in files]

    def _predict_shared(self, inputs: SoundscapeInputs, sessions: Iterable[_Session]) -> np.ndarray:
        """(12, classes) the sessions' mean, on spectrograms that other members may have computed already."""
        keys = [(self.front_end, self.window_spec, *each) for each in self._copies]

        def compute(missing: list[tuple[FrontEnd, WindowSpec, float, float]]) -> list[np.ndarray]:
            copies = [key[2:] for key in missing]
            return tta_spectrograms(inputs.require_audio(), self.window_spec, self.front_end, copies)

        return self._probabilities(inputs.get_or_compute_all("spectrograms", keys, compute), sessions)

    def _spectrograms(self, audio: np.ndarray) -> list[np.ndarray]:
        return tta_spectrograms(audio, self.window_spec, self.front_end, self._copies)

    def _probabilities(self, spectrograms: list[np.ndarray], sessions: Iterable[_Session]) -> np.ndarray:
        networks = [_call(session) for session in sessions]
        return tta_probabilities(spectrograms, self._passes, self._overlaps, self.window_spec, networks)


def _call(session: _Session) -> NetworkCall:
    """The session as a function of spectrograms."""
    return lambda spectrograms: session.run(spectrogram=spectrograms)
