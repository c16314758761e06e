"""Candidates for the judge: members, blends of them and recipes, with out-of-fold scores and costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib.blend.evaluate import evaluate
from lib.blend.mix import mix
from lib.blend.recipe import load_recipes
from lib.competition.prepared import Prepared, load_prepared
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.paths import find_artifact, find_artifacts, manifest_kind
from lib.judge.leakage import fit_record, load_oof_scores, refuse_self_judged
from lib.models.member.card import MemberCard, read_card

_NOT_MODEL = {".json", ".parquet"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A member, blend or recipe: its out-of-fold scores, its cost, and its parts."""

    name: str
    scores: Scores
    config: str
    seconds_per_soundscape: float
    model_mb: float
    card: MemberCard | None = None  # a member has one
    parts: dict[str, float] = field(default_factory=dict)  # a blend has these, with their weights


def gather_candidates(
    runs: Path, members: str, blends: Sequence[str]
) -> tuple[Prepared, dict[str, Candidate], list[str]]:
    """The data, the candidates (members, comma separated or all; blends; recipes), and those left out with reasons."""
    prepared = load_prepared(find_artifact("prepared", str(runs)))
    folders = {folder.name: folder for folder in find_artifacts("member", str(runs))}
    known: dict[str, Candidate] = {}
    for name, folder in folders.items():
        card = read_card(folder, prepared.classes)
        scores = load_oof_scores(folder, prepared.folds, related=prepared.related, others=folders)
        size = sum(file.stat().st_size for file in folder.iterdir() if file.suffix not in _NOT_MODEL) / 1e6
        known[name] = Candidate(name, scores, card.config_fingerprint, card.measured.seconds_per_soundscape, size, card)
    chosen = list(known) if members == "all" else [name.strip() for name in members.split(",")]
    if absent := [name for name in chosen if name not in known]:
        raise BadInput(
            "members to judge are not there",
            expected=f"some of {', '.join(known)}",
            got=shorten(absent),
            do=f"name some of the members below {runs}, or run the notebook that makes them",
        )
    found = {name: known[name] for name in chosen}
    left_out: list[str] = []
    for text in blends:
        found[text] = _blend(text, known)
    if any(manifest_kind(folder) == "recipes" for folder in runs.glob("*/*")):
        for recipe in load_recipes(find_artifact("recipes", str(runs))):
            name = recipe.name
            try:
                if recipe.searched_score is not None:
                    refuse_self_judged(fit_record(f"recipe {name}", prepared.labels.row_ids), prepared.labels.row_ids)
                prepared.classes.check_hash(recipe.class_hash, f"recipe {name}")
                scores = evaluate(recipe, {of: candidate.scores for of, candidate in known.items()}, prepared.labels)
            except BadInput as error:
                left_out.append(f"recipe {name}: {error.what} ({error.do}); 05 judged it at {recipe.score:.4f}")
                continue
            parts = [(known[name], weight) for name, weight in recipe.weights.items()]
            found[name] = _combine(name, scores, parts)
    return prepared, found, left_out


def _blend(text: str, known: dict[str, Candidate]) -> Candidate:
    """The blend of a text such as `a:0.6,b:0.4`."""
    try:
        parts = {name.strip(): float(weight) for name, weight in (part.rsplit(":", 1) for part in text.split(","))}
        chosen = [(known[name], weight) for name, weight in parts.items()]
    except (ValueError, KeyError) as error:
        raise BadInput(
            "a blend cannot be read",
            expected=f"a:0.6,b:0.4 of {', '.join(known)}",
            got=text,
            do="write member:weight pairs whose weights sum to 1",
        ) from error
    return _combine(text, mix([part.scores for part, _ in chosen], list(parts.values()), space="rank"), chosen)


def _combine(name: str, scores: Scores, parts: list[tuple[Candidate, float]]) -> Candidate:
    """A candidate made of others, with the costs of those that have weight."""
    used = [part for part, weight in parts if weight > 0]
    config = fingerprint.of_json([[part.name, part.config, weight] for part, weight in parts])
    seconds, size = sum(part.seconds_per_soundscape for part in used), sum(part.model_mb for part in used)
    return Candidate(name, scores, config, seconds, size, parts={part.name: weight for part, weight in parts})
