"""Blends to be searched: a truth, members that predict it more or less well, in folds, and recipes of them."""

import numpy as np

from lib.blend.recipe import Mix, Part, Recipe, RecipeMember
from lib.competition.row_ids import row_ids
from lib.competition.scores import Labels, Scores

CLASSES = tuple("abcd")


def stems(folds=3, files=2):
    """Each file is of its own site, so of its own recording group."""
    return [f"BC2026_Train_{n:04d}_S{n:02d}_20250101_000000" for n in range(folds * files)]


def labels_of(seed=0, folds=3, files=2, rate=0.4):
    """Random truth of all windows; each fold holds that many files."""
    rows = [row for stem in stems(folds, files) for row in row_ids(stem)]
    truth = np.random.default_rng(seed).random((len(rows), len(CLASSES))) < rate
    return Labels(truth, rows, CLASSES, np.repeat(np.arange(folds), 12 * files))


def noisy_scores(labels, noise, seed=0, kind="logit"):
    """A member's scores: the truth with so much noise."""
    rng = np.random.default_rng(seed + 100)
    return Scores(labels.values + noise * rng.normal(size=labels.values.shape), labels.row_ids, labels.classes, kind)


def recipe_of(names, space="rank", steps=(), weights=None, part_steps=()):
    """One mix of the named members, with equal weights unless given."""
    weights = weights or [1 / len(names)] * len(names)
    parts = [Part(name, weight, list(part_steps)) for name, weight in zip(names, weights, strict=True)]
    members = [RecipeMember(name, f"manifest of {name}", 0.1) for name in names]
    return Recipe(
        "bold", "hash", "folds", members, [Mix("all", space, parts, list(steps))], names[0], 0.5, [0.4, 0.6], 4
    )
