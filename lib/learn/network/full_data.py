"""Networks that learn from everything, a seed each: what a plan is worth where there is a truth that nobody has met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.competition.prepared import load_prepared
from lib.learn.cache.audio import AudioCache
from lib.learn.network.config import NetworkPlan
from lib.learn.network.crossfit import prepare_run
from lib.learn.network.fold import TrainingRun
from lib.learn.network.loop import Trained
from lib.learn.parallel_folds import available_devices, train_folds
from lib.learn.soft_labels.crops import load_pseudo_labels
from lib.models.network.network import Network


def fit_full_data_networks(
    plan: NetworkPlan,
    prepared_folder: Path,
    competition: Path,
    folder: Path,
    *,
    cache_folder: Path,
    seeds: Sequence[int],
    labels: Path | None = None,
    pooled: bool = False,
    others: Mapping[str, Path] | None = None,
) -> dict[int, Network]:
    """The trained networks by seed; no member is written, and training that lies beside `folder` is found again.

    With `pooled`, what teachers say of labelled soundscapes teaches too.
    """
    prepared, runs = load_prepared(prepared_folder), {}
    taught = load_pseudo_labels(labels, pooled, plan.pseudo, prepared, competition, folder.parent, others)
    for seed in seeds:
        run = TrainingRun(plan, prepared_folder, (), AudioCache(cache_folder, {}), folder, seed, taught)
        runs[seed] = prepare_run(run, prepared, competition, cache_folder, [None])
    train_folds(seeds, _OfSeeds(runs), available_devices())
    return {seed: run.trained_network(None, len(prepared.classes)) for seed, run in runs.items()}


@dataclass(frozen=True, eq=False)
class _OfSeeds:
    """What each seed's process is told; calling it trains that seed's network."""

    runs: dict[int, TrainingRun]

    def __call__(self, seed: int, device: str) -> Trained:
        return self.runs[seed](None, device)
