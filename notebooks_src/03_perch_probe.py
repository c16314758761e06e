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
# **L3**: a frozen embedder, and small heads on what it says. Before anything is trained it is asked which of its blocks
# tells species apart; then heads are cross-fitted on the frozen folds, like every other member.
#
# Perch v2 is heard where it is at hand: attach it on Kaggle, or `make fetch WHAT=perch`. At home, without it, a
# *stand-in* is made that has Perch's interface and knows a little: everything runs, and no score says a thing of Perch.
#
# **Reads** the competition folder and `prepared/`. **Writes** the packed embedder, in `embedders/`, and a folder a head
# in `members/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where 01's output lies; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/03_perch_probe
cache_dir: str = ""  # where tokens are kept; empty: Kaggle's temporary folder, or runs/audio
embedder: str = ""  # a file, or the name of one that is attached or was fetched; empty: Perch, or at home a stand-in
neighbours: int = 5  # block probe: clips that vote
probe_species: int = 30  # block probe: species in a draw
probe_clips: int = 20  # block probe: clips of each
draws: int = 20  # block probe: draws of species and clips
trajectories_by: str = "PCA"  # how blocks are laid out flat: PCA, or UMAP where umap-learn is installed
tapped: int = 3  # how many of the best blocks the heads may hear
clip_windows: int = 2  # loudest five-second windows that are heard of each clip
heads: str = "zero_shot linear mlps sequence proto_ssm residual_ssm"  # which heads are fitted
seeds: int = 1  # heads of each fold, averaged
scheduler: str = ""  # address of a Dask scheduler whose workers hear the recordings; empty: this machine's cores

# %% [markdown]
# ## Packages and inputs
# Wheels that Kaggle's image lacks, the tables and folds that 01 prepared, and the embedder.

# %%
from lib.core.wheels import ensure

print(ensure("onnxruntime", minimum="1.24"), ensure("onnx_ir"), ensure("onnxscript"), sep="\n")

# %%
import tempfile
import time
from pathlib import Path

import pandas as pd
from IPython.display import display

from lib.competition.prepared import load_prepared
from lib.competition.scores import load_scores
from lib.competition.tables import Findings, read_taxonomy
from lib.core.errors import BadInput
from lib.core.paths import cache_folder, find_artifact, find_competition, ledger_path, output_folder
from lib.judge.bootstrap import score_table, scores_with_intervals
from lib.judge.leakage import load_oof_scores
from lib.judge.ledger import log_run
from lib.judge.metric import judge
from lib.judge.subgroups import list_subgroups, subgroup_table
from lib.learn.block_probe.probe import block_probe
from lib.learn.block_probe.vectors import block_vectors
from lib.learn.cache.choose_embedder import choose_embedder
from lib.learn.cache.embeddings import fill_embeddings
from lib.learn.head.base import leaky_variant
from lib.learn.head.crossfit import fit_head_member, fit_head_members
from lib.learn.head.data import load_head_data
from lib.learn.head.kinds import select_heads
from lib.learn.head.sequence import SequenceHeadSettings, fit_scalar_mix
from lib.models.embedder.base import find_labels, read_labels
from lib.models.embedder.labels import label_coverage, map_labels
from lib.models.embedder.pack import exposable_blocks, pack_embedder
from lib.models.embedder.packed import open_embedder
from lib.show.block_probe import block_bars, cost_bars, coverage_bars, project_blocks, trajectories

competition = find_competition(competition_dir)
output = output_folder("03_perch_probe", output_dir)
cache = cache_folder(output, cache_dir) / "tokens"
prepared = load_prepared(find_artifact("prepared", inputs_dir))
taxonomy = read_taxonomy(competition, prepared.classes, Findings())
aside = tempfile.TemporaryDirectory()  # for what no later notebook should find
source = choose_embedder(embedder, cache.parent)
name = source.stem
print(f"competition: {competition}\nembedder:    {source}\noutput:      {output}")

# %% [markdown]
# ## Who is known by name
# An embedder's own labels stand for our classes where the scientific names agree, or a synonym does. For amphibians and
# insects without a name of their own, the relatives of the genus speak. Sonotypes have no name at all: their column is
# flat, and stays out of every blend that knows it.

# %%
mapped = map_labels(taxonomy, read_labels(find_labels(source)))
print(f"flat: {len(mapped.flat)} classes, {', '.join(mapped.flat[:12])} …")
coverage_bars(label_coverage(mapped, taxonomy))

# %% [markdown]
# ## Which block to tap
# No training: for a clip, do the nearest clips, by others' recordings, name its species? Each block is asked the same
# draws. The last block is seldom the best, being the most at home in what the model was trained for.

# %%
every_block = exposable_blocks(source)
asked_all = Path(aside.name) / f"{name}-all"
pack_embedder(source, None, mapped, prepared.classes, asked_all, blocks=every_block)
clips = block_vectors(prepared, competition, asked_all, cache, blocks=every_block, clips_per_class=probe_clips)
report = block_probe(
    clips.vectors,
    clips.species,
    clips.recordings,
    neighbours=neighbours,
    n_species=probe_species,
    n_clips=probe_clips,
    draws=draws,
    seed=0,
)
print(report)
block_bars(report)

# %% [markdown]
# Where a species' clips lie in the last blocks; a line leads back to where its middle was in the block before.

# %%
last = dict(list(clips.vectors.items())[-6:])
trajectories(project_blocks(last, trajectories_by, seed=0), trajectories_by, clips.species)

# %% [markdown]
# ## Heard once, kept
# Only the best blocks travel with the packed embedder. What it says of every clip and labelled soundscape is kept in
# half precision, under a name made of the sound, the model and the settings: nothing is heard twice, nothing is stale.

# %%
best = report.blocks[report.blocks.block.str.startswith("block:")].nlargest(tapped, "accuracy").block.tolist()
packed = output / "embedders" / name
pack_embedder(source, None, mapped, prepared.classes, packed, blocks=[token.removeprefix("block:") for token in best])
items = {clip: competition / "train_audio" / clip for clip in prepared.clips.filename}
items |= {stem: competition / "train_soundscapes" / f"{stem}.ogg" for stem in sorted(set(prepared.windows.stem))}
start = time.perf_counter()
tokens = fill_embeddings(items, packed, prepared.classes, cache, clip_windows=clip_windows, scheduler=scheduler)
print(f"{len(items)} recordings, half precision changes a row by at most {tokens.rounding_error:.1e} of its largest value")
hearing_s = time.perf_counter() - start
data = load_head_data(prepared, tokens.embeddings, open_embedder(packed, prepared.classes).widths)

# %% [markdown]
# A mix of the blocks whose shares are learnt, for comparison: does training find what the probe foretold?

# %%
shares, _ = fit_scalar_mix(data, SequenceHeadSettings(inputs=(*best, "embedding")), seed=0)
foretold = report.blocks.set_index("block").accuracy
pd.DataFrame({"nearest clips agree": foretold.reindex(list(shares)), "learnt share": shares}).round(3)

# %% [markdown]
# ## The heads
# Cross-fitted on the frozen folds, several seeds each. A fold's head never meets what the fold holds out, nor does what
# it stands on: the residual head corrects a first pass that was itself made out of fold.

# %%
start = time.perf_counter()
kinds = select_heads(heads, (*best, "embedding"))
folders = {output / "members" / f"l3_{kind}": head for kind, head in kinds.items()}
cards = {card.name: card for card in fit_head_members(prepared, data, folders, packed, range(seeds))}
seconds = hearing_s + time.perf_counter() - start
list(cards)

# %% [markdown]
# ## What the judge says

# %%
parts = {
    member: load_oof_scores(output / "members" / member, prepared.folds, related=prepared.related) for member in cards
}
scored = scores_with_intervals(prepared.labels, parts)
head_ms, embedder_ms = (
    {member: 1000 * card.config["seconds"][part] for member, card in cards.items()} for part in ("head", "embedder")
)
parity = {member: card.parity_max_abs for member, card in cards.items()}
score_table(scored, {"head, ms": head_ms, "embedder, ms": embedder_ms, "parity": parity}).round(4)

# %%
cost_bars(name, {name: max(embedder_ms.values()), **head_ms})

# %% [markdown]
# By part of the labelled windows. Where a head shines on sites it was taught at, and the calendar does too, it may have
# learnt the place and not the animal: the hidden test has other days, and places that nobody labelled.

# %%
taxon_of = dict(zip(taxonomy.primary_label, taxonomy.class_name, strict=True))
subgroup_table(prepared.labels, parts, list_subgroups(prepared, taxon_of)).round(3)

# %% [markdown]
# ## What it must not be credited for
# The same linear head, taught *all* labelled windows and then asked about them. That is how a branch of the public
# chain looks on the labelled soundscapes: the score is real and says nothing, and the judge refuses it.

# %%
leaky = Path(aside.name) / "l3_linear_leaky"
fit_head_member(prepared, data, leaky_variant(select_heads("linear", ())["linear"]), leaky, packed, [0])
claimed = judge(prepared.labels, load_scores(leaky / "oof.parquet")).macro
honest = scored["l3_linear"].macro if "l3_linear" in scored else float("nan")
print(f"claimed {claimed:.3f}, honest {honest:.3f}")
try:
    load_oof_scores(leaky, prepared.folds, related=prepared.related)
except BadInput as refused:
    print(refused)

# %% [markdown]
# A line a head in the ledger.

# %%
for member, score in scored.items():
    log_run(
        ledger_path(output),
        f"how good is {member} on {name}",
        score,
        prepared,
        config=cards[member].config_fingerprint,
        seed=cards[member].seed,
        seconds=seconds / len(scored),
        tags=("head", member, name),
        verdict="merge" if score.low > 0.5 else "park",
    )
display(f"ledger: {ledger_path(output)}")
