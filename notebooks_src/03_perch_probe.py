# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Perch probe
#
# This notebook will probe frozen embedders (Perch v2, BirdNET): which block to tap, which head to put on it, and what
# each costs. **That is not built yet: it writes no member.** What it shows now is the material such heads would learn
# from, and which classes they could be told apart on by name.
#
# **Reads** the competition folder and `prepared/`. **Writes** nothing yet.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: look in every known place
inputs_dir: str = ""  # where 01's output lies; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/03_perch_probe

# %%
import pandas as pd

from lib.competition.findings import Findings
from lib.competition.places import find_competition, find_one
from lib.competition.prepared import load_prepared
from lib.competition.tables import read_taxonomy
from lib.show.figures import long_tail

competition = find_competition(competition_dir)
prepared = load_prepared(find_one("prepared", inputs_dir))
taxonomy = read_taxonomy(competition, prepared.classes, Findings())

# %% [markdown]
# ## Who could be known by name
# An embedder's own labels are matched by scientific name. Sonotypes have none, so nothing can be read off for them:
# their heads must learn from labelled windows alone.

# %%
clips = prepared.clips.primary_label.value_counts()
heard = pd.Series(prepared.labels.values.sum(axis=0), index=prepared.classes.labels)
taxonomy.assign(
    sonotype=taxonomy.primary_label.str.contains("son"),
    clips=taxonomy.primary_label.map(clips).fillna(0).astype(int),
    windows=taxonomy.primary_label.map(heard),
).groupby("class_name").agg(
    classes=("primary_label", "size"),
    sonotypes=("sonotype", "sum"),
    clips=("clips", "sum"),
    without_clips=("clips", lambda counts: (counts == 0).sum()),
    labelled_windows=("windows", "sum"),
    never_labelled=("windows", lambda counts: (counts == 0).sum()),
)

# %% [markdown]
# ## How much there is to learn from

# %%
long_tail(prepared, taxonomy)
