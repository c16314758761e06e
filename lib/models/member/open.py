"""Opening members: a folder becomes a function that scores soundscapes, for every family of members."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lib.competition.classes import ClassList
from lib.core.errors import BadInput
from lib.core.records import from_json
from lib.models.member.card import MemberCard, find_fold, fold_files, read_card
from lib.models.member.golden_output import check_golden_output, golden_sound
from lib.models.member.head import HeadMember
from lib.models.member.inputs import SoundscapeInputs
from lib.models.member.network import NetworkMember
from lib.models.member.prior import load_prior
from lib.models.runtime.onnx import OnnxSession
from lib.sound.decode import soundscape_windows
from lib.sound.descriptors import sound_statistics
from lib.sound.mel.config import FrontEnd

ScoreFunction = Callable[[SoundscapeInputs], np.ndarray]


@dataclass(frozen=True)
class Member:
    """An opened member: `score` gives (12, classes) probabilities; it may not need the audio, only the name.

    `for_fold` opens the model of one fold and gives its `score`, as out-of-fold predictions of teachers need it.
    """

    card: MemberCard
    needs_audio: bool
    score: ScoreFunction
    for_fold: Callable[[int], ScoreFunction] | None = None
    needs_name: bool = False  # it reads site and hour, which the soundscape's name holds
    use_bf16_if_equivalent: Callable[[Sequence[np.ndarray]], str] | None = None  # of networks: see `choose_runtime`


def open_member(folder: Path, classes: ClassList) -> Member:
    """The member in a folder, checked: files undamaged, classes the same, family known, interface as on its card."""
    card = read_card(folder, classes)
    if card.family not in MEMBER_FAMILIES:
        raise BadInput(
            f"member {card.name} is of an unknown family",
            expected=sorted(MEMBER_FAMILIES),
            got=card.family,
            do="use a version of the project that has this family",
        )
    return MEMBER_FAMILIES[card.family](folder, card, classes)


def _open_prior(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L0: needs the file's name only."""

    def open_file(path: Path) -> ScoreFunction:
        prior = load_prior(path)
        return lambda inputs: prior.windows(inputs.require_soundscape())

    files = fold_files(folder, ".npz")
    return Member(
        card,
        needs_audio=False,
        needs_name=True,
        score=open_file(folder / "prior.npz"),
        for_fold=lambda fold: open_file(find_fold(files, fold, card.name)),
    )


def _open_statistics(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L1: classical descriptors through a linear model in ONNX, once it reproduces the golden output."""
    front_end = from_json(FrontEnd, card.config["front_end"], f"{card.name}: front_end")
    files = fold_files(folder, ".onnx")

    def open_session(path: Path) -> OnnxSession:
        return OnnxSession(path, inputs=card.inputs, outputs=card.outputs)

    def with_session(session: OnnxSession) -> ScoreFunction:
        def score(inputs: SoundscapeInputs) -> np.ndarray:
            features = inputs.get_or_compute(
                ("statistics", front_end), lambda: sound_statistics(inputs.windows(), front_end)
            )
            return session.run(features=features)[0]

        return score

    served = open_session(folder / "model.onnx")
    check_golden_output(folder, lambda _: np.array(served.run(features=_golden_statistics(front_end))[:1]))
    return Member(
        card,
        needs_audio=True,
        score=with_session(served),
        for_fold=lambda fold: with_session(open_session(find_fold(files, fold, card.name))),
    )


@lru_cache(maxsize=1)
def _golden_statistics(front_end: FrontEnd) -> np.ndarray:
    """(12, features) descriptors of the golden sound."""
    return sound_statistics(soundscape_windows(golden_sound()), front_end)


def _open_network(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L2: networks on spectrograms, once they reproduce the golden output."""
    networks = NetworkMember(folder, card)
    return Member(
        card,
        needs_audio=True,
        score=networks.predict,
        for_fold=networks.for_fold,
        use_bf16_if_equivalent=networks.use_bf16_if_equivalent,
    )


def _open_head(folder: Path, card: MemberCard, classes: ClassList) -> Member:
    """L3: small heads on a frozen embedder's output, once they reproduce the golden output."""
    head = HeadMember(folder, card, classes)
    return Member(
        card,
        needs_audio=True,
        score=head.predict,
        for_fold=head.for_fold,
        needs_name=not {"site", "hour"}.isdisjoint(card.inputs),
    )


MEMBER_FAMILIES: dict[str, Callable[[Path, MemberCard, ClassList], Member]] = {
    "prior": _open_prior,
    "statistics": _open_statistics,
    "network": _open_network,
    "head": _open_head,
}
