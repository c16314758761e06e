"""Head data with planted signals, and other soundscapes of the same world: what a head must find, and what none can."""

import numpy as np

from lib.learn.head.data import ClipEmbeddings, HeadData, Sequences

CALL, ECHO, LOCAL, FLAT = 0, 1, 2, 3  # audible; follows CALL by a window, inaudible; at SITE only, inaudible; audible
SITE, SITES, CLASSES, FLAT_LOGIT = 2, ("S01", "S02", "S03"), 4, -6.0
WIDTHS = {"embedding": 12, "block:signal": 6, "block:noise": 8}


def planted_data(files: int = 36, clips: int = 40, seed: int = 0) -> HeadData:
    """Soundscapes of three sites, and clips of the two audible classes."""
    random = np.random.default_rng(1000 + seed)
    truth = np.zeros((clips, CLASSES), dtype=bool)
    truth[np.arange(clips), np.where(np.arange(clips) % 2, CALL, FLAT)] = True
    embeddings = _embeddings(truth, random)
    names = tuple(f"label/XC{n}.ogg" for n in range(clips))
    clip_data = ClipEmbeddings(names, embeddings, truth, np.ones(truth.shape, dtype=np.float32), np.arange(clips))
    return HeadData(soundscapes(files, seed), clip_data, SITES)


def soundscapes(files: int, seed: int) -> Sequences:
    """Soundscapes, two of them a night; the last window of every third is not labelled."""
    random = np.random.default_rng(seed)
    sites = 1 + np.arange(files) // 2 % 3
    truth = np.zeros((files, 12, CLASSES), dtype=bool)
    truth[..., CALL] = random.random((files, 12)) < 0.25
    truth[:, 1:, ECHO] = truth[:, :-1, CALL]
    truth[..., LOCAL] = (random.random((files, 12)) < 0.7) & (sites == SITE)[:, None]
    truth[..., FLAT] = random.random((files, 12)) < 0.25
    embeddings = _embeddings(truth, random)
    known = np.ones((files, 12), dtype=bool)
    known[::3, -1] = False
    stems = tuple(
        f"BC2026_Train_{n:04}_S{site:02}_2025{1 + n // 56:02}{1 + n // 2 % 28:02}_{n % 24:02}0000"
        for n, site in enumerate(sites)
    )
    return Sequences(stems, embeddings, truth & known[..., None], known, sites, random.integers(0, 24, files))


def auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Probability that a positive is above a negative, ties half."""
    higher = scores[truth][:, None] - scores[~truth]
    return float((higher > 0).mean() + 0.5 * (higher == 0).mean())


def auc_of(head, sequences: Sequences, label: int) -> float:
    """AUC of a head for one class in the labelled windows."""
    known = sequences.known
    return auc(sequences.truth[known][:, label], head.logits(sequences)[known][:, label])


def _embeddings(truth: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Each audible class moves two numbers of the embedding and of the signal block; only CALL has logits."""
    audible = np.repeat(truth[..., [CALL, FLAT]], 2, axis=-1) * 2.0
    embeddings = {name: random.normal(size=(*truth.shape[:-1], width)) for name, width in WIDTHS.items()}
    for name in ("embedding", "block:signal"):
        embeddings[name][..., :4] += audible
    embeddings["logits"] = np.full(truth.shape, FLAT_LOGIT)
    embeddings["logits"][..., CALL] = -3.0 + 2.0 * truth[..., CALL] + random.normal(size=truth.shape[:-1])
    return {name: values.astype(np.float32) for name, values in embeddings.items()}
