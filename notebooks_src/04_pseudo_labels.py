# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Pseudo-labels
#
# Members label the soundscapes that nobody listened to, and students learn from what passes a gate. Each fold's student
# is taught by its teachers' models of the same fold alone, so what the judge says of it is as honest as of any member.
# Beside it stands what a leak would have claimed: the same student, taught by all folds' models together.
#
# **Reads** the competition folder, `prepared/` and `members/*` (or `recipes/`). **Writes** what teachers said in
# `labels/`, and a folder a round in `members/`; what is no better than its control is told so, what is worse goes to
# `discarded/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/04_pseudo_labels
cache_dir: str = ""  # where decoded audio is kept; empty: Kaggle's temporary folder, or runs/audio
teachers: str = "small_sed"  # members, comma separated, each with a weight if wanted (a:2,b:1); or recipe:safe
control: str = ""  # the member that students are held against; empty: the first teacher
external_dir: str = ""  # a folder of other unlabelled recordings to learn from; empty: none
preset: str = "small_student"  # the student, by its name in lib/learn/network/presets.py
member: str = ""  # what students are called, the round's number behind; empty: as the preset
seed: int = 1  # of the student
rounds: int = 1  # at most; a round that is not surely better is the last
to_the_end: bool = False  # all rounds, whatever they bring
gate: str = ""  # none, absolute, percentile or top_k; empty (and below: empty or -1) leaves it to the preset
above: float = -1.0  # absolute: a class is heard where its chance is at least this
percentile: float = -1.0  # percentile: or where it is among the highest chances of that class
top_k: int = -1  # top_k: or among so many
by_taxon: str = ""  # taxa with gates of their own: name, equals sign, number or off; comma separated
targets: str = ""  # soft, hard, or argmax: one class a window
ratio: float = -1.0  # pseudo-labelled crops for each labelled soundscape's crop
way: str = ""  # rows, mixup or substitute
soft_loss: str = ""  # bce or kld
temperature: float = -1.0  # by which what teachers say is softened
soft_powers: str = "1.0,1.54,1.82,1.67"  # of their chances, a number a round
pseudo_weights: str = "1.0"  # of pseudo-labels in the loss, a number a round
student_shares: str = "0.5"  # from round 2 on: what the last student has to say in the labels, a number a round
claimed_folds: str = "0"  # folds on which the leaky twin is trained; empty: none
steps_per_epoch: int = -1  # batches a pass
also: str = (
    ""  # any other settings of lib/learn/network/config.py, comma separated, each a name, an equals sign and a value
)

# %% [markdown]
# ## Packages and inputs
# Wheels that Kaggle's image lacks, the tables and folds that 01 prepared, the members so far, and the student's plan.

# %%
from lib.core.wheels import ensure

print(ensure("onnxruntime", minimum="1.24"), ensure("onnx_ir"), ensure("onnxscript"), sep="\n")

# %%
import time
from pathlib import Path

import pandas as pd

from lib.blend.member_costs import recipe_member, seconds_together
from lib.blend.recipe import load_recipe
from lib.competition.prepared import load_prepared
from lib.competition.row_ids import parse_soundscape
from lib.competition.tables import Findings, read_taxonomy
from lib.core.paths import cache_folder, find_artifact, find_artifacts, find_competition, ledger_path, output_folder
from lib.judge.bootstrap import score_table, scores_with_intervals
from lib.judge.leakage import load_oof_scores
from lib.judge.ledger import log_run
from lib.judge.metric import judge
from lib.judge.subgroups import list_subgroups
from lib.learn.cache.audio import external_folder
from lib.learn.network.config import NetworkPlan, override, chosen, differences, parse_settings
from lib.learn.network.presets import find_preset
from lib.learn.soft_labels.gate import apply_gate as gate_of
from lib.learn.soft_labels.gate import gate_table
from lib.models.member.card import read_card
from lib.pseudo.external import external_soundscapes
from lib.pseudo.rounds import RoundContext, RoundSettings, gains_table, numbers, run_rounds
from lib.pseudo.student_gain import kept_table, teachers_scores
from lib.pseudo.teachers import parse_teachers
from lib.show.html import table
from lib.show.plots import site_hours
from lib.show.pseudo import cost_and_score, gains_by_round, kept_by_subgroup, label_gate_figure, review_label_gate
from lib.show.training import learning_curves

competition = find_competition(competition_dir)
output = output_folder("04_pseudo_labels", output_dir)
prepared_folder = find_artifact("prepared", inputs_dir)
prepared = load_prepared(prepared_folder)
folders = {folder.name: folder for folder in find_artifacts("member", inputs_dir) if output not in folder.parents}
taxa = tuple(read_taxonomy(competition, prepared.classes, Findings()).class_name)
plan = chosen(
    find_preset(preset),
    gate=gate,
    gate_threshold=above,
    percentile=percentile,
    top_k=top_k,
    by_taxon=by_taxon,
    targets=targets,
    pseudo_ratio=ratio,
    pseudo_mode=way,
    pseudo_loss=soft_loss,
    temperature=temperature,
    steps_per_epoch=steps_per_epoch,
)
plan = override(plan, **parse_settings(also))
print(f"competition: {competition}\nfolds:       {prepared.folds.version}\noutput:      {output}")
table(pd.DataFrame(differences(plan, NetworkPlan()).items(), columns=["setting", preset]))

# %% [markdown]
# ## Where nobody has listened
# Unlabelled sites are where a pseudo-label could add most, and where its teacher is least sure.

# %%
soundscapes = sorted((competition / "train_soundscapes").glob("*.ogg"))
labelled = set(prepared.windows.stem)
unlabelled = [parse_soundscape(path.stem) for path in soundscapes if path.stem not in labelled]
if external_dir:
    pieces = external_folder(cache_folder(output, cache_dir))
    soundscapes += external_soundscapes(Path(external_dir), pieces, competition)
print(f"{len(soundscapes)} soundscapes to be labelled, {len(labelled)} of them by people already")
site_hours([s.site for s in unlabelled], [s.hour for s in unlabelled], "unlabelled soundscapes by site and hour (UTC)")

# %% [markdown]
# ## Who teaches
# By what each knows out of fold. A recipe teaches each fold by the weights that it would have without that fold's
# labels.

# %%
teaching = parse_teachers(teachers, lambda name: load_recipe(find_artifact("recipes", inputs_dir) / f"{name}.json"))
control = control or teaching.members[0]
known = {
    name: load_oof_scores(folders[name], prepared.folds, related=prepared.related, others=folders)
    for name in dict.fromkeys([*teaching.members, control])
    if name in folders
}
pd.DataFrame(
    {"teacher": name, "weight": weight, "out of fold": judge(prepared.labels, known[name]).macro}
    for name, weight in teaching.weight_by_member.items()
    if name in known
).round(3)

# %%
school = RoundContext(
    prepared_folder, competition, output, cache_folder(output, cache_dir), folders, tuple(soundscapes), seed
)
name = member or preset
labels = school.labelled(teaching, f"{name}_r1", folders)

# %% [markdown]
# ## What passes the gate
# Windows of unlabelled soundscapes, by all folds' teachers together; each fold's student sees its own. Then a few to be
# heard, of the rarest classes: the surest that passed, and those that just did not.

# %%
rows = [n for n, stem in enumerate(labels.card.stems) if stem not in labelled]
chances, stems = labels.of_fold(None)[rows], [labels.card.stems[n] for n in rows]
cells = chances.reshape(-1, chances.shape[2])
gated = gate_of(cells, plan.gate, taxa)
label_gate_figure(gate_table(gated, cells, prepared.classes.labels, taxa))

# %%
review_label_gate(prepared, stems, chances, gated, school.audio_of)

# %% [markdown]
# ## Rounds
# Each student is held against its control on the same recordings. Where it is surely better it is kept, and teaches the
# next round; where it is not told from the control, rounds stop; what is surely worse is discarded.

# %%
settings = RoundSettings(
    rounds,
    numbers(soft_powers),
    numbers(pseudo_weights),
    numbers(student_shares),
    tuple(int(fold) for fold in numbers(claimed_folds)),
    to_the_end,
)
start, done, seconds_of = time.perf_counter(), [], []
for each in run_rounds(plan, teaching, control, name, settings, school):
    done.append(each)
    seconds_of.append(time.perf_counter() - start)
    start = time.perf_counter()
    print(f"R{each.number}: {each.verdict.word}. {each.verdict.why}")
    if each.twin:
        print(f"R{each.number}, fold {claimed_folds} alone: honest {each.twin[0]}; a leak would claim {each.twin[1]}")

# %% [markdown]
# The honest gain, and what a leak would have claimed: a twin that all folds' teachers taught, on the soundscapes that
# it is judged on too. Both on the twin's folds.

# %%
gains_by_round(gains_table(done))

# %%
measures = {"loss": "training loss", "soundscapes": "AUC, soundscapes held out", "clips": "AUC, clips held out"}
learning_curves(done[-1].fitted.history, measures)

# %% [markdown]
# ## What the student keeps
# Of what its teachers together gain over L1, part by part; and what each costs.

# %%
last = done[-1]
floor = next((name for name in ("l1_statistics", "l0_prior") if name in folders), control)
there = folders | {each.folder.name: each.folder for each in done}
everyone = {name: school.honest(folder, there) for name, folder in there.items()}
everyone["teachers"] = teachers_scores(teaching, {name: everyone[name] for name in teaching.members}, prepared.folds)
parts = list_subgroups(prepared, dict(zip(prepared.classes.labels, taxa, strict=True)))
kept = kept_table(prepared.labels, everyone[last.folder.name], everyone["teachers"], everyone[floor], parts)
kept_by_subgroup(kept)

# %%
scored = scores_with_intervals(prepared.labels, everyone)
alone = {name: [recipe_member(read_card(folder, prepared.classes), folder)] for name, folder in there.items()}
costs = {name: seconds_together(members) for name, members in alone.items()}
costs["teachers"] = seconds_together([member for name in teaching.members for member in alone[name]])
standing = score_table(scored, {"seconds": costs})
cost_and_score(standing[standing.seconds > 0.001])

# %%
table(kept.round(3))

# %% [markdown]
# ## The ledger

# %%
for each, seconds in zip(done, seconds_of, strict=True):
    card, student = each.fitted.card, each.folder.name
    log_run(
        ledger_path(output),
        f"does round {each.number} of pseudo-labels by {teachers} help {preset}",
        scored[student],
        prepared,
        config=card.config_fingerprint,
        seed=card.seed,
        seconds=seconds,
        tags=("student", student),
        verdict={"keep": "promote", "stop": "park", "discard": "kill"}[each.verdict.word],
    )
standing.assign(milliseconds=1000 * standing.seconds).drop(columns="seconds").round(3)
