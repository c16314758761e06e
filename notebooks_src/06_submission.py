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
# seconds, written from the prior; the blend replaces it in one move. The receipt says what ran, how long it took, and
# what gave alarm.
#
# **Reads** the competition folder, `recipes/` and the members they name. **Writes** `submission.csv` and
# `receipt.json`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: look in every known place
inputs_dir: str = ""  # where earlier outputs lie; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/06_submission
recipe_name: str = "safe"  # which recipe to execute: safe or bold
rehearsal_soundscapes: int = 8  # training soundscapes to listen to where the test folder is empty

# %%
from lib.competition.wheels import ensure
from lib.submit.clock import Clock

clock = Clock()
with clock.stage("wheels"):
    print(ensure("onnxruntime", minimum="1.24"))

# %%
import pandas as pd

from lib.blend.recipe import load_recipe
from lib.competition.classes import read_class_list
from lib.competition.places import find_competition, find_made, find_one, output_folder
from lib.competition.records import check_seal, to_json, write_json
from lib.submit.engine import execute, listen, open_members, prior_scores
from lib.submit.receipt import make_receipt, named_inputs, versions
from lib.submit.rows import asked_rows
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
    asked = asked_rows(competition)
    recipes = find_one("recipes", inputs_dir)
    recipes_manifest = check_seal(recipes)
    recipe = load_recipe(recipes / f"{recipe_name}.json")
    folders = {folder.name: folder for folder in find_made("member", inputs_dir)}
    members = open_members(recipe, list(folders.values()), classes)
    inputs = named_inputs(competition, recipes, recipes_manifest, recipe, folders)
for name, found in inputs.items():
    print(f"{name}: {found['path']}, manifest {found['manifest']}")
print(f"mode: {asked.mode}, {len(asked.soundscapes)} test soundscapes, {len(asked.row_ids)} rows")
pd.DataFrame(
    {"member": m.name, "weight": m.weight, "s per soundscape": m.seconds_per_soundscape} for m in recipe.members
)

# %% [markdown]
# ## First, something valid
# The prior needs only file names, so whatever happens below, there is a submission.

# %%
with clock.stage("first submission"):
    scores = prior_scores(asked.row_ids, members[recipe.prior], classes)
    submission = write_submission(output / "submission.csv", scores, asked.row_ids, classes)

# %% [markdown]
# ## Then, listening
# Where the test folder is empty, as in every run before the scored one, training soundscapes stand in to measure the
# time; their scores are thrown away and the prior's submission stays.

# %%
stand_ins = sorted((competition / "train_soundscapes").glob("*.ogg"))[:rehearsal_soundscapes]
soundscapes = asked.soundscapes if asked.mode == "rerun" else stand_ins
with clock.stage("listening"):
    heard = listen(soundscapes, members, recipe.prior, classes)

# %%
with clock.stage("blending and writing"):
    blended = execute(recipe, heard)
    if asked.mode == "rerun":
        scores = blended
        submission = write_submission(output / "submission.csv", scores, asked.row_ids, classes)

# %% [markdown]
# ## The receipt

# %%
alarms = [*asked.alarms, *heard.alarms]
receipt = make_receipt(asked, recipe, inputs, submission, clock, len(soundscapes), scores, alarms)
write_json(output / "receipt.json", to_json(receipt))
for alarm in alarms:
    print(f"ALARM: {alarm}")
minutes = receipt.projected_minutes_600
print(f"{receipt.seconds_per_soundscape:.3f} s a soundscape; 600 would take {minutes:.1f} of 90 minutes")
pd.read_csv(output / "submission.csv").iloc[:5, :6]
