# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Fold training
#
# Three rungs of the ladder, cross-fitted on the frozen folds. **L0**: how often a class is heard at a site and hour.
# **L1**: classical descriptors of sound with linear models. **L2**: a network on pictures of sound, by default one
# small enough to learn from scratch on a processor; `preset` names those of 2026's entries.
#
# **Reads** the competition folder and `prepared/`. **Writes** a folder a member in `members/`, and in `training/` what
# lets an interrupted training go on.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where 01's output lies; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/02_fold_training
cache_dir: str = ""  # where decoded audio is kept; empty: Kaggle's temporary folder, or runs/audio
baselines: bool = True  # fit L0 and L1 too; runs that compare networks need not
windows_per_clip: int = 3  # L1: loudest five-second windows taken from each clip
clip_weight: float = 0.3  # L1: weight of a clip's window against a labelled soundscape window
l2: float = 1.0  # L1: strength of the linear models' regularisation
preset: str = "small_sed"  # the network, by its name in lib/learn/network/presets.py; empty trains none
member: str = ""  # what the network member is called; empty: as the preset
fold: str = "all"  # the fold to train; only all of them make a member
seed: int = 1  # of the network
again: str = ""  # views of the whole member, comma separated: shifts, half, s3, long (lib/learn/network/tta_member.py)
front_end: str = (
    ""  # by its name in lib/learn/network/presets.py; empty (and below: empty or -1) leaves it to the preset
)
backbone: str = ""  # plain, or a network of timm
weights: str = ""  # pretrained weights: none, timm (online), or a file, folder or attached dataset
head: str = ""  # sed, gem or mean
loss: str = ""  # bce, focal, asymmetric or soft_auc
sampler: str = ""  # of clips: uniform, weighted or class-aware
crop: str = ""  # of clips: random, centre or energy
seconds: int = -1  # of a crop: 5, 10 or 20
batch_size: int = -1  # crops in a batch
soundscape_share: float = -1.0  # of a batch, cut from labelled soundscapes
mixup_p: float = -1.0  # chance that a clip is mixed with another
background_p: float = -1.0  # chance that an unlabelled soundscape is laid under a clip
epochs: int = -1  # passes, each scored by the judge
steps_per_epoch: int = -1  # batches a pass; 0: as many as show each clip once
learning_rate: float = -1.0  # at its peak
average: str = ""  # none, ema or swa
precision: str = ""  # float32, bfloat16 or float16
also: str = (
    ""  # any other settings of lib/learn/network/config.py, comma separated, each a name, an equals sign and a value
)

# %% [markdown]
# ## Packages and inputs
# Wheels that Kaggle's image lacks, then the tables and folds that 01 prepared.

# %%
from lib.core.wheels import ensure

print(ensure("onnxruntime", minimum="1.24"), ensure("onnx_ir"), ensure("onnxscript"), sep="\n")

# %%
import time

import pandas as pd
from IPython.display import display

from lib.competition.prepared import load_prepared
from lib.core.paths import cache_folder, find_artifact, find_competition, ledger_path, output_folder
from lib.judge.bootstrap import score_table, score_with_interval
from lib.judge.leakage import load_oof_scores
from lib.judge.ledger import log_run
from lib.learn.baseline.crossfit import ClassicalSettings, fit_prior_member, fit_statistics_member
from lib.learn.baseline.logistic import LogisticSettings
from lib.learn.network.config import NetworkPlan, override, chosen, differences, parse_settings
from lib.learn.network.crossfit import fit_network
from lib.learn.network.gallery import activity_over_time, loudest_crop, compare_precisions, waveform_examples, spectrogram_examples
from lib.learn.network.presets import find_front_end, find_preset
from lib.learn.network.tta_member import find_tta, write_tta_member
from lib.models.member.prior import PriorSettings
from lib.show.audio import ReviewCard, gallery
from lib.show.html import table
from lib.show.plots import auc_against_clips
from lib.show.training import attention_over_time, learning_curves, spectrogram_row

competition = find_competition(competition_dir)
output = output_folder("02_fold_training", output_dir)
prepared_folder = find_artifact("prepared", inputs_dir)
prepared = load_prepared(prepared_folder)
print(f"competition: {competition}\nfolds:       {prepared.folds.version}\noutput:      {output}")

# %% [markdown]
# ## L0: what the calendar knows
# No sound at all: the rate of each class by site and hour, shrunk towards coarser tables where evidence is thin.

# %%
cards, seconds_of, start = [], {}, time.perf_counter()
if baselines:
    cards.append(fit_prior_member(prepared, output / "members" / "l0_prior", PriorSettings()))
    seconds_of["l0_prior"] = time.perf_counter() - start

# %% [markdown]
# ## L1: what statistics hear
# Log-mel, MFCC and PCEN over time, band energies and silence; one linear model a class. Clips count less than
# labelled windows, because they sound close and clean and the test does not.

# %%
start = time.perf_counter()
if baselines:
    classical = ClassicalSettings(windows_per_clip=windows_per_clip, clip_weight=clip_weight)
    l1 = output / "members" / "l1_statistics"
    cards.append(fit_statistics_member(prepared, competition, l1, classical, LogisticSettings(l2=l2)))
    seconds_of["l1_statistics"] = time.perf_counter() - start

# %% [markdown]
# ## L2: what a network hears
# The plan in full travels on the member's card. Here is where it differs from the plainest one.

# %%
plan = chosen(
    find_preset(preset) if preset else NetworkPlan(),
    front_end=find_front_end(front_end) if front_end else "",
    backbone=backbone,
    weights=weights,
    head=head,
    loss=loss,
    sampler=sampler,
    crop=crop,
    seconds=seconds,
    batch_size=batch_size,
    soundscape_share=soundscape_share,
    mixup_p=mixup_p,
    background_p=background_p,
    epochs=epochs,
    steps_per_epoch=steps_per_epoch,
    learning_rate=learning_rate,
    average=average,
    precision=precision,
)
plan = override(plan, **parse_settings(also))
views = {name: find_tta(name) for name in again.replace(",", " ").split()}
table(pd.DataFrame(differences(plan, NetworkPlan()).items(), columns=["setting", preset or "no network"]))

# %% [markdown]
# What the network is shown instead of a clip: each change alone, drawn as strong as the plan allows, and how likely it
# is. For mixup and background a second clip stands in.

# %%
shown = prepared.clips.filename.iloc[[0, -1]]
first, other = (loudest_crop(competition / "train_audio" / name, plan.crop) for name in shown)
after = waveform_examples(first, other, plan.augment, seed)
chance = {name: getattr(plan.augment, f"{name}_p") for name in after}
gallery(
    [ReviewCard("as it is", shown.iloc[0], {"": first})]
    + [ReviewCard(name, f"chance {chance[name]:g}", {"": sound}) for name, sound in after.items()]
)

# %%
spectrogram_row(spectrogram_examples(first, plan.front_end, plan.augment, seed))

# %% [markdown]
# Folds are trained side by side: one on each GPU, or one on each core. Killed at any moment, the same cell goes on
# where it stopped, and ends with the same weights.

# %%
start = time.perf_counter()
fitted = None
if preset:
    fitted = fit_network(
        plan,
        prepared_folder,
        competition,
        output / "members" / (member or preset),
        cache_folder=cache_folder(output, cache_dir),
        seed=seed,
        folds=None if fold == "all" else [int(fold)],
    )
    cards += [fitted.card] if fitted.card else []
    seconds_of[member or preset] = time.perf_counter() - start

# %%
if fitted:
    measures = {"loss": "training loss", "soundscapes": "AUC, soundscapes held out", "clips": "AUC, clips held out"}
    display(learning_curves(fitted.history, measures))
    pace = fitted.history.groupby("fold")[["seconds", "clips_per_s", "waiting_share", "skipped"]]
    display(pace.agg({"seconds": "sum", "clips_per_s": "mean", "waiting_share": "mean", "skipped": "max"}).round(3))

# %% [markdown]
# ### Over time
# A soundscape and the network that never heard it: which class it finds likely in which frame, and what experts heard.

# %%
if fitted:
    heard = prepared.windows[prepared.windows.row_id.isin(fitted.oof.row_ids)]
    stem = heard.groupby("stem").labels.agg(lambda rows: rows.map(len).sum()).idxmax()
    labels = heard[heard.stem == stem].set_index("end_s").labels.to_dict()
    display(attention_over_time(*activity_over_time(fitted.run, stem), prepared.classes.labels, labels))

# %% [markdown]
# ### Unchanged on arrival
# Each fold's file against its network on real windows, in every runtime that is installed; then what half precision and
# int8 would save, and whether they still rank windows as float32 does. What does not is refused. Members are float32.

# %%
if fitted and fitted.card:
    display(fitted.parity)
    display(compare_precisions(fitted.run))

# %% [markdown]
# ### Asked again
# The same networks, shown each soundscape several times: windows shifted, louder, backwards, or averaged where they
# overlap. A view is a member of its own, so that the judge can compare it with its source, and a recipe can pay for it.

# %%
for name, view in views.items() if fitted and fitted.card else ():
    start, source = time.perf_counter(), output / "members" / fitted.card.name
    cards.append(write_tta_member(source, view, prepared, competition, source.with_name(f"{source.name}_{name}")))
    seconds_of[cards[-1].name] = time.perf_counter() - start

# %% [markdown]
# ## What the judge says
# Out-of-fold, on labelled windows only, after it is checked that no model scored a recording it had met. Windows are
# ranked within their fold: five models have five scales, and one list of all would measure those.

# %%
scores = {
    card.name: load_oof_scores(output / "members" / card.name, prepared.folds, related=prepared.related) for card in cards
}
of_card = {card.name: (card.config_fingerprint, card.seed) for card in cards}
if fitted and not fitted.card:
    part = f"{member or preset}, fold {fold}"
    scores[part], of_card[part] = fitted.oof, (fitted.config_fingerprint, seed)
scored = {name: score_with_interval(prepared.labels.restrict_to(part), part) for name, part in scores.items()}
milliseconds = {card.name: 1000 * card.seconds_per_soundscape for card in cards}
parity = {card.name: card.parity_max_abs for card in cards}
score_table(scored, {"ms per soundscape": milliseconds, "parity": parity}).round(4)

# %% [markdown]
# A line a member in the ledger; also for a network of which one fold was trained, over what that fold holds out.

# %%
for name, score in scored.items():
    config, member_seed = of_card[name]
    log_run(
        ledger_path(output),
        f"how good is {name} alone",
        score,
        prepared,
        config=config,
        seed=member_seed,
        seconds=seconds_of[name.partition(",")[0]],
        tags=("alone", name),
        verdict="merge" if score.low > 0.5 else "park",
    )
print(f"ledger: {ledger_path(output)}")

# %%
auc_against_clips({name: score.report for name, score in scored.items()}, prepared)
