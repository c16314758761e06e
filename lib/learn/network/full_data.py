"""Networks trained on the full data, one a seed: to compare plans on a truth that no network was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.competition.prepared import load_prepared
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
    """Train a network a seed and return them by seed; training that lies beside `folder` is found again.

    No member is written. With `pooled`, teachers' predictions on labelled soundscapes are trained on too.
    """
    prepared = load_prepared(prepared_folder)
    pseudo_labels = load_pseudo_labels(labels, pooled, plan.pseudo, prepared, competition, folder.parent, others)
    runs = {
        seed: prepare_run(TrainingRun(plan, prepared, competition, folder, seed, pseudo_labels), [None], cache_folder)
        for seed in seeds
    }
    train_folds(seeds, _TrainSeed(runs), available_devices())
    return {seed: run.network(None) for seed, run in runs.items()}


@dataclass(frozen=True, eq=False)
class _TrainSeed:
    """The runs by seed; calling it trains that seed's network of the full data."""

    runs: dict[int, TrainingRun]

    def __call__(self, seed: int, device: str) -> Trained:
        return self.runs[seed](None, device)
