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
# the folder `prepared/`: clean clips, labelled windows, frozen folds, and the QA table that says what was left out.
# Every later notebook starts from it. The page is also the data memo: read it before modelling.
#
# **Reads** the competition folder. **Writes** `prepared/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: look in every known place
inputs_dir: str = ""  # unused here: this is the first notebook
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/01_data_prep
n_folds: int = 5  # folds of the primary split
seed: int = 2026  # breaks ties in the assignment of groups to folds
planted_copies: int = 8  # clips that are copied in several ways, to see how many copies the echoprints find

# %% [markdown]
# ## Inputs
# The competition folder, and the folder that this run writes to.

# %%
from lib.competition.classes import read_class_list
from lib.competition.eda.columns import metadata_roles
from lib.competition.eda.overview import class_overview, cooccurring_pairs, file_inventory, label_sources, site_table
from lib.competition.eda.risks import risks
from lib.competition.folds import make_folds
from lib.competition.prepared import data_version, load_prepared, save_prepared
from lib.competition.qa import (
    cluster_sizes,
    drop_excluded,
    mirror_groups,
    pairs_across_folds,
    qa_summary,
    related_pairs,
    report_qa,
)
from lib.competition.row_ids import parse_soundscape
from lib.competition.tables import Findings, read_clips, read_taxonomy, read_windows
from lib.core.paths import find_competition, output_folder
from lib.show.eda import (
    activity,
    cooccurrence_matrix,
    duplicates_figure,
    durations,
    example_of_each_taxon,
    labelled_minute,
    quality,
    review_gallery,
)
from lib.show.html import table
from lib.show.plots import fold_coverage, long_tail, site_hours
from lib.sound.duplicates.recall_check import sampled_recall_table
from lib.sound.quality.report import audit, sound_loader
from lib.sound.quality.scan import report_inventory, report_lengths, take_inventory

competition = find_competition(competition_dir)
output = output_folder("01_data_prep", output_dir)
print(f"competition: {competition}\noutput:      {output}")

# %% [markdown]
# ## The tables
# Labels are text, even where they look like numbers. Rows that repeat others are dropped. A window that is absent from
# the labels of the soundscapes is *unlabelled*, never negative.

# %%
findings = Findings()
classes = read_class_list(competition)
taxonomy = read_taxonomy(competition, classes, findings)
clips = read_clips(competition, classes, findings)
windows = read_windows(competition, classes, findings)
table(taxonomy.groupby("class_name").size().rename("classes").to_frame().T)

# %% [markdown]
# ## The sounds
# Each file is decoded once: measured, hashed, and given an echoprint that will know its copies.

# %%
clip_sounds = take_inventory(competition / "train_audio", clips.filename.tolist(), "train_audio")
report_inventory("train_audio", clip_sounds, findings)
soundscapes = sorted(path.name for path in (competition / "train_soundscapes").glob("*.ogg"))
soundscape_sounds = take_inventory(competition / "train_soundscapes", soundscapes, "train_soundscapes")
report_inventory("train_soundscapes", soundscape_sounds, findings)
report_lengths("train_soundscapes", soundscape_sounds, findings)
hours = {"train_audio": clip_sounds.seconds.sum() / 3600, "train_soundscapes": soundscape_sounds.seconds.sum() / 3600}
table(file_inventory(competition, hours))

# %% [markdown]
# ## Quality assurance
# One table says what is wrong with which item, which function found it, and what is done: `exclude`, `group` (both
# copies in one fold), `review` (a person should look), `none`. Nothing is left out but through this table. It travels
# in `prepared/qa.csv`.

# %%
qa = audit(competition, classes, taxonomy, clips, windows, clip_sounds, soundscape_sounds)
clips, windows = drop_excluded(clips, windows, qa, findings)
report_qa(qa, findings)
clips = clips.merge(clip_sounds[["name", "seconds", "rms"]], left_on="filename", right_on="name").drop(columns="name")
print(f"{len(clips)} clips, {len(windows)} labelled windows of {windows.stem.nunique()} soundscapes are left")
table(qa_summary(qa))

# %% [markdown]
# Do the echoprints deserve trust? Copies are made on purpose and hidden among (up to 500) clips of this very data;
# beside them, how alike the waveforms of the near copies are that were found in the data itself.

# %%
sound = sound_loader(competition)
trial = sampled_recall_table(
    clip_sounds[clip_sounds.name.isin(clips.filename)], sound, planted_copies, related_pairs(qa)
)
duplicates_figure(qa[qa.check == "near copy"], cluster_sizes(related_pairs(qa)), trial)

# %% [markdown]
# ## Folds, frozen
# Soundscapes of one site and day stay together, clips of one author stay together, copies of one recording share a
# fold, and rare classes are spread first. The table says how many classes of each animal class a fold can judge.

# %%
by_author = make_folds(clips, windows, classes, n_folds=n_folds, seed=seed)
folds = make_folds(clips, windows, classes, n_folds=n_folds, seed=seed, related=related_pairs(qa))
version = data_version(competition)
save_prepared(output / "prepared", classes, clips, windows, folds, qa=qa, data_version=version, seed=seed)
prepared = load_prepared(output / "prepared")
for name, made in (("authors and days alone", by_author), ("copies together too", prepared.folds)):
    split = pairs_across_folds(related_pairs(qa), {**made.of("clip"), **made.of("soundscape")})
    print(f"{name}: {len(split)} of {len(related_pairs(qa))} pairs of copies lie in two folds")
print(f"classes {prepared.classes.hash}, data {prepared.facts.data_version}, folds {prepared.folds.version}")
fold_coverage(prepared)

# %%
table(label_sources(prepared, taxonomy))

# %% [markdown]
# ## What each column is for
# A *feature* may be fed to a model, a *split key* decides what is held out together, a *leakage risk* tells a model
# the answer by another way than sound. How much a column alone tells of the label is measured: the commonest label of
# the other clips with its value is the guess.

# %%
table(metadata_roles(competition, clips, windows))

# %% [markdown]
# ## The long tail, lengths and quality
# Both skylines keep the order of the upper one: where the lower does not fall with it, clips and soundscapes disagree
# on what is common. The table has each class, most labelled windows first.

# %%
long_tail(prepared, taxonomy)

# %%
table(class_overview(prepared, taxonomy))

# %%
durations(clips)

# %%
quality(clips, clip_sounds, soundscape_sounds)

# %% [markdown]
# ## When, where, and with whom
# First the soundscapes with labels, then those without, then both counted by site: the risk list below names the hours
# and sites that nobody labelled. After that what the labels say: how much is heard when, and which classes keep
# company.

# %%
per_file = windows.drop_duplicates("stem")
site_hours(per_file.site.tolist(), per_file.hour.tolist(), "labelled soundscapes by site and hour (UTC)")

# %%
others = [parse_soundscape(name) for name in soundscapes if name.removesuffix(".ogg") not in set(windows.stem)]
site_hours([s.site for s in others], [s.hour for s in others], "unlabelled soundscapes by site and hour (UTC)")

# %%
table(site_table(windows, soundscapes))

# %%
activity(windows, taxonomy)

# %%
cooccurrence_matrix(prepared.labels, taxonomy, mirror_groups(prepared.labels))

# %%
table(cooccurring_pairs(prepared.labels, taxonomy.set_index("primary_label").common_name, 12))

# %% [markdown]
# ## Look and listen
# One clip of each animal class, the best rated of its commonest class, in four standard views. The band levels are the
# SNR proxy: how many dB the loud frames of a band lie above its quiet ones.

# %%
example_of_each_taxon(clips, taxonomy, sound)

# %% [markdown]
# A minute as the submission sees it: twelve windows. The first is the soundscape with most labels, the second one with
# fewest. A click on a window plays it.

# %%
usable = soundscape_sounds.name[soundscape_sounds.problem == ""].str.removesuffix(".ogg")
voices = windows.labels.str.len().groupby(windows.stem).sum().reindex(usable, fill_value=0)
labelled_minute(voices.idxmax(), windows, taxonomy, sound)

# %%
labelled_minute(voices.idxmin(), windows, taxonomy, sound)

# %% [markdown]
# ## To be reviewed
# What the QA table wants a person to look at: up to three items of each check. Near copies, the least alike first,
# stand beside what they are copies of, both where they share their loudest seconds.

# %%
review_gallery(qa, sound)

# %% [markdown]
# ## What was found, and what could go wrong

# %%
findings.frame().to_csv(output / "findings.csv", index=False)
table(findings.frame())

# %%
table(risks(prepared, clip_sounds, soundscape_sounds))
