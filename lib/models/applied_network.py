"""A network member at work: its folds' files on the pictures of a soundscape."""

from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path

import numpy as np

from lib.competition.records import from_json
from lib.models.again import Again, shown_pictures, weighted_chances
from lib.models.agreement import agreement
from lib.models.card import MemberCard
from lib.models.hearing import Hearing
from lib.models.listening import Listening
from lib.models.openvino_session import OpenvinoSession, multiplies_bfloat16, openvino_installed
from lib.models.probe import check_probe, probe_sound
from lib.models.session import OnnxSession
from lib.sound.front_end import FrontEnd


class AppliedNetwork:
    """The opened files, once they answer the probe as the networks did in training."""

    def __init__(self, folder: Path, card: MemberCard):
        self.front_end = from_json(FrontEnd, card.config["front_end"], f"{card.name}: front_end")
        self.listening = Listening(card.config["crop"]["seconds"])
        self._ask(from_json(Again, card.config.get("again", {}), f"{card.name}: again"))
        files = {int(path.stem.removeprefix("fold")): path for path in folder.glob("fold*.onnx")}
        self._files, self._interface = dict(sorted(files.items())), {"inputs": card.inputs, "outputs": card.outputs}
        self._sessions = {fold: OnnxSession(path, **self._interface) for fold, path in self._files.items()}
        check_probe(folder, lambda sound: np.array([self.score(sound, [fold]) for fold in self._sessions]))

    def hear(self, hearing: Hearing) -> np.ndarray:
        """(12, classes) chances in the windows of a soundscape: the mean of all folds' networks."""
        keys = [(self.front_end, self.listening, *each) for each in self._wanted]

        def make(missing: list[tuple]) -> list[np.ndarray]:
            return shown_pictures(hearing.audio, self.listening, self.front_end, [key[2:] for key in missing])

        return self._chances(hearing.each("pictures", keys, make), self._sessions.values())

    def score(self, audio: np.ndarray, folds: Sequence[int]) -> np.ndarray:
        """The same by the named folds' networks alone."""
        return self._chances(self._pictures(audio), [self._sessions[fold] for fold in folds])

    def asked(self, again: Again) -> "AppliedNetwork":
        """The same networks, asked so."""
        other = copy(self)
        other._ask(again)
        return other

    def round_if_alike(self, sounds: Sequence[np.ndarray]) -> str:
        """Where they work from now on, and why: in OpenVINO and bfloat16 if that ranks windows as ONNX Runtime does.

        The windows are the probe's and those of the sounds. In float32 OpenVINO was measured to be no faster.
        """
        if not openvino_installed():
            return "onnxruntime: OpenVINO is not installed"
        if not multiplies_bfloat16():
            return "onnxruntime: this processor has no bfloat16"
        rounded = {
            fold: OpenvinoSession(path, **self._interface, precision="bf16") for fold, path in self._files.items()
        }
        pictures = [self._pictures(sound) for sound in (probe_sound(), *sounds)]
        tables = [
            np.concatenate([self._chances(each, sessions.values()) for each in pictures])
            for sessions in (self._sessions, rounded)
        ]
        found = agreement(*tables)
        if not found.alike:
            return f"onnxruntime: bfloat16 has {found}"
        self._sessions = rounded
        return f"openvino, bfloat16: {found}"

    def _ask(self, again: Again) -> None:
        self._passes, self._overlaps = again.asked(self.front_end), again.overlaps
        self._wanted = [(each.shift_s, each.gain_db) for each in self._passes]

    def _pictures(self, audio: np.ndarray) -> list[np.ndarray]:
        return shown_pictures(audio, self.listening, self.front_end, self._wanted)

    def _chances(self, shown: list[np.ndarray], sessions: Iterable[OnnxSession | OpenvinoSession]) -> np.ndarray:
        networks = [lambda pictures, session=session: session.run(picture=pictures) for session in sessions]
        return weighted_chances(shown, self._passes, self._overlaps, self.listening, networks)
