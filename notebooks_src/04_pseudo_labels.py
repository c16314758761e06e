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
# Members (teachers) label the unlabelled soundscapes, and students are trained on what passes a gate. Each fold's
# student gets labels by its teachers' models of the same fold alone, so its out-of-fold score is as clean as any
# member's. On `leaky_folds`, if any are named, a leaky control is trained too: the same student, on labels by all
# folds' models together.
#
# **Reads** the competition folder, `prepared/` and `members/*` (or `recipes/`). **Writes** the teachers' predictions in
# `teacher_predictions/`, their blend in `labels/`, and a folder a round in `members/`; a student that is surely worse
# than its control goes to `discarded/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/04_pseudo_labels
cache_dir: str = ""  # where decoded audio is kept; empty: Kaggle's temporary folder, or runs/audio
teachers: str = "small_sed"  # members, comma separated, each with a weight if wanted (a:2,b:1); or recipe:safe
control = None  # type: str|None  # the member that students are compared with; None: the first teacher
external_dir = None  # type: str|None  # a folder of further unlabelled recordings
preset: str = "small_student"  # the student, of lib/learn/network/presets.py
# one of: small_sed, small_student, s0_b3, s0_b3_refined, s0_student, s0_convnext_small, s3, s4_pcen_convnext,
#   public_sed, public_sed_distilled, second_v2s, ninth_v2s
member = None  # type: str|None  # the students' name, before the round's number; None: as the preset
seed: int = 1  # of the student
rounds: int = 1  # at most so many, at least 1; a round that is not surely better is the last
to_the_end: bool = False  # run all rounds, whatever they bring
gate = None  # type: Literal["none","absolute","percentile","top_k"]|None  # None (and below): as in the preset
gate_threshold = None  # type: float|None  # absolute gate: a class is present where its probability is at least this
by_taxon = None  # type: str|None  # taxa with gates of their own: name, equals sign, number or off; comma separated
pseudo_mode = None  # type: Literal["rows","mixup","substitute"]|None  # how pseudo-labelled crops enter a batch
pseudo_ratio = None  # type: float|None  # pseudo-labelled crops for each labelled soundscape's crop
steps_per_epoch = None  # type: int|None  # batches a pass, at least 0: as many as show each clip
soft_powers: str = "1.0,1.54,1.82,1.67"  # of the teachers' probabilities, a number a round
pseudo_weights: str = "1.0"  # of pseudo-labels in the loss, a number a round
student_shares: str = "0.5"  # from round 2 on: the last student's share in the labels, a number a round
leaky_folds: str = "0"  # folds on which the leaky control is trained, comma separated; empty: none
overrides: str = ""  # further settings of lib/learn/network/config.py, comma separated: name, equals sign, value

# %% [markdown]
# ## Packages and inputs
# Wheels that Kaggle's image lacks, then the tables and folds of 01, the members, and the student's plan where it
# differs from the plainest one.

# %%
from lib.core.wheels import ensure

print(ensure("onnxruntime", minimum="1.24"), ensure("onnx_ir"), ensure("onnxscript"), sep="\n")

# %%
import pandas as pd

from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.core.paths import by_name, cache_folder, find_artifact, find_artifacts, find_competition, output_folder
from lib.core.staging import describe_output, stage_outputs
from lib.learn.network.config import NetworkPlan, differences
from lib.learn.network.presets import plan_network
from lib.show.html import table

competition = find_competition(competition_dir)
output = output_folder("04_pseudo_labels", output_dir)
staged = stage_outputs(output)  # what is made below lies there until the last cell
prepared_folder = find_artifact("prepared", inputs_dir)
prepared = load_prepared(prepared_folder)
folders = by_name(folder for folder in find_artifacts("member", inputs_dir) if output not in folder.parents)
taxa = tuple(read_taxonomy(competition, prepared.classes, Findings()).class_name)
plan = plan_network(
    preset,
    overrides,
    gate=gate,
    gate_threshold=gate_threshold,
    by_taxon=by_taxon,
    pseudo_mode=pseudo_mode,
    pseudo_ratio=pseudo_ratio,
    steps_per_epoch=steps_per_epoch,
)
print(f"competition: {competition}\nfolds:       {prepared.folds.version}\noutput:      {describe_output(output)}")
table(pd.DataFrame(differences(plan, NetworkPlan()).items(), columns=["setting", preset]))

# %% [markdown]
# ## Unlabelled soundscapes
# Unlabelled sites are where a pseudo-label could add most, and where its teacher is least sure.

# %%
from pathlib import Path

from lib.competition.row_ids import parse_soundscape
from lib.competition.sound_files import soundscape_files
from lib.learn.cache.audio import external_folder
from lib.pseudo.external import external_soundscapes
from lib.show.plots import site_hours

soundscapes = soundscape_files(competition, "train")
labelled = set(prepared.windows.stem)
unlabelled = [parse_soundscape(path.stem) for path in soundscapes if path.stem not in labelled]
if external_dir:
    pieces = external_folder(cache_folder(output, cache_dir))
    soundscapes += external_soundscapes(Path(external_dir), pieces, competition)
print(f"{len(soundscapes)} soundscapes get pseudo-labels, {len(labelled)} of them have labels by people")
site_hours([s.site for s in unlabelled], [s.hour for s in unlabelled], "unlabelled soundscapes by site and hour (UTC)")

# %% [markdown]
# ## Teachers
# Their weights and out-of-fold scores. A recipe labels each fold with the weights that it would have without that
# fold's labels.

# %%
from lib.blend.recipe_file import load_recipe
from lib.judge.leakage import load_oof_scores
from lib.judge.metric import judge
from lib.pseudo.teachers import parse_teachers

blend = parse_teachers(teachers, lambda name: load_recipe(find_artifact("recipes", inputs_dir) / f"{name}.json"))
control = control or blend.members[0]
oof = {
    name: load_oof_scores(folders[name], prepared.folds, related=prepared.related, others=folders)
    for name in dict.fromkeys([*blend.members, control])
    if name in folders
}
standing_teachers = [
    {"teacher": name, "weight": weight, "out of fold": judge(prepared.labels, oof[name]).macro}
    for name, weight in blend.weight_by_member.items()
    if name in oof
]
table(pd.DataFrame(standing_teachers))

# %%
from lib.pseudo.rounds import RoundContext

context = RoundContext(
    prepared_folder, competition, staged, cache_folder(output, cache_dir), folders, tuple(soundscapes), seed
)
name = member or preset
labels = context.label(blend, f"{name}_r1", folders)

# %% [markdown]
# ## Gate
# The windows of unlabelled soundscapes that pass it, by all folds' teachers together; each fold's student sees its own.
# Then a few to listen to, of the rarest classes: the surest that passed, and those that just did not.

# %%
from lib.learn.soft_labels.gate import apply_gate, gate_table
from lib.show.pseudo import show_label_gate

rows = [n for n, stem in enumerate(labels.card.stems) if stem not in labelled]
probabilities, stems = labels.of_fold(None)[rows], [labels.card.stems[n] for n in rows]
cells = probabilities.reshape(-1, probabilities.shape[2])
gated = apply_gate(cells, plan.gate, taxa)
show_label_gate(gate_table(gated, cells, prepared.classes.labels, taxa))

# %%
from lib.show.pseudo import review_label_gate

review_label_gate(prepared, stems, probabilities, gated, context.audio_of)

# %% [markdown]
# ## Rounds
# Each student is compared with its control on the same recordings. Where it is surely better it is kept, and labels for
# the next round; where the difference is not sure, rounds stop; one that is surely worse is discarded.

# %%
import time

from lib.pseudo.rounds import RoundSettings, gains_table, parse_numbers, run_rounds

settings = RoundSettings(
    rounds,
    parse_numbers(soft_powers),
    parse_numbers(pseudo_weights),
    parse_numbers(student_shares),
    tuple(int(fold) for fold in parse_numbers(leaky_folds)),
    to_the_end,
)
start, done, seconds_of = time.perf_counter(), [], []
for each in run_rounds(plan, blend, control, name, settings, context):
    done.append(each)
    seconds_of.append(time.perf_counter() - start)
    start = time.perf_counter()
    print(f"R{each.number}: {each.verdict.word}. {each.verdict.why}")
    if each.leaky_control:
        print(f"R{each.number}, folds {leaky_folds} alone: student {each.leaky_control.clean}")
        print(f"R{each.number}, folds {leaky_folds} alone: leaky control {each.leaky_control.leaky}")

# %% [markdown]
# ## Gains
# Over the control, a bar a round. Where leaky folds are named, both gains there: the student's, and what a leak would
# have gained, by a student trained on labels by all folds' teachers, on the soundscapes that it is judged on too.

# %%
from lib.show.pseudo import gains_by_round

print(f"leaky control on folds {leaky_folds}" if settings.leaky_folds else "no leaky control: leaky_folds names none")
gains_by_round(gains_table(done))

# %% [markdown]
# ## Training

# %%
from lib.show.training import learning_curves

measures = {"loss": "training loss", "soundscapes": "AUC, soundscapes held out", "clips": "AUC, clips held out"}
learning_curves(done[-1].trained.history, measures)

# %% [markdown]
# ## Share of the teachers' gain
# The share of the teachers' gain over the plainest member that the student keeps, by subgroup, where the teachers
# surely gain; and what each costs.

# %%
from lib.judge.subgroups import list_subgroups
from lib.pseudo.student_gain import gain_over, kept_in_words, kept_table, teachers_scores
from lib.show.pseudo import kept_by_subgroup

last = done[-1]
floor = next((name for name in ("l1_statistics", "l0_prior") if name in folders), control)
all_folders = folders | {each.folder.name: each.folder for each in done}
scores_of = {name: context.oof_scores(folder, all_folders) for name, folder in all_folders.items()}
scores_of["teachers"] = teachers_scores(blend, {name: scores_of[name] for name in blend.members}, prepared.folds)
parts = list_subgroups(prepared, dict(zip(prepared.classes.labels, taxa, strict=True)))
kept = kept_table(prepared.labels, scores_of[last.folder.name], scores_of["teachers"], scores_of[floor], parts)
print(f"teachers against {floor}: {gain_over(prepared.labels, scores_of[floor], scores_of['teachers'])}")
kept_by_subgroup(kept)

# %%
from lib.blend.costs import seconds_together
from lib.blend.member_costs import recipe_member
from lib.judge.bootstrap import score_table, scores_with_intervals
from lib.models.member.card import read_card
from lib.show.pseudo import cost_and_score

scored = scores_with_intervals(prepared.labels, scores_of)
alone = {name: [recipe_member(read_card(folder, prepared.classes), folder)] for name, folder in all_folders.items()}
costs = {name: seconds_together(members) for name, members in alone.items()}
costs["teachers"] = seconds_together([member for name in blend.members for member in alone[name]])
standing = score_table(scored, {"seconds": costs})
cost_and_score(standing[standing.seconds > 0.001])

# %%
table(kept.assign(kept=kept.kept.map(kept_in_words)))

# %% [markdown]
# ## Ledger
# One line a round.

# %%
from lib.core.paths import ledger_path
from lib.judge.ledger import log_run

for each, seconds in zip(done, seconds_of, strict=True):
    card, student = each.trained.card, each.folder.name
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
table(standing.assign(milliseconds=1000 * standing.seconds).drop(columns="seconds"))

# %% [markdown]
# ## Output
# Labels and students replace those of an earlier run now, all together; a run that fails above leaves these as they
# were.

# %%
from lib.core.staging import publish_outputs
from lib.pseudo.rounds import earlier_students

print(*publish_outputs(staged, retired=earlier_students(name, output)), sep="\n")
