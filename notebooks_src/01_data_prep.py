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
# The contest's tables and sounds are read once, checked, and repaired where the repair is certain. The output is the
# folder `prepared/`: clean clips, labelled windows, frozen folds, and the QA table with everything that was excluded.
# Every later notebook starts from it. This page is also the data memo: read it before modelling.
#
# **Reads** the competition folder. **Writes** `prepared/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # unused: this is the first notebook
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/01_data_prep
n_folds: int = 5  # folds of the primary split, at least 2
seed: int = 2026  # breaks ties in the assignment of groups to folds
planted_copies: int = 8  # clips that are copied in several ways, at least 0, to measure how many the search finds

# %% [markdown]
# ## Inputs
# The competition folder, and the folder that this run writes to.

# %%
from lib.core.paths import find_competition, output_folder
from lib.core.staging import describe_output, stage_outputs

competition = find_competition(competition_dir)
output = output_folder("01_data_prep", output_dir)
staged = stage_outputs(output)  # what is made below lies there until the last cell
print(f"competition: {competition}\noutput:      {describe_output(output)}")

# %% [markdown]
# ## Tables
# Labels are text, even where they look like numbers. Rows that repeat others are dropped. A window that is absent from
# the labels of the soundscapes is *unlabelled*, never negative.

# %%
from lib.competition.classes import read_class_list
from lib.competition.tables import Findings, read_clips, read_taxonomy, read_windows
from lib.show.html import table

findings = Findings()
classes = read_class_list(competition)
taxonomy = read_taxonomy(competition, classes, findings)
clips = read_clips(competition, classes, findings)
windows = read_windows(competition, classes, findings)
table(taxonomy.groupby("class_name").size().rename("classes").to_frame().T)

# %% [markdown]
# ## Sound files
# Each file is decoded once: measured, hashed, and given an echoprint, the audio fingerprint by which copies are found.

# %%
from lib.competition.eda.overview import file_inventory
from lib.competition.sound_files import soundscape_files
from lib.sound.quality.scan import report_inventory, report_lengths, take_inventory

clip_sounds = take_inventory(competition / "train_audio", clips.filename.tolist(), "train_audio")
report_inventory("train_audio", clip_sounds, findings)
soundscapes = [path.name for path in soundscape_files(competition, "train")]
soundscape_sounds = take_inventory(competition / "train_soundscapes", soundscapes, "train_soundscapes")
report_inventory("train_soundscapes", soundscape_sounds, findings)
report_lengths("train_soundscapes", soundscape_sounds, findings)
hours = {"train_audio": clip_sounds.seconds.sum() / 3600, "train_soundscapes": soundscape_sounds.seconds.sum() / 3600}
table(file_inventory(competition, hours))

# %% [markdown]
# ## Quality assurance
# One table lists each problem of an item, the function that found it, and the action: `exclude`, `group` (both copies
# in one fold), `review` (a person should check it), `none`. Every exclusion is a row of this table. It is saved as
# `prepared/qa.csv`.

# %%
from lib.competition.qa import drop_excluded, qa_summary, report_qa
from lib.sound.quality.report import audit

qa = audit(competition, classes, taxonomy, clips, windows, clip_sounds, soundscape_sounds)
clips, windows = drop_excluded(clips, windows, qa, findings)
report_qa(qa, findings)
clips = clips.merge(clip_sounds[["name", "seconds", "rms"]], left_on="filename", right_on="name").drop(columns="name")
print(f"{len(clips)} clips, {len(windows)} labelled windows of {windows.stem.nunique()} soundscapes are left")
table(qa_summary(qa))

# %% [markdown]
# ## Near-duplicates
# Recall of the search for copies: altered copies are planted among (up to 500) clips of this data. Beside it, the
# similarity of the near copies that were found in the data itself.

# %%
from lib.competition.qa import cluster_sizes, related_pairs
from lib.show.eda import duplicates_figure
from lib.sound.duplicates.recall_check import sampled_recall_table
from lib.sound.quality.report import sound_loader

sound = sound_loader(competition)
usable_clips = clip_sounds[clip_sounds.name.isin(clips.filename)]
recall = sampled_recall_table(usable_clips, sound, planted_copies, related_pairs(qa))
duplicates_figure(qa[qa.check == "near copy"], cluster_sizes(related_pairs(qa)), recall)

# %% [markdown]
# ## Cross-validation folds
# Soundscapes of one site and day stay together, clips of one author stay together, copies of one recording share a
# fold, and rare classes are spread first. The folds are frozen: later notebooks refuse changed ones. The table counts
# the classes of each animal class that a fold can evaluate.

# %%
from lib.competition.folds import make_folds
from lib.competition.prepared import data_version, load_prepared, save_prepared
from lib.competition.qa import pairs_across_folds
from lib.show.plots import fold_coverage

by_author = make_folds(clips, windows, classes, n_folds=n_folds, seed=seed)
folds = make_folds(clips, windows, classes, n_folds=n_folds, seed=seed, related=related_pairs(qa))
version = data_version(competition)
save_prepared(staged / "prepared", classes, clips, windows, folds, qa=qa, data_version=version, seed=seed)
prepared = load_prepared(staged / "prepared")
for name, made in (("authors and days alone", by_author), ("copies together too", prepared.folds)):
    split = pairs_across_folds(related_pairs(qa), {**made.of("clip"), **made.of("soundscape")})
    print(f"{name}: {len(split)} of {len(related_pairs(qa))} pairs of copies lie in two folds")
print(f"classes {prepared.classes.hash}, data {prepared.facts.data_version}, folds {prepared.folds.version}")
fold_coverage(prepared)

# %%
from lib.competition.eda.overview import label_sources

table(label_sources(prepared, taxonomy))

# %% [markdown]
# ## Metadata roles and leakage risks
# A *feature* may be an input of a model, a *split key* decides what is held out together, a *leakage risk* predicts the
# label by other means than sound. How well a column alone predicts the label is measured: the guess is the commonest
# label of the other clips with its value.

# %%
from lib.competition.eda.columns import metadata_roles

table(metadata_roles(competition, clips, windows))

# %% [markdown]
# ## Long tail, durations and quality
# Both charts keep the class order of the upper one: where the lower does not fall with it, clips and soundscapes
# disagree on which classes are common. The table has each class, most labelled windows first.

# %%
from lib.show.plots import long_tail

long_tail(prepared, taxonomy)

# %%
from lib.competition.eda.overview import class_overview

table(class_overview(prepared, taxonomy))

# %%
from lib.show.eda import durations, quality

durations(clips)

# %%
quality(clips, clip_sounds, soundscape_sounds)

# %% [markdown]
# ## Sites, hours and co-occurrence
# First the soundscapes with labels, then those without, then both counted by site: the risk list below names the hours
# and sites without labels. After that the labels: activity by hour, and which classes co-occur.

# %%
from lib.show.plots import site_hours

per_file = windows.drop_duplicates("stem")
site_hours(per_file.site.tolist(), per_file.hour.tolist(), "labelled soundscapes by site and hour (UTC)")

# %%
from lib.competition.row_ids import parse_soundscape

others = [parse_soundscape(name) for name in soundscapes if name.removesuffix(".ogg") not in set(windows.stem)]
site_hours([s.site for s in others], [s.hour for s in others], "unlabelled soundscapes by site and hour (UTC)")

# %%
from lib.competition.eda.overview import site_table

table(site_table(windows, soundscapes))

# %%
from lib.show.eda import activity

activity(windows, taxonomy)

# %%
from lib.competition.qa_checks import mirror_groups
from lib.show.eda import cooccurrence_matrix

cooccurrence_matrix(prepared.labels, taxonomy, mirror_groups(prepared.labels))

# %%
from lib.competition.eda.overview import cooccurring_pairs

table(cooccurring_pairs(prepared.labels, taxonomy.set_index("primary_label").common_name, 12))

# %% [markdown]
# ## Example recordings
# One clip of each animal class, the best rated of its commonest class, in four standard views. The band levels are the
# SNR proxy: how many dB the loud frames of a band lie above its quiet ones.

# %%
from lib.show.eda import example_of_each_taxon, labelled_minute

example_of_each_taxon(clips, taxonomy, sound)

# %% [markdown]
# A soundscape in the twelve windows of the submission. The first is the one with most labels, the second one with
# fewest. A click on a window plays it.

# %%
usable = soundscape_sounds.name[soundscape_sounds.problem == ""].str.removesuffix(".ogg")
label_counts = windows.labels.str.len().groupby(windows.stem).sum().reindex(usable, fill_value=0)
labelled_minute(label_counts.idxmax(), windows, taxonomy, sound)

# %%
labelled_minute(label_counts.idxmin(), windows, taxonomy, sound)

# %% [markdown]
# ## Items to review
# The items that the QA table marks for review: up to three of each check. Near copies, the least similar first, stand
# beside their originals, both at their loudest common seconds.

# %%
from lib.show.eda import review_gallery

review_gallery(qa, sound)

# %% [markdown]
# ## Findings and risks
# All defects found in the data with the action taken, and the risks that this data shows with their mitigation.

# %%
findings.frame().to_csv(staged / "findings.csv", index=False)
table(findings.frame())

# %%
from lib.competition.eda.risks import risks

table(risks(prepared, clip_sounds, soundscape_sounds))

# %% [markdown]
# ## Output
# The tables replace those of an earlier run now, all together; a run that fails above leaves these as they were.

# %%
from lib.core.staging import publish_outputs

print(*publish_outputs(staged), sep="\n")
