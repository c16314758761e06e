"""What can be judged: members, blends of them and recipes, with honest scores and what they cost."""

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
from lib.judge.leakage import fitted_on, refuse_self_judged, unseen_scores
from lib.models.member.card import MemberCard, read_card

_NOT_MODEL = {".json", ".parquet"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """Something that can be judged: honest scores, what it costs, and what it was made from."""

    name: str
    scores: Scores
    config: str
    seconds_per_soundscape: float
    model_mb: float
    card: MemberCard | None = None  # a member has one
    parts: dict[str, float] = field(default_factory=dict)  # a blend has these, with their weights


def gather(runs: Path, members: str, blends: list[str]) -> tuple[Prepared, dict[str, Candidate], list[str]]:
    """What is to be judged: members (comma separated, or all), blends, and recipes; and what was left out, and why."""
    prepared = load_prepared(find_artifact("prepared", str(runs)))
    folders = {folder.name: folder for folder in find_artifacts("member", str(runs))}
    known: dict[str, Candidate] = {}
    for name, folder in folders.items():
        card = read_card(folder, prepared.classes)
        scores = unseen_scores(folder, prepared.folds, related=prepared.related, others=folders)
        size = sum(file.stat().st_size for file in folder.iterdir() if file.suffix not in _NOT_MODEL) / 1e6
        known[name] = Candidate(name, scores, card.config_fingerprint, card.seconds_per_soundscape, size, card)
    asked = list(known) if members == "all" else [name.strip() for name in members.split(",")]
    if absent := [name for name in asked if name not in known]:
        raise BadInput(
            "members to judge are not there",
            expected=f"some of {', '.join(known)}",
            got=shorten(absent),
            do=f"look below {runs}, or run the notebook that makes them",
        )
    found, left_out = {name: known[name] for name in asked}, []
    for text in blends:
        found[text] = _blend(text, known)
    if any(manifest_kind(folder) == "recipes" for folder in runs.glob("*/*")):
        for recipe in load_recipes(find_artifact("recipes", str(runs))):
            name = recipe.name
            try:
                if recipe.searched is not None:
                    refuse_self_judged(fitted_on(f"recipe {name}", prepared.labels.row_ids), prepared.labels.row_ids)
                prepared.classes.check_hash(recipe.class_hash, f"recipe {name}")
                scores = evaluate(recipe, {of: candidate.scores for of, candidate in known.items()}, prepared.labels)
            except BadInput as error:
                left_out.append(f"recipe {name}: {error.what} ({error.do}); 05 judged it at {recipe.score:.4f}")
                continue
            parts = [(known[name], weight) for name, weight in recipe.weights.items()]
            found[name] = _mixed(name, scores, parts)
    return prepared, found, left_out


def _blend(text: str, known: dict[str, Candidate]) -> Candidate:
    """The blend that `a:0.6,b:0.4` describes."""
    try:
        parts = {name.strip(): float(weight) for name, weight in (part.rsplit(":", 1) for part in text.split(","))}
        chosen = [(known[name], weight) for name, weight in parts.items()]
    except (ValueError, KeyError) as error:
        raise BadInput(
            "a blend cannot be read",
            expected=f"a:0.6,b:0.4 of {', '.join(known)}",
            got=text,
            do="name members and weights that sum to 1",
        ) from error
    return _mixed(text, mix([part.scores for part, _ in chosen], list(parts.values()), space="rank"), chosen)


def _mixed(name: str, scores: Scores, parts: list[tuple[Candidate, float]]) -> Candidate:
    """A candidate made of others: it costs what those with weight cost."""
    used = [part for part, weight in parts if weight > 0]
    config = fingerprint.of_json([[part.name, part.config, weight] for part, weight in parts])
    seconds, size = sum(part.seconds_per_soundscape for part in used), sum(part.model_mb for part in used)
    return Candidate(name, scores, config, seconds, size, parts={part.name: weight for part, weight in parts})
