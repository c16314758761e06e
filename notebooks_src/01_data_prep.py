# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Data preparation
#
# The contest's tables and sounds are read once, checked, and repaired where the repair is certain. What comes out is
# the folder `prepared/`: clean clips, labelled windows, frozen folds. Every later notebook starts from it and from
# nothing else.
#
# **Reads** the competition folder. **Writes** `prepared/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: look in every known place
inputs_dir: str = ""  # unused here: this is the first notebook
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/01_data_prep
n_folds: int = 5  # folds of the primary split
seed: int = 2026  # breaks ties in the assignment of groups to folds

# %%
from lib.competition.classes import read_class_list
from lib.competition.findings import Findings
from lib.competition.folds import make_folds
from lib.competition.places import find_competition, output_folder
from lib.competition.prepared import data_version, load_prepared, save_prepared
from lib.competition.tables import read_clips, read_taxonomy, read_windows
from lib.show.figures import fold_coverage, long_tail, minute, site_hours
from lib.sound.decode import decode
from lib.sound.inventory import report_inventory, report_lengths, take_inventory

competition = find_competition(competition_dir)
output = output_folder("01_data_prep", output_dir)
print(f"competition: {competition}\noutput:      {output}")

# %% [markdown]
# ## The tables
# Labels are text, always: half of them look like numbers. The labels of the soundscapes stand in the file twice; a
# window that is absent from it is *unlabelled*, never negative.

# %%
findings = Findings()
classes = read_class_list(competition)
taxonomy = read_taxonomy(competition, classes, findings)
clips = read_clips(competition, classes, findings)
windows = read_windows(competition, classes, findings)
taxonomy.groupby("class_name").size().rename("classes").to_frame().T

# %% [markdown]
# ## The sounds
# Each file is decoded once. What cannot be read is excluded by name, here, and not met by surprise in the middle of
# training.

# %%
clip_sounds = take_inventory(competition / "train_audio", clips.filename.tolist(), "train_audio")
report_inventory("train_audio", clip_sounds, findings)
soundscapes = sorted(path.name for path in (competition / "train_soundscapes").glob("*.ogg"))
soundscape_sounds = take_inventory(competition / "train_soundscapes", soundscapes, "train_soundscapes")
report_inventory("train_soundscapes", soundscape_sounds, findings)
report_lengths("train_soundscapes", soundscape_sounds, findings)
soundscape_sounds.describe().loc[["count", "mean", "min", "max"]].round(3)

# %%
usable_clips = set(clip_sounds.name[clip_sounds.problem == ""])
usable_soundscapes = {name.removesuffix(".ogg") for name in soundscape_sounds.name[soundscape_sounds.problem == ""]}
findings.add("train_soundscapes_labels.csv", "labelled windows without usable sound",
             windows.row_id[~windows.stem.isin(usable_soundscapes)].tolist(), "excluded")  # fmt: skip
clips = clips[clips.filename.isin(usable_clips)].reset_index(drop=True)
windows = windows[windows.stem.isin(usable_soundscapes)].reset_index(drop=True)
clips = clips.merge(clip_sounds[["name", "seconds"]], left_on="filename", right_on="name").drop(columns="name")
print(f"{len(clips)} clips, {len(windows)} labelled windows of {windows.stem.nunique()} soundscapes")

# %% [markdown]
# ## What was found, and what was done about it

# %%
findings.frame().to_csv(output / "findings.csv", index=False)
findings.frame()

# %% [markdown]
# ## Folds, frozen
# Soundscapes of one site and day stay together, clips of one author stay together, and rare classes are spread first.

# %%
folds = make_folds(clips, windows, classes, n_folds=n_folds, seed=seed)
save_prepared(output / "prepared", classes, clips, windows, folds, data_version=data_version(competition), seed=seed)
prepared = load_prepared(output / "prepared")
print(f"classes {prepared.classes.hash}, data {prepared.facts.data_version}, folds {prepared.folds.version}")
fold_coverage(prepared)

# %% [markdown]
# ## What the data looks like
# The tail is long on both sides, and the classes with most clips are not the ones heard most in the soundscapes.

# %%
long_tail(prepared, taxonomy)

# %%
per_file = windows.drop_duplicates("stem")
site_hours(per_file.site.tolist(), per_file.hour.tolist(), "labelled soundscapes by site and hour (UTC)")

# %%
stem = windows.groupby("stem").size().idxmax()
labels = [(row.end_s, ";".join(row.labels)) for row in windows[windows.stem == stem].itertuples()]
minute(decode(competition / "train_soundscapes" / f"{stem}.ogg"), labels, stem)
