"""A network member at work: its folds' files on the pictures of a soundscape."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lib.competition.records import from_json
from lib.models.card import MemberCard
from lib.models.hearing import Hearing
from lib.models.listening import Listening, mean_chances
from lib.models.probe import check_probe
from lib.models.session import OnnxSession
from lib.sound.front_end import FrontEnd


class AppliedNetwork:
    """The opened files, once they answer the probe as the networks did in training."""

    def __init__(self, folder: Path, card: MemberCard):
        self.front_end = from_json(FrontEnd, card.config["front_end"], f"{card.name}: front_end")
        self.listening = Listening(card.config["crop"]["seconds"])
        files = {int(path.stem.removeprefix("fold")): path for path in folder.glob("fold*.onnx")}
        self._sessions = {
            fold: OnnxSession(path, inputs=card.inputs, outputs=card.outputs) for fold, path in sorted(files.items())
        }
        check_probe(folder, lambda sound: np.array([self.score(sound, [fold]) for fold in self._sessions]))

    def hear(self, hearing: Hearing) -> np.ndarray:
        """(12, classes) chances in the windows of a soundscape: the mean of all folds' networks."""
        key = ("pictures", self.front_end, self.listening)
        return self._chances(hearing.once(key, lambda: self._pictures(hearing.audio)), self._sessions)

    def score(self, audio: np.ndarray, folds: Sequence[int]) -> np.ndarray:
        """The same by the named folds' networks alone."""
        return self._chances(self._pictures(audio), folds)

    def _pictures(self, audio: np.ndarray) -> np.ndarray:
        return self.listening.pictures(audio, self.front_end)

    def _chances(self, pictures: np.ndarray, folds: Iterable[int]) -> np.ndarray:
        asked = [self._sessions[fold] for fold in folds]
        networks = [lambda pictures, session=session: session.run(picture=pictures) for session in asked]
        return mean_chances(pictures, self.listening, networks)
