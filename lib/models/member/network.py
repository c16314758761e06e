"""A network member at work: its files on the pictures of a soundscape.

What is served is the network that learned from everything, where there is one, or else those of all folds.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path

import numpy as np

from lib.core.records import from_json
from lib.models.member.card import MemberCard, fold_files, model_of_fold
from lib.models.member.golden_output import check_golden_output, golden_sound
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.tta import TTA, tta_probabilities, tta_spectrograms
from lib.models.member.windows import WindowSpec
from lib.models.runtime.agreement import runtime_agreement
from lib.models.runtime.onnx import OnnxSession
from lib.models.runtime.openvino import OpenvinoSession, multiplies_bfloat16, openvino_installed
from lib.sound.mel.config import FrontEnd

FULL_DATA_FILE = "whole.onnx"  # the network that learned from everything


class NetworkMember:
    """The served files, once they answer the probe as the networks did in training; a fold's opens when it is asked."""

    def __init__(self, folder: Path, card: MemberCard):
        self.front_end = from_json(FrontEnd, card.config["front_end"], f"{card.name}: front_end")
        self.window_spec = WindowSpec(card.config["crop"]["seconds"])
        self._ask(from_json(TTA, card.config.get("tta", {}), f"{card.name}: tta"))
        self._name, self._interface = card.name, {"inputs": card.inputs, "outputs": card.outputs}
        self._folds, whole = fold_files(folder, ".onnx"), folder / FULL_DATA_FILE
        self._served = [whole] if whole.is_file() else list(self._folds.values())
        self._sessions: dict[Path, OnnxSession | OpenvinoSession] = {}
        check_golden_output(folder, self.predict_each)

    def predict(self, hearing: SoundscapeInputs) -> np.ndarray:
        """(12, classes) chances in the windows of a soundscape: the mean of the served networks."""
        return self._heard(hearing, self._opened(self._served))

    def for_fold(self, fold: int) -> Callable[[SoundscapeInputs], np.ndarray]:
        """The same by the network of one fold alone."""
        sessions = self._opened([model_of_fold(self._folds, fold, self._name)])
        return lambda hearing: self._heard(hearing, sessions)

    def predict_audio(self, audio: np.ndarray, folds: Sequence[int]) -> np.ndarray:
        """The same by the named folds' networks, of audio that nobody else hears."""
        files = [model_of_fold(self._folds, fold, self._name) for fold in folds]
        return self._chances(self._pictures(audio), self._opened(files))

    def predict_each(self, audio: np.ndarray) -> np.ndarray:
        """(served networks, 12, classes) what each of them says."""
        shown = self._pictures(audio)
        return np.array([self._chances(shown, [session]) for session in self._opened(self._served)])

    def with_tta(self, tta: TTA) -> "NetworkMember":
        """The same networks, asked so."""
        other = copy(self)
        other._ask(tta)
        return other

    def use_bf16_if_equivalent(self, sounds: Sequence[np.ndarray]) -> str:
        """Where they work from now on, and why: in OpenVINO and bfloat16 if that ranks windows as ONNX Runtime does.

        The windows are the probe's and those of the sounds. In float32 OpenVINO was measured to be no faster.
        """
        if not openvino_installed():
            return "onnxruntime: OpenVINO is not installed"
        if not multiplies_bfloat16():
            return "onnxruntime: this processor has no bfloat16"
        rounded = {path: OpenvinoSession(path, **self._interface, precision="bf16") for path in self._served}
        exact = dict(zip(self._served, self._opened(self._served), strict=True))
        pictures = [self._pictures(sound) for sound in (golden_sound(), *sounds)]
        tables = [
            np.concatenate([self._chances(each, sessions.values()) for each in pictures])
            for sessions in (exact, rounded)
        ]
        found = runtime_agreement(*tables)
        if not found.equivalent:
            return f"onnxruntime: bfloat16 has {found}"
        self._sessions = rounded
        return f"openvino, bfloat16: {found}"

    def _opened(self, files: Iterable[Path]) -> list[OnnxSession | OpenvinoSession]:
        """Where these files work; those that nobody asked for before are opened."""
        for path in files:
            if path not in self._sessions:
                self._sessions[path] = OnnxSession(path, **self._interface)
        return [self._sessions[path] for path in files]

    def _heard(self, hearing: SoundscapeInputs, sessions: Iterable[OnnxSession | OpenvinoSession]) -> np.ndarray:
        """(12, classes) their mean, on pictures that other members may have asked for already."""
        keys = [(self.front_end, self.window_spec, *each) for each in self._wanted]

        def make(missing: list[tuple]) -> list[np.ndarray]:
            return tta_spectrograms(hearing.audio, self.window_spec, self.front_end, [key[2:] for key in missing])

        return self._chances(hearing.get_or_compute_all("spectrograms", keys, make), sessions)

    def _ask(self, tta: TTA) -> None:
        self._passes, self._overlaps = tta.effective_passes(self.front_end), tta.overlaps
        self._wanted = [(each.shift_s, each.gain_db) for each in self._passes]

    def _pictures(self, audio: np.ndarray) -> list[np.ndarray]:
        return tta_spectrograms(audio, self.window_spec, self.front_end, self._wanted)

    def _chances(self, shown: list[np.ndarray], sessions: Iterable[OnnxSession | OpenvinoSession]) -> np.ndarray:
        networks = [lambda pictures, session=session: session.run(spectrogram=pictures) for session in sessions]
        return tta_probabilities(shown, self._passes, self._overlaps, self.window_spec, networks)
