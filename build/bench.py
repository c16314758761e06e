"""Ours against the usual libraries, in one run: interleaved, one thread, median CPU milliseconds and ratios; then
training against the plain loop, by the clock; then submission and embedding against the public baseline.

python -m build.bench [--rounds 9] [--soundscapes 12]
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import librosa
import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from build.benches import embedding, engine
from build.benches.data import SOUNDSCAPES, make_engine_data
from build.benches.training import compare, torchaudio_mel
from build.cli.exit_codes import Parser, end, tool
from lib.blend.mix import mix
from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES, WINDOW_SAMPLES, row_ids
from lib.competition.scores import Labels, Scores
from lib.judge.bootstrap import bootstrap, recording_groups
from lib.judge.metric import class_auc, judge
from lib.judge.pair_counting import make_pair_counter
from lib.models.network.pretrained import ensure_torchvision_importable
from lib.sound.decode import soundscape_windows
from lib.sound.mel.config import FrontEnd
from lib.sound.mel.cpu import mel_power, soundscape_spectrograms
from lib.sound.mel.gpu import MelSpectrogram
from lib.sound.mel.scaling import pcen

Candidates = dict[str, Callable[[], object]]
TRAINING_ROUNDS = 3


def front_ends(rng: np.random.Generator) -> Candidates:
    """Mel power of a whole soundscape, twelve windows, the same settings everywhere."""
    audio = (0.1 * rng.normal(size=SOUNDSCAPE_SAMPLES)).astype(np.float32)
    windows, settings = soundscape_windows(audio), FrontEnd(level="power")
    transform, ours_in_torch, batch = torchaudio_mel(settings), MelSpectrogram(settings), torch.from_numpy(windows)
    return {
        "ours": lambda: mel_power(windows, settings),
        "ours in torch, for training": lambda: ours_in_torch(batch),
        "torchaudio": lambda: transform(batch),
        "librosa": lambda: librosa.feature.melspectrogram(
            y=windows,
            sr=SAMPLE_RATE,
            n_fft=settings.n_fft,
            hop_length=settings.hop_samples,
            n_mels=settings.n_mels,
            fmin=settings.fmin_hz,
            htk=True,
            norm=None,
            pad_mode="reflect",
        ),
    }


def shifts(rng: np.random.Generator) -> Candidates:
    """Mel power of a soundscape's windows and of the eleven between them, with a hop that divides the shift."""
    audio = (0.1 * rng.normal(size=SOUNDSCAPE_SAMPLES)).astype(np.float32)
    settings = FrontEnd(hop_samples=500, level="power")
    starts = np.arange(0, SOUNDSCAPE_SAMPLES - WINDOW_SAMPLES + 1, WINDOW_SAMPLES // 2)
    transform = torchaudio_mel(settings)

    def cut() -> np.ndarray:
        return np.stack([audio[start : start + WINDOW_SAMPLES] for start in starts])

    return {
        "ours": lambda: soundscape_spectrograms(audio, settings, starts, WINDOW_SAMPLES),
        "ours, each window alone": lambda: mel_power(cut(), settings),
        "torchaudio": lambda: transform(torch.from_numpy(cut())),
    }


def channel_normalisations(rng: np.random.Generator) -> Candidates:
    """PCEN of a soundscape's twelve mel spectrograms."""
    power = rng.random((12, 128, 313)).astype(np.float32)
    return {
        "ours": lambda: pcen(power, 512),
        "librosa": lambda: librosa.pcen(power * 2**31, sr=SAMPLE_RATE, hop_length=512),
    }


def contest(rng: np.random.Generator, members: int) -> tuple[Labels, list[Scores]]:
    """Labels and members' scores of the size of the contest's labelled soundscapes, exact ties included."""
    stems = [f"BC2026_Train_{n:04d}_S{n % 9:02d}_{20240101 + n // 3}_200000" for n in range(66)]
    rows = tuple(row for stem in stems for row in row_ids(stem))
    truth = np.zeros((792, 234), dtype=bool)
    truth[:, :75] = rng.random((792, 75)) < rng.uniform(0.003, 0.15, 75)
    truth[0, :75] = True
    classes = tuple(f"c{n}" for n in range(234))
    parts = [Scores(np.round(rng.random(truth.shape), 3), rows, classes, "prob") for _ in range(members)]
    return Labels(truth, rows, classes), parts


def sklearn_macro(truth: np.ndarray, values: np.ndarray) -> float:
    """The usual way: a loop over the classes that have positives."""
    return float(np.mean([roc_auc_score(truth[:, c], values[:, c]) for c in np.flatnonzero(truth.any(axis=0))]))


def metrics(rng: np.random.Generator) -> Candidates:
    """Macro ROC-AUC of 792 windows and 234 classes, 75 of them with positives."""
    ensure_torchvision_importable()
    from torchmetrics.classification import MultilabelAUROC  # it imports torchvision, which must be made ready first

    labels, (part,) = contest(rng, 1)
    scored = np.flatnonzero(labels.values.any(axis=0))
    theirs = MultilabelAUROC(num_labels=len(scored), average="macro", thresholds=None, validate_args=False)
    values, truth = torch.from_numpy(part.values[:, scored]), torch.from_numpy(labels.values[:, scored].astype(int))
    return {
        "ours": lambda: np.nanmean(class_auc(labels.values, part.values)),
        "sklearn, a class at a time": lambda: sklearn_macro(labels.values, part.values),
        "torchmetrics": lambda: theirs(values, truth),
    }


def blends(rng: np.random.Generator) -> Candidates:
    """The macro score of one rank blend of five members, as a search computes it."""
    labels, parts = contest(rng, 5)
    counter, weights = make_pair_counter(labels, parts), np.array([[400, 300, 150, 100, 50]])
    return {
        "ours": lambda: counter.macro_many(weights),
        "ours, without the counter": lambda: judge(labels, mix(parts, [0.4, 0.3, 0.15, 0.1, 0.05], space="rank")).macro,
        "sklearn, a class at a time": lambda: sklearn_macro(
            labels.values, sum(w * rankdata(part.values, axis=0) for w, part in zip(weights[0], parts, strict=True))
        ),
    }


def lines(rng: np.random.Generator) -> Candidates:
    """All 1,001 blends on the line between two of five members, in steps of a thousandth."""
    labels, parts = contest(rng, 5)
    counter, start = make_pair_counter(labels, parts), np.array([1000, 0, 0, 0, 0])
    steps = start - np.arange(1001)[:, None] * np.array([1, -1, 0, 0, 0])
    return {"ours": lambda: counter.exchange(start, 0, 1), "ours, a blend at a time": lambda: counter.macro_many(steps)}


def draws(rng: np.random.Generator) -> Candidates:
    """A thousand cluster draws of a paired difference; the plain one copies rows, and does ten of the thousand."""
    labels, parts = contest(rng, 2)
    groups = recording_groups(labels)
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]

    def copy_rows() -> None:
        for _ in range(10):
            rows = np.concatenate([rows_of[group] for group in rng.integers(len(rows_of), size=len(rows_of))])
            for part in parts:
                class_auc(labels.values[rows], part.values[rows])

    return {"ours": lambda: bootstrap(labels, dict(enumerate(parts))), "copying rows, 10 draws of 1,000": copy_rows}


BENCHES = {
    "mel of a soundscape": front_ends,
    "mel with a shift": shifts,
    "PCEN of a soundscape": channel_normalisations,
    "macro ROC-AUC": metrics,
    "a blend of five": blends,
    "a line of 1,001 blends": lines,
    "1,000 draws, paired": draws,
}


def measure(candidates: Candidates, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of each candidate, all called in turn in each round, after one round uncounted."""
    spent: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, call in candidates.items():
            start = time.process_time()
            call()
            spent[name].append(1000 * (time.process_time() - start))
    return {name: median(times[1:]) for name, times in spent.items()}


def _as_text(table: pd.DataFrame) -> str:
    """A table as text."""
    return table.to_string(index=False, float_format=lambda value: f"{value:.2f}")


def submissions(soundscapes: int) -> Iterator[str]:
    """The reports of the engine's and the embedder's benches on the same data."""
    with tempfile.TemporaryDirectory() as folder:
        data = make_engine_data(Path(folder), soundscapes, np.random.default_rng(0))
        yield from engine.report(data)
        yield from embedding.report(data)


@tool
def main(arguments: list[str] | None = None) -> int:
    """Print a table of all small benches, one of training, and those of submission."""
    parser = Parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds, but of training")
    parser.add_argument("--soundscapes", type=int, default=SOUNDSCAPES, help="that are submitted")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for what, make in BENCHES.items():
        with threadpool_limits(1):  # a BLAS's waiting threads would be counted to the next candidate
            times = measure(make(np.random.default_rng(0)), given.rounds)
        rows += [(what, name, spent, spent / times["ours"]) for name, spent in times.items()]
    table = pd.DataFrame(rows, columns=["what", "candidate", "CPU ms", "times ours"])
    print(_as_text(table), flush=True)
    print(f"\n{_as_text(compare(TRAINING_ROUNDS))}", flush=True)
    for part in submissions(given.soundscapes):
        print(f"\n{part}", flush=True)
    return 0


if __name__ == "__main__":
    end(main)
