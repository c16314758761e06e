"""Opening members: a folder becomes something that scores a soundscape, whatever its family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.competition.errors import BadInput
from lib.models.applied_head import AppliedHead
from lib.models.applied_network import AppliedNetwork
from lib.models.card import MemberCard, read_card
from lib.models.hearing import Hearing
from lib.models.prior import load_prior
from lib.models.session import OnnxSession
from lib.sound.front_end import FrontEnd
from lib.sound.statistics import statistics


@dataclass(frozen=True)
class Member:
    """An opened member: `score` gives (12, classes) probabilities; it may not need the audio, only the name."""

    card: MemberCard
    needs_audio: bool
    score: Callable[[Hearing], np.ndarray]
    round_if_alike: Callable[[Sequence[np.ndarray]], str] | None = None  # of networks: see `lib.models.runtimes`


def open_member(folder: Path, classes: ClassList) -> Member:
    """The member in a folder, checked: files undamaged, classes the same, family known, interface as on its card."""
    card = read_card(folder, classes)
    if card.family not in FAMILIES:
        raise BadInput(f"member {card.name} is of an unknown family", expected=sorted(FAMILIES), got=card.family,
                       do="use a version of the project that knows it")  # fmt: skip
    return FAMILIES[card.family](folder, card, classes)


def _open_prior(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L0: needs the file's name only."""
    prior = load_prior(folder / "prior.npz")
    return Member(card, needs_audio=False, score=lambda hearing: prior.windows(hearing.soundscape))


def _open_statistics(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L1: classical descriptors through a linear model in ONNX."""
    session = OnnxSession(folder / "model.onnx", inputs=card.inputs, outputs=card.outputs)
    front_end = FrontEnd(**card.config["front_end"])

    def score(hearing: Hearing) -> np.ndarray:
        features = hearing.once(("statistics", front_end), lambda: statistics(hearing.windows(), front_end))
        return session.run(features=features)[0]

    return Member(card, needs_audio=True, score=score)


def _open_network(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L2: the mean of the folds' networks on pictures, once they answer the probe as they did in training."""
    networks = AppliedNetwork(folder, card)
    return Member(card, needs_audio=True, score=networks.hear, round_if_alike=networks.round_if_alike)


def _open_head(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L3: small heads on what a frozen embedder says, once they answer the probe as they did in training."""
    return Member(card, needs_audio=True, score=AppliedHead(folder, card, classes).hear)


FAMILIES: dict[str, Callable[[Path, MemberCard, ClassList], Member]] = {
    "prior": _open_prior,
    "statistics": _open_statistics,
    "network": _open_network,
    "head": _open_head,
}
