"""Finishing a member: what the fitting side puts beside the model files."""

from pathlib import Path

from lib.competition.scores import Scores
from lib.core.records import seal, to_json, write_json
from lib.judge.leakage import Training
from lib.models.member.card import MemberCard


def seal_member(folder: Path, card: MemberCard, oof: Scores, training: Training) -> None:
    """Put card, out-of-fold scores and training record beside the model files, and seal the folder."""
    write_json(folder / "member.json", to_json(card))
    write_json(folder / "training.json", to_json(training))
    oof.save(folder / "oof.parquet")
    seal(folder, "member")
