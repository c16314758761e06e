"""Candidates for the judge: members, blends of them and recipes, with out-of-fold scores and costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib.blend.costs import seconds_together
from lib.blend.member_costs import mean_weights, recipe_member
from lib.blend.mix import mix
from lib.blend.recipe import Recipe, RecipeMember
from lib.blend.recipe_file import load_recipes
from lib.blend.search.nested import variant_scores
from lib.competition.prepared import Prepared, load_prepared
from lib.competition.scores import Scores
from lib.core import fingerprint
from lib.core.errors import BadInput, shorten
from lib.core.paths import by_name, find_artifact, find_artifacts, manifest_kind
from lib.core.records import to_json
from lib.judge.leakage import load_oof_scores
from lib.models.member.card import MemberCard, read_card

_NOT_MODEL = {".json", ".parquet"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A member, blend or recipe: its out-of-fold scores, its cost, and its parts."""

    name: str
    scores: Scores
    config: str
    members: tuple[RecipeMember, ...]  # all that run for it
    model_mb: float
    card: MemberCard | None = None  # a member has one
    parts: dict[str, float] = field(default_factory=dict)  # a blend has these, with their mean weights over classes

    @property
    def seconds_per_soundscape(self) -> float:
        """Its seconds on one thread, with an embedder's counted once."""
        return seconds_together(self.members)


def gather_candidates(
    runs: Path, members: str, blends: Sequence[str]
) -> tuple[Prepared, dict[str, Candidate], list[str]]:
    """The data, the candidates (members, comma separated or all; blends; recipes), and those left out with reasons."""
    prepared = load_prepared(find_artifact("prepared", str(runs)))
    folders = by_name(find_artifacts("member", str(runs)))
    known: dict[str, Candidate] = {}
    for name, folder in folders.items():
        card = read_card(folder, prepared.classes)
        scores = load_oof_scores(folder, prepared.folds, related=prepared.related, others=folders)
        size = sum(file.stat().st_size for file in folder.iterdir() if file.suffix not in _NOT_MODEL) / 1e6
        known[name] = Candidate(name, scores, card.config_fingerprint, (recipe_member(card, folder),), size, card)
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
            try:
                found[recipe.name] = _stored(recipe, known, prepared)
            except BadInput as error:
                left_out.append(f"recipe {recipe.name}: {error.what} ({error.do}); 05 judged it at {recipe.score:.4f}")
    return prepared, found, left_out


def _stored(recipe: Recipe, known: dict[str, Candidate], prepared: Prepared) -> Candidate:
    """A recipe of 05, each fold scored by its variant without that fold's labels; BadInput if it cannot be judged."""
    prepared.classes.check_hash(recipe.class_hash, f"recipe {recipe.name}")
    now = {name: candidate.members[0].manifest for name, candidate in known.items()}
    needed = [*recipe.members, *recipe.fold_only_members]
    if other := [member.name for member in needed if now.get(member.name) != member.manifest]:
        raise BadInput(
            f"{shorten(other)} absent, or made anew since the recipe was",
            expected="the members that the recipe was made with",
            got=shorten(other),
            do="run 05 again",
        )
    scores = variant_scores(recipe, {name: candidate.scores for name, candidate in known.items()}, prepared.labels)
    size = sum(known[member.name].model_mb for member in recipe.members)
    config = fingerprint.of_json(to_json(recipe.without_costs()))
    weights = mean_weights(recipe, prepared.classes.labels)
    return Candidate(recipe.name, scores, config, tuple(recipe.members), size, parts=weights)


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
    members, size = tuple(member for part in used for member in part.members), sum(part.model_mb for part in used)
    return Candidate(name, scores, config, members, size, parts={part.name: weight for part, weight in parts})
