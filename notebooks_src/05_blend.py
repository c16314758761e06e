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
competition_dir: str = ""  # the competition folder, for its taxonomy; empty: search the known paths
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

# %% [markdown]
# ## Out-of-fold scores of the members
# Every member at hand, scored on the rows that it has not seen.

# %%
import shutil
import time
from dataclasses import replace
from functools import partial

import pandas as pd
from IPython.display import display

from lib.blend.ablation import ablate, member_values
from lib.blend.member_costs import drop_unused_members, recipe_member
from lib.blend.per_class.accept import decide_acceptance, stack
from lib.blend.per_class.fit import regression_fit
from lib.blend.recipe import Step, save_recipe
from lib.blend.search.nested import (
    nested_scores,
    refit_without_each_fold,
    safe_recipe,
    search,
    with_fold_variants,
)
from lib.blend.search.space import SearchParameter, SearchSpace
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.gate import fit_gate, nested_sidecar
from lib.blend.templates.registry import find_template, template_table
from lib.blend.templates.roles import TemplateInputs, default_roles, make_mixes, parse_roles, template_recipe
from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.core import fingerprint
from lib.core.paths import find_artifact, find_artifacts, find_competition, ledger_path, output_folder
from lib.core.records import seal, to_json
from lib.judge.bootstrap import score_table, scores_with_intervals
from lib.judge.leakage import load_oof_scores
from lib.judge.ledger import log_run
from lib.judge.metric import judge
from lib.models.embedder.card import classes_with_own_label
from lib.models.member.card import read_card
from lib.show.blend import optimism_figure, sidecar_gate_figure, waterfall, weights_by_fold
from lib.show.html import table
from lib.show.plots import ladder

start = time.perf_counter()
output = output_folder("05_blend", output_dir)
prepared = load_prepared(find_artifact("prepared", inputs_dir))
labels = prepared.labels
folders = {
    folder.name: folder for folder in sorted(find_artifacts("member", inputs_dir), key=lambda folder: folder.name)
}
cards = {name: read_card(folder, prepared.classes) for name, folder in folders.items()}
parts = {
    name: load_oof_scores(folder, prepared.folds, related=prepared.related, others=folders)
    for name, folder in folders.items()
}
scored = scores_with_intervals(labels, parts)
family = {name: card.family for name, card in cards.items()}
milliseconds = {name: 1000 * card.seconds_per_soundscape for name, card in cards.items()}
score_table(scored, {"family": family, "ms per soundscape": milliseconds}).round(3)

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
vote_groups = [card.config["embedder"] if card.family == "head" else name for name, card in cards.items()]
steps = [Step("smooth_windows", {"sigma": sigma})]
steps += [Step("scale_by_file", {"top_windows": 2, "power": file_power})] if file_power else []
best = max(parts, key=lambda name: scored[name].macro)
recipe_members = [recipe_member(card, folders[name]) for name, card in cards.items()]
make_safe = partial(
    safe_recipe,
    parts=parts,
    vote_groups=vote_groups,
    members=recipe_members,
    steps=steps,
    prior=prior,
    prepared=prepared,
)
safe, safe_by_fold = make_safe(labels), refit_without_each_fold(make_safe, labels)
table(pd.DataFrame(safe.weights.items(), columns=["member", "weight"]).round(3))

# %% [markdown]
# ## Bold: searched, and judged nested
# Weights of members, and the smoothing. The *optimism* is what the search believed and other folds did not
# give back.

# %%
knob = SearchParameter("blend", "smooth_windows", "sigma", (0.0, 0.25, 0.5, 0.75, 1.0))
space = SearchSpace(replace(safe, name="bold"), "blend", (knob,))
found = search(space, parts, labels, method=method, seed=seed)
print(found)
weights_by_fold(found, list(parts))

# %% [markdown]
# Weights of their own for each class, drawn towards the common ones where few windows speak for them, are kept only
# where they are surely better on folds that they were not fitted on.

# %%
each_class = regression_fit([[label] for label in labels.classes])
stacked = stack(each_class, found.recipe, "blend", parts, labels, plain=found.nested, by_fold=found.recipes)
print(f"weights by class: {stacked.verdict}")
kept = stacked if stacked.verdict.keep else found
bold, bold_scores, bold_by_fold = kept.recipe, kept.nested, kept.recipes
safe_scores = nested_scores(safe_by_fold, parts, labels)
optimism_figure({"bold": found}, {"safe": judge(labels, safe_scores).macro, best: scored[best].macro})

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
    gate = decide_acceptance(labels, bold_scores, corrected.scores)
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
    template_inputs = TemplateInputs(taxonomy, labels, parts, classes_with_own_label(packed, prepared.classes))
    played = find_template(template)
    assignment = default_roles(played, list(cards.values())) | parse_roles(roles)
    made = make_mixes(played, assignment, template_inputs)
    play = partial(template_recipe, template=played, roles=assignment, inputs=template_inputs, base=safe)
    by_fold = refit_without_each_fold(play, labels)
    recipes[template] = (replace(safe, name=template, mixes=made.mixes), nested_scores(by_fold, parts, labels), by_fold)
    print(*made.left_out, sep="\n")
    display(pd.DataFrame([{"role": role, "member": name} for role, name in assignment.items()]))
    for role, earned in made.gates.items():
        display(sidecar_gate_figure(earned.table, f"{template}: {role} by {assignment[role]}"))
table(template_table()[lambda rows: rows.template == template] if template else template_table())

# %% [markdown]
# ## The ladder, out of fold
# And the question that decides whether blending was worth it: is a recipe surely better than the best member alone?

# %%
for name, (_, scores, _) in recipes.items():
    print(f"{name} against {best}: {decide_acceptance(labels, parts[best], scores)}")
scored |= scores_with_intervals(labels, {name: scores for name, (_, scores, _) in recipes.items()})
ladder(score_table(scored))

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
        drop_unused_members(with_fold_variants(recipe, by_fold), values, {prior, best}),
        score=scored[name].macro,
        interval=[scored[name].low, scored[name].high],
        scored_classes=scored[name].classes,
    )
    save_recipe(output / "recipes", recipe)
    log_run(
        ledger_path(output),
        f"how good is the {name} blend of {len(recipe.members)} members",
        scored[name],
        prepared,
        config=fingerprint.of_json(to_json(recipe)),
        seed=seed,
        seconds=time.perf_counter() - start,
        tags=("recipe", name),
        verdict="promote",
    )
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
