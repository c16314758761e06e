"""The replay protocol: a fixed small subset for triage, thresholds of promotion, and agreement with full validation.

An idea is first replayed: two folds, few soundscapes and clips, few iterations. Only the promoted are fitted in full.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lib.core import fingerprint
from lib.core.errors import BadInput
from lib.judge.bootstrap import LEVEL, Interval, Name


@dataclass(frozen=True)
class ReplaySettings:
    """The size of a replay, and its thresholds."""

    folds: int = 2
    soundscapes: int = 32
    clips_a_class: int = 4
    promote: float = 0.0  # at least this gain over the baseline: it is fitted in full
    kill: float = -0.03  # below this gain it is killed; between the two it is parked


@dataclass(frozen=True)
class Subset:
    """The data of a replay: the folds it holds out, the soundscapes' stems and the clips' file names."""

    folds: tuple[int, ...]
    stems: frozenset[str]
    clips: frozenset[str]


def replay_subset(clips: pd.DataFrame, windows: pd.DataFrame, fold_of_row: np.ndarray, settings: ReplaySettings):
    """The subset, the same each time: rare classes first, then by a hash of the names; each class keeps some clips."""
    rows = windows.assign(fold=fold_of_row).explode("labels").dropna(subset="labels")
    by_fold = rows.groupby("fold").labels.nunique().sort_values(ascending=False, kind="stable")
    ranked = clips.assign(key=[fingerprint.of_text(name) for name in clips.filename]).sort_values("key")
    kept = ranked.groupby("primary_label").head(settings.clips_a_class)
    stems = _rare_first(windows, settings.soundscapes)
    return Subset(tuple(sorted(by_fold.index[: settings.folds].tolist())), stems, frozenset(kept.filename))


def _rare_first(windows: pd.DataFrame, most: int) -> frozenset[str]:
    """Up to `most` soundscapes: for each class, from the rarest, two that contain it; then any, in the hash's order."""
    stems = sorted(windows.stem.unique(), key=fingerprint.of_text)
    present = windows.explode("labels").dropna(subset="labels").drop_duplicates(["stem", "labels"])
    stems_of = {label: set(rows.stem) for label, rows in present.groupby("labels")}
    chosen: list[str] = []
    for label in sorted(stems_of, key=lambda name: (len(stems_of[name]), name)):
        missing = 2 - len(stems_of[label] & set(chosen))
        chosen += [stem for stem in stems if stem in stems_of[label] - set(chosen)][: max(missing, 0)]
    chosen += [stem for stem in stems if stem not in set(chosen)]
    return frozenset(chosen[:most])


def triage(scores: dict[Name, float], baseline: Name, settings: ReplaySettings) -> dict[Name, str]:
    """The ledger's verdict on each idea: promote, park or kill, by its gain over the baseline in the replay."""
    gains = {name: score - scores[baseline] for name, score in scores.items()}
    return {
        name: "promote" if gain >= settings.promote else "kill" if gain < settings.kill else "park"
        for name, gain in gains.items()
    }


@dataclass(frozen=True)
class ReplayAgreement:
    """The correlations of two lists of scores of the same ideas; the interval is of the rank correlation."""

    spearman: float
    interval: Interval
    pearson: float


def replay_agreement(a, b) -> ReplayAgreement:
    """The correlations of two lists of scores; the interval, Bonett and Wright's, is for further such ideas."""
    if len(a) != len(b) or len(a) < 5:
        raise BadInput(
            "too few ideas to compare",
            expected="two lists of at least five scores",
            got=f"{len(a)} and {len(b)}",
            do="score more ideas",
        )
    rho = float(stats.spearmanr(a, b).statistic)
    bounded = np.clip(rho, -1 + 1e-9, 1 - 1e-9)
    spread = np.sqrt((1 + bounded**2 / 2) / (len(a) - 3)) * stats.norm.ppf((1 + LEVEL) / 2)
    low, high = np.tanh(np.arctanh(bounded) + spread * np.array([-1.0, 1.0]))
    return ReplayAgreement(rho, Interval(float(low), float(high)), float(np.corrcoef(a, b)[0, 1]))
