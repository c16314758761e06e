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
# Three rungs of the ladder, cross-fitted on the frozen folds. **L0**: the rate of each class by site and hour. **L1**:
# linear models on classical descriptors of sound. **L2**: a network on mel spectrograms, by default one small enough to
# train from scratch on a CPU; `preset` names those of 2026's entries.
#
# **Reads** the competition folder and `prepared/`. **Writes** a folder a member in `members/`, and in `training/` what
# lets an interrupted training go on.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where 01's output lies; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/02_fold_training
cache_dir: str = ""  # where decoded audio is kept; empty: Kaggle's temporary folder, or runs/audio
baselines: bool = True  # fit L0 and L1 too; runs that compare networks need not
windows_per_clip: int = 3  # L1: loudest five-second windows taken from each clip, at least 1
clip_weight: float = 0.3  # L1: weight of a clip's window against a soundscape's, at least 0
l2: float = 1.0  # L1: strength of the linear models' regularisation, at least 0
preset = "small_sed"  # type: str|None  # the network, of lib/learn/network/presets.py; None trains none
# one of: small_sed, small_student, s0_b3, s0_b3_refined, s0_student, s0_convnext_small, s3, s4_pcen_convnext,
#   public_sed, public_sed_distilled, second_v2s, ninth_v2s
member = None  # type: str|None  # name of the network member; None: as the preset
fold = None  # type: int|None  # the one fold to train, at least 0; None: all, which alone make a member
seed: int = 1  # of the network
tta: str = ""  # TTA of the whole member, comma separated (lib/learn/network/tta_member.py)
# any of: shifts, half, s3, long
epochs = None  # type: int|None  # passes, each scored by the judge, at least 1; None: as in the preset
steps_per_epoch = None  # type: int|None  # batches a pass, at least 0: as many as show each clip; None: as in the preset
overrides: str = ""  # further settings of lib/learn/network/config.py, comma separated: name, equals sign, value

# %% [markdown]
# ## Packages and inputs
# Wheels that Kaggle's image lacks, the tables and folds that 01 prepared, and the network's plan: an error in it stops
# the notebook here.

# %%
from lib.core.wheels import ensure

print(ensure("onnxruntime", minimum="1.24"), ensure("onnx_ir"), ensure("onnxscript"), sep="\n")

# %%
from lib.competition.prepared import load_prepared
from lib.core.paths import find_artifact, find_competition, output_folder
from lib.core.staging import describe_output, stage_outputs
from lib.learn.network.presets import plan_network
from lib.learn.network.tta_member import find_tta

competition = find_competition(competition_dir)
output = output_folder("02_fold_training", output_dir)
staged = stage_outputs(output)  # what is made below lies there until the last cell
prepared_folder = find_artifact("prepared", inputs_dir)
prepared = load_prepared(prepared_folder)
plan = plan_network(preset, overrides, epochs=epochs, steps_per_epoch=steps_per_epoch)
tta_of = {name: find_tta(name) for name in tta.replace(",", " ").split()}
print(f"competition: {competition}\nfolds:       {prepared.folds.version}\noutput:      {describe_output(output)}")

# %% [markdown]
# ## L0: site and hour rates
# No sound at all: the rate of each class by site and hour, shrunk towards coarser tables where evidence is thin.

# %%
import time

from lib.learn.baseline.crossfit import fit_prior_member
from lib.models.member.prior import PriorSettings

cards, seconds_of, start = [], {}, time.perf_counter()
if baselines:
    cards.append(fit_prior_member(prepared, staged / "members" / "l0_prior", PriorSettings()))
    seconds_of["l0_prior"] = time.perf_counter() - start

# %% [markdown]
# ## L1: linear models on classical descriptors
# Log-mel, MFCC and PCEN over time, band energies and silence; one linear model a class. Clips count less than
# labelled windows, because they sound close and clean and the test does not.

# %%
from lib.learn.baseline.crossfit import ClassicalSettings, fit_statistics_member
from lib.learn.baseline.logistic import LogisticSettings

start = time.perf_counter()
if baselines:
    classical = ClassicalSettings(windows_per_clip=windows_per_clip, clip_weight=clip_weight)
    l1 = staged / "members" / "l1_statistics"
    cards.append(fit_statistics_member(prepared, competition, l1, classical, LogisticSettings(l2=l2)))
    seconds_of["l1_statistics"] = time.perf_counter() - start

# %% [markdown]
# ## L2: a network on spectrograms
# The plan in full travels on the member's card. Here is where it differs from the plainest one.

# %%
import pandas as pd

from lib.learn.network.config import NetworkPlan, differences
from lib.show.html import table

table(pd.DataFrame(differences(plan, NetworkPlan()).items(), columns=["setting", preset or "no network"]))

# %% [markdown]
# ### Augmentation
# Each augmentation of a clip by itself, drawn as strong as the plan allows, with its probability. Mixup and background
# take a second clip.

# %%
from lib.learn.network.gallery import loudest_crop, waveform_examples
from lib.show.audio import ReviewCard, gallery

names = prepared.clips.filename.iloc[[0, -1]]
first, second = (loudest_crop(competition / "train_audio" / name, plan.crop) for name in names)
examples = waveform_examples(first, second, plan.augment, seed)
gallery(
    [ReviewCard("as it is", names.iloc[0], {"": first})]
    + [
        ReviewCard(name, f"probability {getattr(plan.augment, f'{name}_p'):g}", {"": sound})
        for name, sound in examples.items()
    ]
)

# %%
from lib.learn.network.gallery import spectrogram_examples
from lib.show.training import spectrogram_row

spectrogram_row(spectrogram_examples(first, plan.front_end, plan.augment, seed))

# %% [markdown]
# ### Training
# Folds are trained side by side: one on each GPU, or one on each core. Killed at any moment, the same cell goes on
# where it stopped, and ends with the same weights.

# %%
from lib.core.paths import cache_folder
from lib.learn.network.crossfit import fit_network

start = time.perf_counter()
fitted = None
if preset:
    fitted = fit_network(
        plan,
        prepared_folder,
        competition,
        staged / "members" / (member or preset),
        cache_folder=cache_folder(output, cache_dir),
        seed=seed,
        folds=None if fold is None else [fold],
    )
    cards += [fitted.card] if fitted.card else []
    seconds_of[member or preset] = time.perf_counter() - start

# %%
from IPython.display import display

from lib.show.training import learning_curves

if fitted:
    measures = {"loss": "training loss", "soundscapes": "AUC, soundscapes held out", "clips": "AUC, clips held out"}
    display(learning_curves(fitted.history, measures))
    pace = fitted.history.groupby("fold")[["seconds", "clips_per_s", "waiting_share", "skipped"]]
    pace = pace.agg({"seconds": "sum", "clips_per_s": "mean", "waiting_share": "mean", "skipped": "max"})
    display(table(pace.reset_index()))

# %% [markdown]
# ### Attention over time
# A soundscape and the network of the fold that holds it out: the frames in which it finds each class likely, and the
# experts' labels.

# %%
from lib.learn.network.gallery import activity_over_time
from lib.show.training import attention_over_time

if fitted:
    windows = prepared.windows[prepared.windows.row_id.isin(fitted.oof.row_ids)]
    stem = windows.groupby("stem").labels.agg(lambda rows: rows.map(len).sum()).idxmax()
    labels = windows[windows.stem == stem].set_index("end_s").labels.to_dict()
    display(attention_over_time(*activity_over_time(fitted.run, stem), prepared.classes.labels, labels))

# %% [markdown]
# ### Export parity and quantisation
# Each fold's file against its network on real windows, in every runtime that is installed; then what half precision and
# int8 would save, and whether they still rank windows as float32 does. What does not is refused. Members are float32.

# %%
from lib.learn.network.gallery import compare_precisions

if fitted and fitted.card:
    display(table(fitted.parity.reset_index()))
    display(table(compare_precisions(fitted.run).rename_axis("precision").reset_index()))

# %% [markdown]
# ### TTA
# The same networks with test-time augmentation: predictions averaged over windows that are shifted, louder, reversed or
# overlap. A TTA member is a member of its own, so that the judge can compare it with its source, and a recipe can pay
# for it.

# %%
from lib.learn.network.tta_member import write_tta_member

for name, passes in tta_of.items() if fitted and fitted.card else ():
    start, source = time.perf_counter(), staged / "members" / fitted.card.name
    cards.append(write_tta_member(source, passes, prepared, competition, source.with_name(f"{source.name}_{name}")))
    seconds_of[cards[-1].name] = time.perf_counter() - start

# %% [markdown]
# ## Out-of-fold scores
# On labelled windows only, after it is checked that no model scored a recording that it was trained on. Windows are
# ranked within their fold: five models have five scales, and one list of all would measure those.

# %%
from lib.judge.bootstrap import score_table, score_with_interval
from lib.judge.leakage import load_oof_scores

scores = {
    card.name: load_oof_scores(staged / "members" / card.name, prepared.folds, related=prepared.related)
    for card in cards
}
of_card = {card.name: (card.config_fingerprint, card.seed) for card in cards}
if fitted and not fitted.card:
    part = f"{member or preset}, fold {fold}"
    scores[part], of_card[part] = fitted.oof, (fitted.run.config_fingerprint, seed)
scored = {name: score_with_interval(prepared.labels.restrict_to(part), part) for name, part in scores.items()}
milliseconds = {card.name: 1000 * card.measured.seconds_per_soundscape for card in cards}
parity = {card.name: card.measured.parity_max_abs for card in cards}
table(score_table(scored, {"ms per soundscape": milliseconds, "parity": parity}))

# %% [markdown]
# A line a member in the ledger; also for a network of which one fold was trained, over what that fold holds out.

# %%
from lib.core.paths import ledger_path
from lib.judge.ledger import log_run

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
from lib.show.plots import auc_against_clips

auc_against_clips({name: score.report for name, score in scored.items()}, prepared)

# %% [markdown]
# ## Output
# The members replace those of the same name now, all together; a run that fails above leaves these as they were.

# %%
from lib.core.staging import publish_outputs

print(*publish_outputs(staged), sep="\n")
