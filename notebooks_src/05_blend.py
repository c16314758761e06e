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
# Members become recipes. **safe** searches nothing: each member's weight is the distance of its interval's lower end
# from chance, and the steps are fixed and mild. **bold** is the result of a search, and only its *nested* score counts:
# chosen on four folds, scored on the fifth. A third recipe can be made from a **template**: the published blend of one
# of 2026's entries, with the available members in its roles.
#
# Each recipe also holds its variants fitted without each fold's labels: these give its nested score, and the
# pseudo-labels of 04.
#
# **Reads** the taxonomy, `prepared/` and every `members/*`. **Writes** a file a recipe in `recipes/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder, for its taxonomy; empty: search the known paths
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/05_blend
prior: str = "l0_prior"  # the member that scores soundscapes which cannot be decoded
sigma: float = 0.5  # smoothing over windows, in windows, at least 0; bold searches it
file_power: float = 0.0  # power of a class's confidence in its file that scales its windows, at least 0: none
method = "greedy"  # type: Literal["greedy","ascent","tpe"]  # the search method of bold
seed: int = 0  # of the search
sidecar = None  # type: str|None  # the member that may correct bold; None: the one least correlated with the best
template = None  # type: str|None  # a published blend, of lib/blend/templates/registry.py; None: no third
# one of: s0, s2, s3, s4, chain_a, chain_b, chain_c, chain_d, chain_e, second, vlom
roles = None  # type: str|None  # members for the template's roles, as proto:l3_mlps,sed:small_sed; None: the best fit

# %% [markdown]
# ## Out-of-fold scores of the members
# Every available member, scored on rows that it was not fitted on.

# %%
import time

from lib.blend.templates.registry import find_template
from lib.blend.templates.roles import parse_roles
from lib.competition.prepared import load_prepared
from lib.core.paths import by_name, find_artifact, find_artifacts, output_folder
from lib.core.staging import describe_output, stage_outputs
from lib.judge.bootstrap import score_table, scores_with_intervals
from lib.judge.leakage import load_oof_scores
from lib.models.member.card import read_card
from lib.show.html import table

start = time.perf_counter()
chosen_template = find_template(template) if template else None
chosen_roles = parse_roles(roles or "")
output = output_folder("05_blend", output_dir)
staged = stage_outputs(output)  # what is made below lies there until the last cell
print(f"output: {describe_output(output)}")
prepared = load_prepared(find_artifact("prepared", inputs_dir))
labels = prepared.labels
folders = by_name(find_artifacts("member", inputs_dir))
cards = {name: read_card(folder, prepared.classes) for name, folder in folders.items()}
parts = {
    name: load_oof_scores(folder, prepared.folds, related=prepared.related, others=folders)
    for name, folder in folders.items()
}
scored = scores_with_intervals(labels, parts)
best = max(parts, key=lambda name: scored[name].macro)
family = {name: card.family for name, card in cards.items()}
milliseconds = {name: 1000 * card.measured.seconds_per_soundscape for name, card in cards.items()}
table(score_table(scored, {"family": family, "ms per soundscape": milliseconds}))

# %% [markdown]
# ## Rank correlation of the members
# Two members with the same ranks add nothing to each other.

# %%
import pandas as pd

correlation = pd.DataFrame({name: part.values.ravel() for name, part in parts.items()}).corr("spearman")
table(correlation.rename_axis("member").reset_index())

# %% [markdown]
# ## Safe recipe: weights by lower bounds, no search
# Heads on one embedder are one vote group: any number of them shares one vote. The weights depend on the labels, so
# for the nested score they are refitted without each fold's.

# %%
from functools import partial

from lib.blend.member_costs import recipe_member
from lib.blend.recipe import Step
from lib.blend.search.nested import refit_without_each_fold, safe_recipe

steps = [Step("smooth_windows", {"sigma": sigma})]
steps += [Step("scale_by_file", {"top_windows": 2, "power": file_power})] if file_power else []
make_safe = partial(
    safe_recipe,
    parts=parts,
    vote_groups=[card.config["embedder"] if card.family == "head" else name for name, card in cards.items()],
    members=[recipe_member(card, folders[name]) for name, card in cards.items()],
    steps=steps,
    prior=prior,
    prepared=prepared,
)
safe, safe_by_fold = make_safe(labels), refit_without_each_fold(make_safe, labels)
table(pd.DataFrame(safe.weights.items(), columns=["member", "weight"]))

# %% [markdown]
# ## Bold recipe: nested search
# Weights of members, and the smoothing. The *optimism* is the part of the searched score that the held-out folds do
# not reproduce.

# %%
from dataclasses import replace

from lib.blend.search.nested import search
from lib.blend.search.space import SearchParameter, SearchSpace
from lib.show.blend import weights_by_fold

smoothing = SearchParameter("blend", "smooth_windows", "sigma", (0.0, 0.25, 0.5, 0.75, 1.0))
space = SearchSpace(replace(safe, name="bold"), "blend", (smoothing,))
found = search(space, parts, labels, method=method, seed=seed)
print(found)
weights_by_fold(found, list(parts))

# %% [markdown]
# Per-class weights, shrunk towards the common ones where a class has few positive windows, are kept only if they are
# surely better on folds that they were not fitted on.

# %%
from lib.blend.per_class.accept import stack
from lib.blend.per_class.fit import regression_fit
from lib.blend.search.nested import nested_scores
from lib.judge.metric import judge
from lib.show.blend import optimism_figure

per_class = regression_fit([[label] for label in labels.classes])
stacked = stack(per_class, found.recipe, "blend", parts, labels, plain=found.nested, by_fold=found.recipes)
print(f"weights by class: {stacked.verdict}")
kept = stacked if stacked.verdict.keep else found
bold, bold_scores, bold_by_fold = kept.recipe, kept.nested, kept.recipes
safe_scores = nested_scores(safe_by_fold, parts, labels)
optimism_figure({"bold": found}, {"safe": judge(labels, safe_scores).macro, best: scored[best].macro})

# %% [markdown]
# ## Ablation
# Left: members join in the order of the list, then the steps take effect. Right: the loss when one is left out of the
# whole recipe, each gain by choices that were made without the fold it is scored on.

# %%
from lib.blend.ablation import ablate
from lib.show.blend import waterfall

waterfall(ablate(bold, parts, labels, by_fold=bold_by_fold))

# %% [markdown]
# ## Sidecar: bounded corrections by class
# A member outside the blend may move the ranks of only those classes where that helped on other folds, within a
# budget. It joins the bold recipe only if the corrected blend is surely better. Each variant of bold has a gate of its
# own, fitted without that fold's labels too.

# %%
from IPython.display import display

from lib.blend.member_costs import used_members
from lib.blend.per_class.accept import decide_acceptance
from lib.blend.sidecar.apply import SidecarSettings
from lib.blend.sidecar.nested import nested_sidecar
from lib.show.blend import sidecar_gate_figure

unused = sorted(parts.keys() - used_members(bold) - {prior})
side = sidecar or min(unused, key=lambda name: correlation.loc[name, best], default=None)
print(f"members that bold does not use: {', '.join(unused) or 'none'}")
if side:
    corrected = nested_sidecar(bold, bold_by_fold, side, parts, labels, SidecarSettings())
    decision = decide_acceptance(labels, bold_scores, corrected.nested)
    opened = sum(bool(gate.weights) for gate in corrected.gates.values())
    print(f"{side}: {decision}; {opened} of the {len(corrected.gates)} variants' gates open a class or more")
    if decision.keep:
        bold, bold_by_fold = corrected.recipe, corrected.by_fold
    fold, gate = next(iter(corrected.gates.items()))
    display(sidecar_gate_figure(gate.table, f"{side}, the gate without fold {fold}"))

# %% [markdown]
# ## Template: a published blend
# Its published parts, our choices, and the member in each role. Its score is nested like bold's.

# %%
from lib.blend.templates.registry import template_table
from lib.blend.templates.roles import TemplateInputs, default_roles, make_mixes, template_recipe
from lib.competition.tables import Findings, read_taxonomy
from lib.core.paths import find_competition
from lib.models.embedder.card import classes_with_own_label

recipes = {"safe": (safe, safe_by_fold), "bold": (bold, bold_by_fold)}
if chosen_template:
    taxonomy = read_taxonomy(find_competition(competition_dir), prepared.classes, Findings())
    embedders = {folder.parents[1] / "embedders" for folder in folders.values()}
    packed = [folder for place in embedders if place.is_dir() for folder in sorted(place.iterdir())]
    template_inputs = TemplateInputs(taxonomy, labels, parts, classes_with_own_label(packed, prepared.classes))
    assignment = default_roles(chosen_template, list(cards.values())) | chosen_roles
    made = make_mixes(chosen_template, assignment, template_inputs)
    make_recipe = partial(
        template_recipe, template=chosen_template, roles=assignment, inputs=template_inputs, base=safe
    )
    by_fold = refit_without_each_fold(make_recipe, labels)
    recipes[template] = (replace(safe, name=template, mixes=made.mixes), by_fold)
    print(*made.left_out, sep="\n")
    display(table(pd.DataFrame(assignment.items(), columns=["role", "member"])))
    for role, gate in made.gates.items():
        display(sidecar_gate_figure(gate.table, f"{template}: {role} by {assignment[role]}"))
table(template_table()[lambda rows: rows.template == template] if template else template_table())

# %% [markdown]
# ## Out-of-fold ladder
# With the question that decides whether blending was worth it: is a recipe surely better than the best single member?
# Each recipe is scored as it is stored, every fold by the variant without its labels.
#
# A hidden test may show other gains. Here one model scores each row, that of the fold which holds it out; there a
# member is the mean of all its folds' models. A single member gains by that average too, some more than others, so that
# a blend's gain over it may shrink, vanish or grow. The page of `make ladder` has both side by side, where the hidden
# labels are known.

# %%
from lib.blend.ablation import member_values
from lib.blend.member_costs import drop_unused_members
from lib.blend.search.nested import variant_scores, with_fold_variants
from lib.show.plots import ladder

stored = {}
for name, (recipe, by_fold) in recipes.items():
    values = member_values(recipe, parts, labels, by_fold=by_fold)
    stored[name] = drop_unused_members(with_fold_variants(recipe, by_fold), values, {prior, best})
blended = {name: variant_scores(recipe, parts, labels) for name, recipe in stored.items()}
for name, scores in blended.items():
    print(f"out of fold, {name} against {best}: {decide_acceptance(labels, parts[best], scores)}")
scored |= scores_with_intervals(labels, blended)
ladder(score_table(scored))

# %% [markdown]
# ## Recipes
# Everything that changes a score is in these files. 06 executes one of them and decides only which of the optional
# members still fit the time, by their value per second. In some classes a member may have another weight.

# %%
from lib.blend.member_costs import class_weight_range
from lib.blend.recipe_file import save_recipe
from lib.core import fingerprint
from lib.core.paths import ledger_path
from lib.core.records import seal, to_json
from lib.judge.ledger import log_run

lines = []
for name, recipe in stored.items():
    recipe = replace(
        recipe,
        score=scored[name].macro,
        interval=[scored[name].low, scored[name].high],
        scored_classes=scored[name].classes,
    )
    save_recipe(staged / "recipes", recipe)
    log_run(
        ledger_path(output),
        f"how good is the {name} blend of {len(recipe.members)} members",
        scored[name],
        prepared,
        config=fingerprint.of_json(to_json(recipe.without_costs())),
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
            "weight by class": class_weight_range(recipe, member.name),
            "value": member.value,
            "required": member.required,
            "own ms": 1000 * member.seconds_per_soundscape,
            "shared ms": 1000 * sum(member.shared.values()),
        }
        for member in recipe.members
    ]
seal(staged / "recipes", "recipes")
table(pd.DataFrame(lines))

# %% [markdown]
# ## Output
# The recipes replace those of an earlier run now, all together; a run that fails above leaves these as they were.

# %%
from lib.core.staging import publish_outputs

print(*publish_outputs(staged), sep="\n")
