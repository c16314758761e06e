"""Who has seen what: a score counts only on rows that the model behind it never met, not even by recording group."""

from dataclasses import dataclass
from pathlib import Path

from lib.competition.errors import BadInput, shortened
from lib.competition.folds import Folds
from lib.competition.names import parse_soundscape, split_row_id
from lib.competition.records import from_json, read_json
from lib.competition.scores import Labels, Scores, load_scores
from lib.judge.metric import AucReport, judge


@dataclass(frozen=True)
class Training:
    """`training.json`: for each soundscape and clip, the folds whose models trained on it; and the folds' version."""

    fold_version: str
    soundscapes: dict[str, list[int]]
    clips: dict[str, list[int]]


def training_on(folds: Folds) -> Training:
    """What plain cross-fitting has seen: each fold's model met every item that the fold does not hold out."""

    def others(kind: str) -> dict[str, list[int]]:
        return {item: [n for n in folds.numbers if n != fold] for item, fold in folds.of(kind).items()}

    return Training(folds.version, others("soundscape"), others("clip"))


def unseen_scores(member: Path, folds: Folds) -> Scores:
    """A member's out-of-fold scores, once it is shown that no row was scored by a model that had seen its recording."""
    training = from_json(Training, read_json(member / "training.json"), f"{member.name}/training.json")
    if training.fold_version != folds.version:
        raise BadInput(f"{member.name} was fitted on other folds", expected=f"fold version {folds.version}",
                       got=training.fold_version, do="fit it again on the frozen folds")  # fmt: skip
    scores = load_scores(member / "oof.parquet")
    met: dict[str, set[int]] = {}
    for stem, seen_by in training.soundscapes.items():
        met.setdefault(parse_soundscape(stem).group, set()).update(seen_by)
    fold_of = folds.of("soundscape")
    contaminated = []
    for row in scores.row_ids:
        soundscape, _ = split_row_id(row)
        if soundscape.stem not in fold_of or fold_of[soundscape.stem] in met.get(soundscape.group, set()):
            contaminated.append(row)
    if contaminated:
        raise BadInput(f"{member.name} claims scores of rows it has seen",
                       expected="rows of recordings that the fold's model never met",
                       got=f"{len(contaminated)} contaminated rows: {shortened(contaminated, 3)}",
                       do="cross-fit it on the frozen folds")  # fmt: skip
    return scores


def judge_member(member: Path, labels: Labels, folds: Folds) -> AucReport:
    """The member's honest score on the labelled windows."""
    return judge(labels, unseen_scores(member, folds))
