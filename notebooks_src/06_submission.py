# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Submission
#
# Executes a recipe: a processor, no internet, ninety minutes. A valid `submission.csv` exists after the first
# seconds, written from the prior; better ones replace it, each in one move. Time is planned for 75 minutes: optional
# members are dropped by the score they add for each second, never rows, and nothing is started after minute 85. The
# receipt says what ran, what was given up and why, how long it took, and what gave alarm.
#
# **Reads** the competition folder, `recipes/` and the members they name. **Writes** `submission.csv` and
# `receipt.json`.
#
# | what goes wrong | what happens |
# |---|---|
# | a file that cannot be read | its rows take the prior's ranks, with an alarm |
# | a file too short, too long, of another rate, in stereo | repeated, cut, resampled, averaged: always twelve windows |
# | a member absent, damaged or not the recipe's own | required: an error before any row; optional: left out, alarm |
# | a member that raises, or gives NaN or a wrong shape | asked again; then optional: dropped for all rows, alarm |
# | the same of a required member | those rows take the prior's ranks, alarm; over 5 % of the files: an error |
# | too little time | optional members dropped for all rows; what the guard cuts off takes the prior's ranks |
# | too little memory | half as many files at once; a file that meets it twice takes the prior's ranks, alarm |
# | a folder that cannot be written to | an error before the first file is listened to |
# | a class with the same score everywhere | written, with an alarm that names it |
# | a sidecar that breaks its guard | the anchor stays, alarm |

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/06_submission
recipe_name: str = "safe"  # which recipe to execute: safe or bold
runtime: str = "onnxruntime"  # or "openvino": networks in bfloat16, where it is installed and ranks alike
rehearsal_soundscapes: int = 8  # training soundscapes to listen to where the test folder is empty

# %% [markdown]
# ## Packages and inputs
# The clock starts here. Wheels that Kaggle's image lacks, and the competition folder.

# %%
from lib.core.wheels import ensure
from lib.submit.budget import CONTEST_SOUNDSCAPES, Clock

clock = Clock()
with clock.stage("wheels"):
    print(ensure("onnxruntime", minimum="1.24"))
    if runtime == "openvino":
        print(ensure("openvino"))

# %%
from os import cpu_count

import pandas as pd

from lib.blend.recipe import load_recipe
from lib.competition.classes import read_class_list
from lib.competition.row_ids import row_ids
from lib.core.paths import find_competition, find_artifacts, find_artifact, output_folder
from lib.core.records import check_seal, to_json, write_json
from lib.models.runtime.choose import choose_runtime
from lib.submit.budget import make_plan, plan_table, planned_costs
from lib.submit.engine import execute, open_members, prior_scores
from lib.submit.receipt import contest_plan, make_receipt, describe_inputs, versions
from lib.submit.rows import required_rows
from lib.submit.stream import score_soundscapes
from lib.submit.writer import write_submission

competition = find_competition(competition_dir)
output = output_folder("06_submission", output_dir)
print(f"competition: {competition}\noutput:      {output}\nversions:    {versions()}")

# %% [markdown]
# ## What is asked, and who answers
# Rows come from the test files and are checked against the sample. Members must be the very ones the recipe was made
# with.

# %%
with clock.stage("opening"):
    classes = read_class_list(competition)
    required = required_rows(competition)
    recipes = find_artifact("recipes", inputs_dir)
    recipes_manifest = check_seal(recipes)
    recipe = load_recipe(recipes / f"{recipe_name}.json")
    folders = {folder.name: folder for folder in find_artifacts("member", inputs_dir)}
    opened = open_members(recipe, list(folders.values()), classes)
    inputs = describe_inputs(competition, recipes, recipes_manifest, opened.usable_recipe, folders)
for name, found in inputs.items():
    print(f"{name}: {found['path']}, manifest {found['manifest']}")
for alarm in opened.alarms:
    print(f"ALARM: {alarm}")
print(f"mode: {required.mode}, {len(required.soundscapes)} test soundscapes, {len(required.row_ids)} rows")

# %% [markdown]
# ## First, something valid
# The prior needs only file names, so whatever happens below, there is a submission.

# %%
prior = opened.members[recipe.prior]
with clock.stage("first submission"):
    scores = prior_scores(required.row_ids, prior, classes)
    submission = write_submission(output / "submission.csv", scores, required.row_ids, classes)

# %% [markdown]
# ## The plan
# By the costs in the recipe, which were measured elsewhere. Nobody is dropped on paper: the first soundscapes result
# here correct it.

# %%
listeners, planned = opened.usable_recipe.members, planned_costs(opened.usable_recipe.members)
workers = cpu_count()
paper = make_plan(listeners, planned, soundscapes=CONTEST_SOUNDSCAPES, workers=workers, minutes=clock.minutes)
print(f"{CONTEST_SOUNDSCAPES} soundscapes, {workers} at once: listening would end at minute {paper.end_minutes:.1f}")
plan_table(listeners, planned, paper, workers).round(4)

# %% [markdown]
# ## Then, listening
# Where the test folder is empty, as in every run before the scored one, training soundscapes stand in to measure the
# time; their scores are thrown away and the prior's submission stays.

# %%
stand_ins = sorted((competition / "train_soundscapes").glob("*.ogg"))[:rehearsal_soundscapes]
soundscapes = required.soundscapes if required.mode == "rerun" else stand_ins
all_rows = [row for soundscape in soundscapes for row in row_ids(soundscape.stem)]
with clock.stage("settling the runtime"):
    runtimes = choose_runtime(runtime, opened.members, soundscapes)
print(runtimes)


def keep(result):
    """Write what there is by now; the fingerprint of the file."""
    made = execute(opened.usable_recipe, result).scores
    return write_submission(output / "submission.csv", made, required.row_ids, classes)


with clock.stage("scoring"):
    by_name = prior_scores(all_rows, prior, classes)
    better = keep if required.mode == "rerun" else None
    result = score_soundscapes(soundscapes, opened.members, listeners, by_name, clock, better)

# %%
with clock.stage("blending and writing"):
    outcome = execute(opened.usable_recipe, result)
    if required.mode == "rerun":
        scores = outcome.scores
        submission = write_submission(output / "submission.csv", scores, required.row_ids, classes)

# %% [markdown]
# ## The plan, as measured here
# For the contest's 600 soundscapes, by the members that listened to the end.

# %%
contest, left = contest_plan(opened, result, clock), [member for member in listeners if member.name in result.member_scores]
print(f"{CONTEST_SOUNDSCAPES} soundscapes, {result.workers} at once: the end at minute {contest.end_minutes:.1f}")
plan_table(left, result.meter.costs(), contest, result.workers).round(4)

# %% [markdown]
# ## The receipt

# %%
alarms = [*required.alarms, *opened.alarms, *result.alarms, *outcome.alarms]
receipt = make_receipt(required, opened, inputs, submission, clock, result, scores, alarms, runtimes)
write_json(output / "receipt.json", to_json(receipt))
for alarm in alarms:
    print(f"ALARM: {alarm}")
minutes = receipt.projected_minutes_600
print(f"{receipt.seconds_per_soundscape:.3f} s a soundscape; 600 would take {minutes:.1f} of 90 minutes")
print(f"{receipt.scored} of {receipt.soundscapes} soundscapes heard, {receipt.workers} at once, {receipt.thread_utilization:.0%} busy")
print(f"at most {receipt.peak_memory_mib:.0f} MiB")
pd.DataFrame([to_json(line) for line in receipt.members]).round(4)

# %%
pd.read_csv(output / "submission.csv").iloc[:5, :6]
