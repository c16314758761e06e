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
# verdict comes right after the scoring; the receipt holds what ran, what was given up and why, and how long it took.
#
# **Reads** the competition folder, `recipes/` and the members they name. **Writes** `submission.csv` and
# `receipt.json`.
#
# | what goes wrong | what happens |
# |---|---|
# | a file that cannot be read | its rows take the prior's ranks, with an alarm |
# | a file that lost pages, or is not a minute long | scored, with silence in their place, or repeated or cut; alarm |
# | a file too short, too long, of another rate, in stereo | repeated, cut, resampled, averaged: always twelve windows |
# | a member absent, damaged or not the recipe's own | required: an error; optional: left out, with an alarm |
# | foreign folders, manifests and wheels among the inputs | nobody's: neither read on nor installed |
# | a member that raises, or gives NaN or a wrong shape | tried again; then optional: dropped for all rows, alarm |
# | a member that hangs: a minute and twenty times as long as usual | the same; another thread takes its place |
# | a required member, or all, fail on a file | its rows take the prior's ranks, alarm; over 5 % of files: an error |
# | too little time | optional members dropped for all rows; what the guard cuts off takes the prior's ranks |
# | too little memory | half as many files at once for a while; a file that meets it twice: the prior's ranks, alarm |
# | a folder that cannot be written to | an error before the first file is scored |
# | a class with the same score everywhere | written, with an alarm that names it |
# | a sidecar that breaks its guard | the anchor stays, alarm |
# | receipt, verdict, spectrogram or a table cannot be made | one line says so; the submission is already written |

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: look in every known place
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/06_submission
recipe_name: str = "safe"  # which recipe to execute: safe, bold, or the name of a template that 05 was given
runtime = "onnxruntime"  # type: Literal["onnxruntime","openvino"]  # openvino: networks in bfloat16 if it ranks alike
rehearsal_soundscapes: int = 8  # training soundscapes to score where the test folder is empty, at least 1

# %% [markdown]
# ## Scoring
# The clock starts here. Rows come from the test files and are checked against the sample. The first submission needs
# the prior and file names only: whatever happens later, there is one. Then the recipe is tried out on made-up scores,
# and its other members are opened one by one: each must be the very one it was made with.

# %%
from lib.core.wheels import ensure
from lib.submit.budget import Clock

clock = Clock()
with clock.stage("wheels"):
    print(ensure("onnxruntime", minimum="1.24"))
    if runtime == "openvino":
        print(ensure("openvino"))

# %%
from lib.blend.recipe_file import load_recipe
from lib.competition.classes import read_class_list
from lib.core.paths import find_artifact, find_competition, find_named, output_folder
from lib.core.records import check_seal
from lib.core.staging import describe_output
from lib.submit.engine import open_members, open_prior, prior_scores
from lib.submit.receipt import describe_inputs, versions
from lib.submit.rows import required_rows
from lib.submit.writer import write_submission

competition = find_competition(competition_dir)
output = output_folder("06_submission", output_dir)
print(f"competition: {competition}\noutput:      {describe_output(output)}\nversions:    {versions()}")
with clock.stage("first submission"):
    classes = read_class_list(competition)
    required = required_rows(competition)
    recipes = find_artifact("recipes", inputs_dir)
    recipes_manifest = check_seal(recipes)
    recipe = load_recipe(recipes / f"{recipe_name}.json")
    folders = find_named([member.name for member in recipe.members], inputs_dir)
    prior = open_prior(recipe, folders, classes)
    scores = prior_scores(required.row_ids, prior, classes)
    submission = write_submission(output / "submission.csv", scores, required.row_ids, classes)
print(f"mode: {required.mode}, {len(required.soundscapes)} test soundscapes, {len(required.row_ids)} rows")

# %%
with clock.stage("opening"):
    opened = open_members(recipe, folders, classes)
    inputs = describe_inputs(competition, recipes, recipes_manifest, opened)
for name, found in inputs.items():
    print(f"{name}: {found['path']}, manifest {found['manifest']}")
for alarm in opened.alarms:
    print(f"ALARM: {alarm}")

# %% [markdown]
# Where the test folder is empty, as in every run before the scored one, training soundscapes take its place to measure
# the time; their scores are discarded and the prior's submission stays.

# %%
from lib.competition.row_ids import row_ids
from lib.competition.sound_files import soundscape_files
from lib.core.records import to_json, write_json
from lib.models.runtime.choose import choose_runtime
from lib.submit.engine import execute
from lib.submit.never_fails import never_fails
from lib.submit.receipt import make_receipt
from lib.submit.stream import score_soundscapes

rehearsal = soundscape_files(competition, "train")[:rehearsal_soundscapes]
soundscapes = required.soundscapes if required.mode == "rerun" else rehearsal
with clock.stage("choosing the runtime"):
    runtimes = choose_runtime(runtime, opened.members, soundscapes)
print(runtimes)


def save_partial(result):
    """Write the submission of what is scored so far; the fingerprint of the file."""
    blended = execute(opened.usable_recipe, result).scores
    return write_submission(output / "submission.csv", blended, required.row_ids, classes)


with clock.stage("scoring"):
    rows = [row for soundscape in soundscapes for row in row_ids(soundscape.stem)]
    result = score_soundscapes(
        soundscapes,
        opened.members,
        opened.usable_recipe.members,
        prior_scores(rows, prior, classes),
        clock,
        save_partial if required.mode == "rerun" else None,
    )
with clock.stage("blending and writing"):
    blend = execute(opened.usable_recipe, result)
    if required.mode == "rerun":
        scores = blend.scores
        submission = write_submission(output / "submission.csv", scores, required.row_ids, classes)

# %% [markdown]
# The submission is written. Whatever goes wrong from here on is printed and costs nothing.


# %%
@never_fails
def receipt_file():
    """Write the receipt and return it."""
    alarms = [*required.alarms, *opened.alarms, *result.alarms, *blend.alarms]
    receipt = make_receipt(required, opened, inputs, submission, clock, result, scores, alarms, runtimes)
    write_json(output / "receipt.json", to_json(receipt))
    return receipt


receipt = receipt_file()

# %% [markdown]
# ## Verdict

# %%
from lib.submit.receipt import summarise


@never_fails
def verdict():
    print(summarise(receipt))


verdict()

# %% [markdown]
# One window of the first scored soundscape, the one with the highest probability, and its five likeliest species by
# the weighted mean of the members.

# %%
from lib.submit.preview import preview_window


@never_fails
def spectrogram():
    return preview_window(result, recipe, {file.stem: file for file in soundscapes}, competition)


spectrogram()

# %% [markdown]
# ## Receipt
# Each member's weight and seconds a soundscape, planned and measured. An embedder's stand apart, in the line of each
# member that shares them: they are spent once.

# %%
import pandas as pd

from lib.core.cells import text_table
from lib.submit.receipt import member_table


@never_fails
def members_and_alarms():
    print(f"{receipt.scored} of {receipt.soundscapes} soundscapes scored, {receipt.workers} at once")
    print(f"threads busy {receipt.thread_utilization:.0%} of the time; at most {receipt.peak_memory_mib:.0f} MiB")
    print(*(receipt.alarms or ["no alarms"]), sep="\n")
    return member_table(receipt)


members_and_alarms()


# %%
@never_fails
def first_rows():
    return pd.read_csv(output / "submission.csv").iloc[:5, :6]


first_rows()

# %% [markdown]
# ## Time plan
# First by the costs in the recipe, which were measured elsewhere; no member is dropped by these, the first soundscapes
# scored here correct them.

# %%
from os import cpu_count

from lib.blend.costs import planned_costs
from lib.submit.budget import CONTEST_SOUNDSCAPES, make_plan, plan_table


@never_fails
def plan_on_paper():
    members, workers = opened.usable_recipe.members, cpu_count()
    before_s = sum(s for stage, s in clock.stages.items() if stage not in ("scoring", "blending and writing"))
    costs = planned_costs(members)
    plan = make_plan(members, costs, soundscapes=CONTEST_SOUNDSCAPES, workers=workers, minutes=before_s / 60)
    print(f"{CONTEST_SOUNDSCAPES} soundscapes, {workers} at once: scoring would end at minute {plan.end_minutes:.1f}")
    return text_table(plan_table(members, costs, plan, workers))


plan_on_paper()

# %% [markdown]
# The plan by the costs measured here, for the contest's 600 soundscapes and the members kept to the end.

# %%
from lib.submit.receipt import contest_plan


@never_fails
def plan_as_measured():
    contest = contest_plan(opened, result, clock)
    kept = [member for member in opened.usable_recipe.members if member.name in result.member_scores]
    print(f"{CONTEST_SOUNDSCAPES} soundscapes, {result.workers} at once: the end at minute {contest.end_minutes:.1f}")
    return text_table(plan_table(kept, result.meter.costs(), contest, result.workers))


plan_as_measured()
