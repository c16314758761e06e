"""Ours against the usual libraries, in one run: interleaved, one thread, median CPU milliseconds and ratios.

python build/bench.py [--rounds 9]
"""

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import librosa
import numpy as np
import pandas as pd
import project  # noqa: F401 - makes lib importable
import torch
from sklearn.metrics import roc_auc_score

from lib.competition.names import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.judge.metric import class_auc
from lib.models.torch_companions import load_torchaudio
from lib.sound.decode import soundscape_windows
from lib.sound.mel import FrontEnd, mel_power, pcen

Candidates = dict[str, Callable[[], object]]


def front_ends(rng: np.random.Generator) -> Candidates:
    """Mel power of a whole soundscape, twelve windows, the same settings everywhere."""
    audio = (0.1 * rng.normal(size=SOUNDSCAPE_SAMPLES)).astype(np.float32)
    windows, settings = soundscape_windows(audio), FrontEnd()
    transform = load_torchaudio().transforms.MelSpectrogram(
        SAMPLE_RATE, settings.n_fft, hop_length=settings.hop_samples, n_mels=settings.n_mels, f_min=settings.fmin_hz,
        f_max=settings.fmax_hz,
    )  # fmt: skip
    batch = torch.from_numpy(windows)
    return {
        "ours": lambda: mel_power(windows, settings),
        "torchaudio": lambda: transform(batch),
        "librosa": lambda: librosa.feature.melspectrogram(
            y=windows, sr=SAMPLE_RATE, n_fft=settings.n_fft, hop_length=settings.hop_samples, n_mels=settings.n_mels,
            htk=True, norm=None, pad_mode="reflect",
        ),
    }  # fmt: skip


def channel_normalisations(rng: np.random.Generator) -> Candidates:
    """PCEN of a soundscape's twelve mel pictures."""
    power = rng.random((12, 128, 313)).astype(np.float32)
    return {
        "ours": lambda: pcen(power, 512),
        "librosa": lambda: librosa.pcen(power * 2**31, sr=SAMPLE_RATE, hop_length=512),
    }


def metrics(rng: np.random.Generator) -> Candidates:
    """Macro ROC-AUC of 792 windows and 234 classes, 75 of them with positives."""
    truth = np.zeros((792, 234), dtype=bool)
    truth[:, :75] = rng.random((792, 75)) < rng.uniform(0.003, 0.15, 75)
    truth[0, :75] = True
    values = rng.random((792, 234)).astype(np.float32)
    return {
        "ours": lambda: np.nanmean(class_auc(truth, values)),
        "sklearn, a class at a time": lambda: np.mean([roc_auc_score(truth[:, c], values[:, c]) for c in range(75)]),
    }


BENCHES = {"mel of a soundscape": front_ends, "PCEN of a soundscape": channel_normalisations, "macro ROC-AUC": metrics}


def measure(candidates: Candidates, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of each candidate, all called in turn in each round, after one round uncounted."""
    spent: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, call in candidates.items():
            start = time.process_time()
            call()
            spent[name].append(1000 * (time.process_time() - start))
    return {name: median(times[1:]) for name, times in spent.items()}


def main(arguments: list[str] | None = None) -> int:
    """Print one table of all benches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds")
    rounds = parser.parse_args(arguments).rounds
    torch.set_num_threads(1)
    rows = []
    for what, make in BENCHES.items():
        times = measure(make(np.random.default_rng(0)), rounds)
        rows += [(what, name, spent, spent / times["ours"]) for name, spent in times.items()]
    table = pd.DataFrame(rows, columns=["what", "who", "CPU ms", "times ours"])
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
