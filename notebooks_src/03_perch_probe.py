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
# **L3**: a frozen embedder, and small heads on its output. A *block probe* first finds, without training, which of the
# embedder's blocks separates species best; then heads are cross-fitted on the frozen folds, like every other member.
#
# The embedder is Perch v2 where it is available: attach it on Kaggle, or `make fetch WHAT=perch`. Off Kaggle, without
# it, a *stand-in* with Perch's interface is made: everything runs, but no score says anything about Perch.
#
# **Reads** the competition folder and `prepared/`. **Writes** the packed embedder, in `embedders/`, and a folder a head
# in `members/`.

# %% tags=["parameters"]
competition_dir: str = ""  # the competition folder; empty: search the known paths
inputs_dir: str = ""  # where 01's output lies; empty: Kaggle's inputs, or runs/mini
output_dir: str = ""  # where to write; empty: Kaggle's working folder, or runs/mini/03_perch_probe
cache_dir: str = ""  # where embeddings are cached; empty: Kaggle's temporary folder, or runs/audio
embedder = None  # type: str|None  # a file, or the name of one attached or fetched; None: Perch, or off Kaggle a stand-in
neighbours: int = 5  # block probe: clips that vote, at least 1
probe_species: int = 30  # block probe: species in a draw, at least 2
probe_clips: int = 20  # block probe: clips of each, at least 2
draws: int = 20  # block probe: draws of species and clips, at least 1
projection = "PCA"  # type: Literal["PCA","UMAP"]  # of the blocks onto two dimensions; UMAP needs umap-learn
blocks_used: int = 3  # how many of the best blocks the heads may use, at least 1
clip_windows: int = 2  # loudest five-second windows of each clip that are embedded, at least 1
heads: str = "zero_shot,linear,mlps,sequence,proto_ssm,residual_ssm"  # which heads are fitted, comma separated
# any of: zero_shot, linear, mlps, sequence, proto_ssm, residual_ssm
seeds: int = 1  # heads of each fold, averaged, at least 1
scheduler = None  # type: str|None  # address of a Dask scheduler whose workers embed; None: this machine's cores

# %% [markdown]
# ## Packages and inputs
# Wheels that Kaggle's image lacks, the tables and folds that 01 prepared, and the embedder.

# %%
from lib.core.wheels import ensure

print(ensure("onnxruntime", minimum="1.24"), ensure("onnx_ir"), ensure("onnxscript"), sep="\n")

# %%
import tempfile
from pathlib import Path

from lib.competition.prepared import load_prepared
from lib.competition.tables import Findings, read_taxonomy
from lib.core.paths import cache_folder, find_artifact, find_competition, output_folder
from lib.core.staging import describe_output, stage_outputs
from lib.learn.cache.choose_embedder import choose_embedder

competition = find_competition(competition_dir)
output = output_folder("03_perch_probe", output_dir)
staged = stage_outputs(output)  # what is made below lies there until the last cell
cache = cache_folder(output, cache_dir) / "embeddings"
prepared = load_prepared(find_artifact("prepared", inputs_dir))
taxonomy = read_taxonomy(competition, prepared.classes, Findings())
scratch = tempfile.TemporaryDirectory()  # for what no later notebook should find
source = choose_embedder(embedder, cache.parent)
name = source.stem
print(f"competition: {competition}\nembedder:    {source}\noutput:      {describe_output(output)}")

# %% [markdown]
# ## Label mapping
# An embedder's labels stand for our classes where the scientific names agree, or a synonym does. Amphibians and insects
# without a label of their own take those of their genus. Sonotypes have no name at all: their column is flat, and a
# blend gives it no weight.

# %%
from lib.models.embedder.base import find_labels, read_labels
from lib.models.embedder.labels import label_coverage, map_labels
from lib.show.block_probe import coverage_bars

mapped = map_labels(taxonomy, read_labels(find_labels(source)))
print(f"flat: {len(mapped.flat)} classes, {', '.join(mapped.flat[:12])} …")
coverage_bars(label_coverage(mapped, taxonomy))

# %% [markdown]
# ## Block probe
# Without training: do a clip's nearest clips, by other recordings, have its species? Each block gets the same draws of
# species and clips. The last block is seldom the best, being specialised in what the model was trained for.

# %%
from lib.learn.block_probe.probe import block_probe
from lib.learn.block_probe.vectors import block_vectors
from lib.models.embedder.pack import exposable_blocks, pack_embedder
from lib.show.block_probe import block_bars

every_block = exposable_blocks(source)
all_blocks = Path(scratch.name) / f"{name}-all"
pack_embedder(source, None, mapped, prepared.classes, all_blocks, blocks=every_block)
clips = block_vectors(prepared, competition, all_blocks, cache, blocks=every_block, clips_per_class=probe_clips)
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
# The clips of a species in the last blocks; a line leads back to the species' mean in the block before.

# %%
from lib.show.block_probe import project_blocks, trajectories

last = dict(list(clips.vectors.items())[-6:])
trajectories(project_blocks(last, projection, seed=0), projection, clips.species)

# %% [markdown]
# ## Embedding cache
# Only the best blocks are packed with the embedder. Its output for every clip and labelled soundscape is stored in half
# precision, under a name made of the sound, the model and the settings: nothing is computed twice, nothing is stale.

# %%
import time

from lib.learn.cache.embeddings import fill_embeddings
from lib.learn.head.data import load_head_data
from lib.models.embedder.packed import open_embedder

best = report.blocks[report.blocks.block.str.startswith("block:")].nlargest(blocks_used, "accuracy").block.tolist()
packed = staged / "embedders" / name
pack_embedder(source, None, mapped, prepared.classes, packed, blocks=[block.removeprefix("block:") for block in best])
items = {clip: competition / "train_audio" / clip for clip in prepared.clips.filename}
items |= {stem: competition / "train_soundscapes" / f"{stem}.ogg" for stem in sorted(set(prepared.windows.stem))}
start = time.perf_counter()
cached = fill_embeddings(items, packed, prepared.classes, cache, clip_windows=clip_windows, scheduler=scheduler)
embedding_s = time.perf_counter() - start
data = load_head_data(prepared, cached.embeddings, open_embedder(packed, prepared.classes).widths)

# %% [markdown]
# A mix of the blocks with learnt weights, for comparison: does training prefer the block that the probe found?

# %%
import pandas as pd

from lib.learn.head.sequence import SequenceHeadSettings, fit_scalar_mix
from lib.show.html import table

weights, _ = fit_scalar_mix(data, SequenceHeadSettings(inputs=(*best, "embedding")), seed=0)
accuracy = report.blocks.set_index("block").accuracy
mixed = pd.DataFrame({"nearest clips agree": accuracy.reindex(list(weights)), "learnt weight": weights})
table(mixed.rename_axis("block").reset_index())

# %% [markdown]
# ## Heads
# Cross-fitted on the frozen folds, several seeds each. A fold's head is never trained on what the fold holds out, nor
# is what it builds on: the residual head corrects out-of-fold predictions of a first pass.

# %%
from lib.learn.head.crossfit import fit_head_member, fit_head_members
from lib.learn.head.kinds import select_heads

start = time.perf_counter()
kinds = select_heads(heads, (*best, "embedding"))
folders = {staged / "members" / f"l3_{kind}": head for kind, head in kinds.items()}
cards = {card.name: card for card in fit_head_members(prepared, data, folders, packed, range(seeds))}
seconds = embedding_s + time.perf_counter() - start
list(cards)

# %% [markdown]
# ## Out-of-fold scores

# %%
from lib.judge.bootstrap import score_table, scores_with_intervals
from lib.judge.leakage import load_oof_scores

parts = {
    member: load_oof_scores(staged / "members" / member, prepared.folds, related=prepared.related) for member in cards
}
scored = scores_with_intervals(prepared.labels, parts)
head_ms = {member: 1000 * card.measured.own_seconds for member, card in cards.items()}
embedder_ms = {member: 1000 * card.measured.shared_seconds[name] for member, card in cards.items()}
parity = {member: card.measured.parity_max_abs for member, card in cards.items()}
table(score_table(scored, {"head, ms": head_ms, "embedder, ms": embedder_ms, "parity": parity}))

# %%
from lib.show.block_probe import cost_bars

cost_bars(name, {name: max(embedder_ms.values()), **head_ms})

# %% [markdown]
# ### By subgroup of the labelled windows
# Where a head is good on sites it was trained at, and the prior of site and hour is too, it may have learnt the place
# and not the animal: the hidden test has other days, and places without labels.

# %%
from lib.judge.subgroups import list_subgroups, subgroup_table

taxon_of = dict(zip(taxonomy.primary_label, taxonomy.class_name, strict=True))
table(subgroup_table(prepared.labels, parts, list_subgroups(prepared, taxon_of)))

# %% [markdown]
# ## Leaky control
# The same linear head, trained on *all* labelled windows and then scored on them. That is how a branch of the public
# chain looks on the labelled soundscapes: the score is real and means nothing, and the judge refuses it.

# %%
from lib.competition.scores import load_scores
from lib.core.errors import BadInput
from lib.judge.metric import judge
from lib.learn.head.base import leaky_variant

leaky = Path(scratch.name) / "l3_linear_leaky"
fit_head_member(prepared, data, leaky_variant(select_heads("linear", ())["linear"]), leaky, packed, [0])
leaky_score = judge(prepared.labels, load_scores(leaky / "oof.parquet")).macro
honest_score = scored["l3_linear"].macro if "l3_linear" in scored else float("nan")
print(f"leaky {leaky_score:.3f}, honest {honest_score:.3f}")
try:
    load_oof_scores(leaky, prepared.folds, related=prepared.related)
except BadInput as refused:
    print(refused)

# %% [markdown]
# ## Ledger
# One line a head.

# %%
from IPython.display import display

from lib.core.paths import ledger_path
from lib.judge.ledger import log_run

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

# %% [markdown]
# ## Output
# Embedder and heads replace those of the same name now, all together; a run that fails above leaves these as they were.

# %%
from lib.core.staging import publish_outputs

print(*publish_outputs(staged), sep="\n")
