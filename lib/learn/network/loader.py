"""Batches cut from the audio cache: any of them at any time, and some made ahead by threads."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import numpy as np
import torch

from lib.competition.row_ids import SAMPLE_RATE, SOUNDSCAPE_SAMPLES
from lib.learn.cache.audio import AudioCache, as_float
from lib.learn.network.dataset import Batch, CropTable, Examples
from lib.learn.network.samplers import Sampler
from lib.learn.network.settings import SamplerSettings
from lib.learn.soft_labels.settings import PseudoSettings
from lib.sound.crops import CropSettings, crop_start, cut, cut_with_reflection
from lib.sound.decode import fit_length

_ANYWHERE = CropSettings(kind="random")


class BatchLoader:
    """The batches of a run: each a pure function of the seed and its number, so that a run can resume at any."""

    def __init__(
        self,
        examples: Examples,
        cache: AudioCache,
        crop: CropSettings,
        sampler: SamplerSettings,
        seed: int,
        *,
        context_samples: int = 0,
        with_background: bool = False,
        pseudo: PseudoSettings | None = None,
    ):
        self._examples, self._cache, self._crop, self._seed = examples, cache, crop, seed
        self._context, self._samples = context_samples, crop.samples + 2 * context_samples
        self._with_background = with_background and len(examples.backgrounds) > 0
        passed_gate = examples.pseudo.passed_gate if examples.pseudo else None
        self._sampler = Sampler(examples.primary, len(examples.soundscapes), sampler, seed, passed_gate, pseudo)
        self.batches_per_pass = self._sampler.batches_per_pass

    def batch(self, number: int) -> Batch:
        """Batch `number` of the run: clips first, then labelled soundscapes, then pseudo-labelled ones.

        Audio is (batch, samples + 2 context_samples).
        """
        rng, examples = np.random.default_rng([self._seed, 2, number]), self._examples
        tables = (examples.clips, examples.soundscapes, examples.pseudo)
        drawn = zip(tables, self._sampler.rows(number), strict=True)
        parts = [(table, rows) for table, rows in drawn if table is not None]
        count = sum(len(rows) for _, rows in parts)
        audio = self._stack(chain.from_iterable(self._crops(*part, rng) for part in parts), count)
        place = torch.arange(count)
        background = self._stack(self._backgrounds(count, rng), count) if self._with_background else None
        return Batch(
            audio=audio,
            targets=torch.from_numpy(np.concatenate([table.targets[rows] for table, rows in parts])),
            weights=torch.from_numpy(np.concatenate([table.weights[rows] for table, rows in parts])),
            soundscape=place >= len(parts[0][1]),
            pseudo=place >= count - len(parts[-1][1]) if examples.pseudo else None,
            background=background,
        )

    def crops(self, table: CropTable, rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """(rows, samples + 2 context_samples) float32 crops of these rows of any table."""
        return self._stack(self._crops(table, rows, rng), len(rows))

    def _stack(self, crops: Iterable[np.ndarray], count: int) -> torch.Tensor:
        """(count, samples + 2 context_samples) float32 of as many 16-bit crops."""
        stacked = np.empty((count, self._samples), dtype=np.float32)
        for crop, row in zip(crops, stacked, strict=True):
            as_float(crop, out=row)  # straight to its place: fresh memory for each crop takes longer than its reading
        return torch.from_numpy(stacked)

    def _crops(self, table: CropTable, rows: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """The 16-bit crops of rows of a table."""
        for row in rows:
            item = table.items[row]
            audio = self._cache.samples(item)
            if table.starts_s is None:
                tenths = self._cache.tenths(item) if self._crop.kind == "energy" else None
                yield cut(audio, crop_start(len(audio), self._samples, self._crop, rng, tenths), self._samples)
            else:
                start = int(table.starts_s[row]) * SAMPLE_RATE - self._context
                yield cut_with_reflection(fit_length(audio, SOUNDSCAPE_SAMPLES), start, self._samples)

    def _backgrounds(self, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Random 16-bit crops of unlabelled soundscapes."""
        for number in rng.integers(len(self._examples.backgrounds), size=count):
            audio = self._cache.samples(self._examples.backgrounds[number])
            yield cut(audio, crop_start(len(audio), self._samples, _ANYWHERE, rng), self._samples)


class Prefetcher:
    """Batches `start` to `stop` of a loader in order, made ahead by threads; measures how long its consumer waits."""

    def __init__(
        self, loader: BatchLoader, start: int, stop: int, *, threads: int = 2, ahead: int = 4, pinned: bool = False
    ):
        self._loader, self._numbers, self._threads = loader, range(start, stop), threads
        self._ahead, self._pinned = ahead, pinned
        self.waited_s = self.passed_s = 0.0

    @property
    def waiting_share(self) -> float:
        """The share of the time that its consumer has spent waiting for batches."""
        return self.waited_s / self.passed_s if self.passed_s else 0.0

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        """Each batch with its number."""
        begun = time.perf_counter()
        pending: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            for number in self._numbers:
                while len(pending) < self._ahead and number + len(pending) < self._numbers.stop:
                    pending.append(pool.submit(self._make, number + len(pending)))
                start = time.perf_counter()
                batch = pending.popleft().result()
                self.waited_s += time.perf_counter() - start
                yield number, batch
                self.passed_s = time.perf_counter() - begun
        finally:
            pool.shutdown(cancel_futures=True)

    def _make(self, number: int) -> Batch:
        batch = self._loader.batch(number)
        return batch.pinned() if self._pinned else batch
