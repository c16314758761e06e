# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Blend
#
# Members become recipes. **safe** searches nothing: each member weighs by how far its interval's lower end lies above
# chance, with fixed, mild steps. **bold** takes what did best out of fold, and is believed only by its *nested* score:
# what was chosen on four folds, judged on the fifth. A third recipe can be made from a **template**: the blend of one
# of 2026's entries, played by the members at hand.
#
# Each carries along what it would be without a fold's labels: that is how it is judged, and how it may teach in 04.
#
# **Reads** the taxonomy, `prepared/` and every `members/*`. **Writes** a file a recipe in `recipes/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder, for its taxonomy; empty: look in every known place
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/05_blend
prior: str = "l0_prior"  # the member that scores what cannot be heard
sigma: float = 0.5  # smoothing over windows, in windows; bold searches it
file_power: float = 0.0  # how much a window gains by what its file is sure of, a power; 0: nothing
method: str = "greedy"  # how bold is searched: greedy, ascent or tpe
seed: int = 0  # of the search
sidecar: str = ""  # the member that may correct the blend where it has earned it; empty: the one least like it
template: str = ""  # an entry's blend, by its name in lib/blend/templates/registry.py; empty: none
roles: str = ""  # who plays which role in it, such as proto:l3_mlps,sed:small_sed; empty: who is most like it

# %%
import shutil
import time
from dataclasses import replace

import pandas as pd
from IPython.display import display

from lib.blend.ablation import ablate, member_values
from lib.blend.member_costs import ingredient, without_zero_parts
from lib.blend.per_class.accept import stack, worth_keeping
from lib.blend.per_class.fit import by_regression
from lib.blend.recipe import Mix, Part, Recipe, Step, save_recipe
from lib.blend.search.nested import (
    lower_bound_weights,
    nested_scores,
    refit_without_each_fold,
    search,
    with_fold_variants,
)
from lib.blend.search.space import Knob, Space
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import fit_gate, nested_sidecar
from lib.blend.templates.registry import overview, template_named
from lib.blend.templates.roles import Material, default_roles, make_mixes, read_roles
from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.core import fingerprint
from lib.core.paths import find_competition, find_made, find_one, ledger_path, output_folder
from lib.core.records import seal, to_json
from lib.judge.bootstrap import bootstrap, interval
from lib.judge.leakage import unseen_scores
from lib.judge.ledger import LedgerLine, append
from lib.judge.metric import judge
from lib.models.embedder.packed import known_by_name
from lib.models.member.card import read_card
from lib.show.blend import searched_against_nested, sidecar_gate_figure, waterfall, weights_by_fold
from lib.show.html import table
from lib.show.plots import ladder

start = time.perf_counter()
output = output_folder("05_blend", output_dir)
prepared = load_prepared(find_one("prepared", inputs_dir))
labels = prepared.labels
folders = {folder.name: folder for folder in sorted(find_made("member", inputs_dir), key=lambda folder: folder.name)}
cards = {name: read_card(folder, prepared.classes) for name, folder in folders.items()}
parts = {
    name: unseen_scores(folder, prepared.folds, related=prepared.related, others=folders)
    for name, folder in folders.items()
}
alone = {name: judge(labels, part).macro for name, part in parts.items()}
drawn = bootstrap(labels, parts)
sure = {name: interval(alone[name], drawn[name]) for name in parts}
pd.DataFrame(
    {
        "member": name,
        "family": card.family,
        "out of fold": alone[name],
        "90 % interval": str(sure[name]),
        "ms per soundscape": 1000 * card.seconds_per_soundscape,
    }
    for name, card in cards.items()
).round(3)

# %% [markdown]
# ## How alike the members are
# Two members that rank alike add nothing to each other.

# %%
alike = pd.DataFrame({name: part.values.ravel() for name, part in parts.items()}).corr("spearman")
alike.round(2)

# %% [markdown]
# ## Safe: nothing searched
# Heads that hear through one embedder are one voice: however many they are, they have one vote together. The weights
# know the labels, so for its score they are made without each fold's.

# %%
voices = [card.config["embedder"] if card.family == "head" else name for name, card in cards.items()]
steps = [Step("smooth_windows", {"sigma": sigma})]
steps += [Step("scale_by_file", {"top_windows": 2, "power": file_power})] if file_power else []
best = max(alone, key=alone.get)
ingredients = [ingredient(card, folders[name]) for name, card in cards.items()]
facts = {"class_hash": prepared.classes.hash, "fold_version": prepared.folds.version, "prior": prior}
facts |= {"score": 0.0, "interval": [0.0, 0.0], "scored_classes": 0}  # which are not known yet


def safe_by(seen):
    """The safe recipe that these labels make."""
    weighted = [
        Part(name, weight) for name, weight in zip(parts, lower_bound_weights(seen, parts, voices), strict=True)
    ]
    return Recipe("safe", members=ingredients, mixes=[Mix("blend", "rank", weighted, steps)], **facts)


safe, safe_by_fold = safe_by(labels), refit_without_each_fold(safe_by, labels)
table(pd.DataFrame(safe.weights.items(), columns=["member", "weight"]).round(3))

# %% [markdown]
# ## Bold: searched, and judged nested
# Weights of members, and the smoothing. The *optimism* is what the search believed and other folds did not
# give back.

# %%
knob = Knob("blend", "smooth_windows", "sigma", (0.0, 0.25, 0.5, 0.75, 1.0))
space = Space(replace(safe, name="bold"), "blend", (knob,))
found = search(space, parts, labels, method=method, seed=seed)
print(found)
weights_by_fold(found, list(parts))

# %% [markdown]
# Weights of their own for each class, drawn towards the common ones where few windows speak for them, are kept only
# where they are surely better on folds that they were not fitted on.

# %%
each_class = by_regression([[label] for label in labels.classes])
stacked = stack(each_class, found.recipe, "blend", parts, labels, plain=found.nested, by_fold=found.recipes)
print(f"weights by class: {stacked.verdict}")
kept = stacked if stacked.verdict.keep else found
bold, bold_scores, bold_by_fold = kept.recipe, kept.nested, kept.recipes
safe_scores = nested_scores(safe_by_fold, parts, labels)
searched_against_nested({"bold": found}, {"safe": judge(labels, safe_scores).macro, best: alone[best]})

# %% [markdown]
# ## What each adds
# Left: members join as they are listed, then the steps take effect. Right: what the whole recipe would lose, each gain
# by choices that were made without the fold it is judged on.

# %%
waterfall(ablate(bold, parts, labels, by_fold=bold_by_fold))

# %% [markdown]
# ## A sidecar: correct, do not replace
# A member outside the blend may move the ranks of those classes alone where that helped on other folds, and no further
# than a budget. It joins the bold recipe only if the corrected blend is surely better; what bold is without a fold's
# labels stays without it, for its gate is fitted on all of them.

# %%
light = [name for name in parts if bold.weights[name] == 0 and name != prior]
side = sidecar or (min(light, key=lambda name: alike.loc[name, best]) if light else "")
gate = None
if side:
    settings = SidecarSettings()
    corrected = nested_sidecar(labels, bold_scores, parts[side], settings)
    gate = worth_keeping(labels, bold_scores, corrected.scores)
    print(f"{side}: {gate}; {len(corrected.kept)} of {len(corrected.gates)} folds keep the anchor as it is")
    if gate.keep:
        earned = fit_gate(labels, bold_scores, parts[side], settings).weights
        step = Step("sidecar", {"member": side, "gate": earned, "settings": to_json(settings)})
        bold = replace(bold, mixes=[replace(bold.mixes[0], steps=[*bold.mixes[0].steps, step])])
        bold_scores = corrected.scores
    display(sidecar_gate_figure(next(iter(corrected.gates.values())).table, f"{side} on one fold's gate"))

# %% [markdown]
# ## A source's blend
# What it takes from its source, what is ours, and who plays whom here. Its score is nested like bold's.

# %%
recipes = {
    "safe": (safe, safe_scores, safe_by_fold),
    "bold": (bold, bold_scores, bold_by_fold),
}
if template:
    taxonomy = read_taxonomy(find_competition(competition_dir), prepared.classes, Findings())
    embedders = {folder.parents[1] / "embedders" for folder in folders.values()}
    packed = [folder for place in embedders if place.is_dir() for folder in sorted(place.iterdir())]
    material = Material(taxonomy, labels, parts, known_by_name(packed, prepared.classes))
    played = template_named(template)
    cast = default_roles(played, list(cards.values())) | read_roles(roles)
    made = make_mixes(played, cast, material)

    def played_by(seen):
        """The template's recipe that these labels make."""
        return replace(safe, name=template, mixes=make_mixes(played, cast, replace(material, labels=seen)).mixes)

    by_fold = refit_without_each_fold(played_by, labels)
    recipes[template] = (replace(safe, name=template, mixes=made.mixes), nested_scores(by_fold, parts, labels), by_fold)
    print(*made.left_out, sep="\n")
    display(pd.DataFrame([{"role": role, "member": name} for role, name in cast.items()]))
    for role, earned in made.gates.items():
        display(sidecar_gate_figure(earned.table, f"{template}: {role} by {cast[role]}"))
table(overview()[lambda rows: rows.template == template] if template else overview())

# %% [markdown]
# ## The ladder, out of fold
# And the question that decides whether blending was worth it: is a recipe surely better than the best member alone?

# %%
named = parts | {name: scores for name, (_, scores, _) in recipes.items()}
reports = {name: judge(labels, scores) for name, scores in named.items()}
drawn = bootstrap(labels, named)
sure = {name: interval(reports[name].macro, values) for name, values in drawn.items()}
for name in recipes:
    print(f"{name} against {best}: {worth_keeping(labels, parts[best], named[name])}")
rungs = [{"rung": name, "score": reports[name].macro, "low": sure[name].low, "high": sure[name].high} for name in named]
ladder(pd.DataFrame(rungs))

# %% [markdown]
# ## The recipes
# Everything that changes a score is in these files. 06 executes one of them and decides nothing by itself, except which
# of the members that are not required still fit the clock, by what they are worth for each second.

# %%
lines = []
shutil.rmtree(output / "recipes", ignore_errors=True)
for name, (recipe, _, by_fold) in recipes.items():
    values = member_values(recipe, parts, labels, by_fold=by_fold)
    recipe = replace(
        without_zero_parts(with_fold_variants(recipe, by_fold), values, {prior, best}),
        score=reports[name].macro,
        interval=[sure[name].low, sure[name].high],
        scored_classes=len(reports[name].scored),
    )
    save_recipe(output / "recipes", recipe)
    line = LedgerLine(
        question=f"how good is the {name} blend of {len(recipe.members)} members",
        config=fingerprint.of_json(to_json(recipe)),
        fold_version=prepared.folds.version,
        data_version=prepared.facts.data_version,
        seed=seed,
        score=recipe.score,
        interval=tuple(recipe.interval),
        classes=recipe.scored_classes,
        seconds=time.perf_counter() - start,
        tags=("recipe", name),
        verdict="promote",
    )
    append(ledger_path(output), line)
    lines += [
        {
            "recipe": name,
            "member": member.name,
            "weight": recipe.weights[member.name],
            "value": member.value,
            "required": member.required,
            "own ms": 1000 * member.seconds_per_soundscape,
            "shared ms": 1000 * sum(member.shared.values()),
        }
        for member in recipe.members
    ]
seal(output / "recipes", "recipes")
table(pd.DataFrame(lines).round(4))
