"""The submissions sent from here: what each was made of, what the judge said, what the board said, and what changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from lib.core.errors import BadInput
from lib.core.records import from_json, to_json, write_text

SENDING, PENDING, COMPLETE, ERROR = "SENDING", "PENDING", "COMPLETE", "ERROR"
_ENOUGH = 3
_PREDICTS, _HINTS = 0.7, 0.3  # rank correlations from which on we say so


@dataclass(frozen=True)
class Submission:
    """One line of `submissions.jsonl`; written before it is sent, and again whenever Kaggle says more."""

    date: str
    message: str
    kernel: str  # owner/slug
    version: int
    ref: int  # Kaggle's number; 0 as long as its answer is out
    status: str
    recipe: str
    offline_score: float
    offline_interval: list[float]
    inputs: dict[str, str]  # manifest by input, and the fingerprint of lib
    public_score: float | None = None
    private_score: float | None = None
    error: str = ""

    def told(self, shown) -> "Submission":
        """This submission as Kaggle now shows it: its number, status, scores and error."""
        return replace(
            self,
            ref=shown.ref,
            status=shown.status.name,
            public_score=_score(shown.public_score),
            private_score=_score(shown.private_score),
            error=shown.error_description or "",
        )


def _score(text: str | None) -> float | None:
    """The score that Kaggle gives as text, None where it gives none."""
    return float(text) if text else None


def made_of(receipt: Mapping) -> dict[str, str]:
    """What the submission was made of, each with a fingerprint; receipts before `inputs` name lib only."""
    inputs = {name: found["manifest"] for name, found in receipt.get("inputs", {}).items()}
    return {"lib": receipt["lib_fingerprint"], **inputs}


def ledger(root: Path) -> Path:
    """Where the submissions are written down."""
    return root / "runs" / "kaggle" / "submissions.jsonl"


def read(root: Path) -> list[Submission]:
    """All submissions sent from here, oldest first; a torn or foreign line is an error that gives its number."""
    path = ledger(root)
    texts = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    try:
        return [from_json(Submission, json.loads(text), f"{path} line {n}") for n, text in enumerate(texts, start=1)]
    except json.JSONDecodeError as error:
        raise BadInput(f"{path} is torn", expected="one JSON object a line", got=error, do="mend the line") from error


def _write(root: Path, known: list[Submission]) -> None:
    """Write all submissions, in one step."""
    lines = [json.dumps(to_json(one), sort_keys=True, allow_nan=False, ensure_ascii=False) for one in known]
    write_text(ledger(root), "".join(f"{line}\n" for line in lines))


def put(root: Path, submission: Submission) -> Submission:
    """The submission, now in the ledger in place of what was known of its message."""
    known = {one.message: one for one in read(root)} | {submission.message: submission}
    _write(root, list(known.values()))
    return submission


def forget(root: Path, submission: Submission) -> None:
    """Take a submission that was certainly not made out of the ledger."""
    _write(root, [one for one in read(root) if one.message != submission.message])


def changed(before: Submission | None, after: Submission) -> str:
    """What differs between two submissions: the recipe's name, and inputs with other manifests, + new, - gone."""
    if before is None:
        return "the first"
    parts = [f"{before.recipe} → {after.recipe}"] if before.recipe != after.recipe else []
    for name in sorted(before.inputs.keys() | after.inputs.keys()):
        old, new = before.inputs.get(name), after.inputs.get(name)
        if old != new:
            parts.append(f"+{name}" if old is None else f"-{name}" if new is None else name)
    return ", ".join(parts) or "nothing"


def table(known: list[Submission]) -> str:
    """The submissions for people, oldest first."""
    rows = [
        {
            "date": one.date[:16].replace("T", " "),
            "message": one.message,
            "offline": f"{one.offline_score:.3f}",
            "90 % interval": "[{:.3f}, {:.3f}]".format(*one.offline_interval),
            "public": _shown(one.public_score) or one.status.lower(),
            "private": _shown(one.private_score) or "–",
            "what changed": changed(before, one),
        }
        for before, one in zip([None, *known], known, strict=False)
    ]
    return pd.DataFrame(rows).to_string(index=False)


def _shown(score: float | None) -> str:
    """A score with three decimals; empty where there is none."""
    return "" if score is None else f"{score:.3f}"


def verdict(known: list[Submission]) -> str:
    """One sentence on whether the judge's order of the submissions is the board's."""
    pairs = [(one.offline_score, one.public_score) for one in known if one.public_score is not None]
    count = f"{len(pairs)} scored submission{'' if len(pairs) == 1 else 's'}"
    if len(pairs) < _ENOUGH:
        return f"{count}: too few to say whether the judge predicts the board; {_ENOUGH} are the least."
    offline, public = zip(*pairs, strict=True)
    if len(set(offline)) == 1 or len(set(public)) == 1:
        return f"{count}, all with the same {'offline' if len(set(offline)) == 1 else 'public'} score: nothing to rank."
    rho = float(spearmanr(offline, public).statistic)
    says = (
        "predicts the board" if rho >= _PREDICTS else "hints at the board" if rho >= _HINTS else "does not predict it"
    )
    return f"Over {count} the ranks of offline and public scores correlate by {rho:.2f}: so far the judge {says}."
