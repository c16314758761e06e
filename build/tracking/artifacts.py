"""What the ledger's lines are about: members and recipes below RUNS, their plans, and their curves of training."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from build.sweeps.record import MEMBERS
from lib.blend.recipe_file import load_recipe
from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.core.records import MEASURED, read_json, to_json

Curves = dict[str, list[tuple[int, float]]]  # name -> (epoch, value)


@dataclass(frozen=True)
class Artifact:
    """A scored member or recipe: the notebook that made it, its name, its plan as flat parameters, and its curves."""

    notebook: str
    name: str
    config: str  # the fingerprint by which ledgers name it
    plan: dict[str, str]
    curves: Curves = field(default_factory=dict)


def find_artifacts_of(output: Path) -> Iterator[Artifact]:
    """The members and recipes in the output folder of one notebook; what is damaged is left out."""
    for card in sorted(card for kind in MEMBERS for card in output.glob(f"{kind}/*/member.json")):
        try:
            yield _member(output, card)
        except (BadInput, KeyError):
            continue
    for file in sorted(output.glob("recipes/*.json")):
        if file.name not in ("manifest.json", MEASURED):
            try:
                recipe = load_recipe(file)
            except BadInput:
                continue
            plan = {f"weight.{name}": f"{weight:.4g}" for name, weight in recipe.weights.items()}
            plan["mixes"] = json.dumps([to_json(mix) for mix in recipe.mixes])
            config = fingerprint.of_json(to_json(recipe.without_costs()))  # as 05 writes it into the ledger
            yield Artifact(output.name, recipe.name, config, plan)


def _member(output: Path, card: Path) -> Artifact:
    """The member of a card, with the curves of its newest training."""
    facts, name = read_json(card), card.parent.name
    histories = list(output.glob(f"training/{name}-*/*/history.jsonl"))
    newest = max(histories, key=lambda path: path.stat().st_mtime).parent.parent if histories else None
    mine = sorted(path for path in histories if path.parent.parent == newest)
    return Artifact(output.name, name, facts["config_fingerprint"], _flat(facts["config"]), _curves(mine))


def _curves(histories: list[Path]) -> Curves:
    """Loss, learning rate and scores after each epoch, a curve a fold."""
    curves: Curves = {}
    for path in histories:
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            for name, value in {"loss": row["loss"], "learning_rate": row["learning_rate"], **row["scores"]}.items():
                if value is not None:
                    curves.setdefault(f"{name}/{path.parent.name}", []).append((row["epoch"], value))
    return curves


def _flat(config: Mapping, before: str = "") -> dict[str, str]:
    """A nested configuration as flat parameters, `loop.epochs` and the like."""
    found: dict[str, str] = {}
    for name, value in config.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": str(value)}
    return found
