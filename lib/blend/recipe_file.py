"""Recipes in files: what decides scores in one a recipe, the members' seconds, which were measured, beside them."""

from pathlib import Path

from lib.blend.recipe import Recipe
from lib.core.records import MEASURED, from_json, read_json, to_json, write_json

RECIPES = ("safe", "bold")  # always both: one without a search, and one with the best of a search
_COSTS = ("seconds_per_soundscape", "shared")  # of a member, as in `RecipeMember`


def save_recipe(folder: Path, recipe: Recipe) -> None:
    """Write `<name>.json` into the folder, and the members' seconds, which were measured, beside it."""
    data, costs = to_json(recipe), {}
    for member in [*data["members"], *data["fold_only_members"]]:
        costs[member["name"]] = {key: member.pop(key) for key in _COSTS}
    write_json(folder / f"{recipe.name}.json", data)
    others = read_json(folder / MEASURED) if (folder / MEASURED).exists() else {}
    write_json(folder / MEASURED, others | {recipe.name: costs})


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file, with its members' seconds from beside it, checked."""
    data, costs = read_json(path), _object(read_json(path.parent / MEASURED).get(path.stem))
    for key in ("members", "fold_only_members"):
        members = data.get(key)
        for member in members if isinstance(members, list) else []:
            if isinstance(member, dict):
                member |= _object(costs.get(f"{member.get('name')}"))
    return from_json(Recipe, data, path.name)


def _object(value: object) -> dict:
    """The value if it is an object; what is none has no seconds, and `from_json` refuses it by name."""
    return value if isinstance(value, dict) else {}


def load_recipes(folder: Path) -> list[Recipe]:
    """All recipes of a folder: safe and bold, then those made from templates."""
    paths = [path for path in folder.glob("*.json") if path.name not in ("manifest.json", MEASURED)]
    order = {name: n for n, name in enumerate(RECIPES)}
    return [load_recipe(path) for path in sorted(paths, key=lambda path: (order.get(path.stem, len(order)), path.stem))]
