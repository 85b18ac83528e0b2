"""Search the settings of the simple models on the validation part."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from tests.benchmarks.quality.measures import Quality, measure
from tests.benchmarks.quality.models import MODELS, Settings

SEED = 11
# Enough to choose settings, and quick.
VALIDATION_USERS = 2000

SPACES: dict[str, dict[str, list[object]]] = {
    "popular": {},
    "item-knn": {
        "k": [20, 50, 100, 200, 500],
        "shrink": [0, 5, 20, 100],
        "weighting": ["cosine", "tfidf", "bm25"],
    },
    "ease": {"l2": [10, 30, 100, 250, 500, 1000, 3000]},
    "als": {
        "factors": [64, 128],
        # Regularization, and the weight of a pair.
        "penalty": [(1, 1), (3, 1), (10, 1), (30, 3), (10, 10), (30, 10), (100, 10)],
        "iterations": [15],
        "log_counts": [False, True],
    },
    "bpr": {
        "factors": [32, 64, 128],
        "learning_rate": [0.01, 0.05, 0.1],
        "regularization": [0.001, 0.01, 0.05],
        "iterations": [50, 150],
    },
}
"""The values of each setting. All combinations of ease are tried, and a sample of the others'."""

TRIALS = {"popular": 1, "item-knn": 16, "ease": 7, "als": 28, "bpr": 8}
# With more pairs than this, fits by many passes are slow, and fewer are tried.
_MANY_PAIRS = 300_000
_TRIALS_OF_MANY = {"als": 14, "bpr": 3}


@dataclass(frozen=True)
class Tuned:
    """The best settings of a family.

    Attributes:
        settings: the best on the validation part.
        validation: its NDCG@10 there.
        test: its quality on the test part, after a fit to the whole training part.
        trials: settings with their NDCG@10 and their seconds, in the order of the trials.
        seconds: of the last fit.
    """

    settings: Settings
    validation: float
    test: Quality
    trials: list[tuple[Settings, float, float]]
    seconds: float


def trials_of(family: str, pairs: int, most: int | None) -> int:
    """Return how many settings of a family to try on a set of this many pairs."""
    trials = TRIALS[family]
    if pairs > _MANY_PAIRS:
        trials = _TRIALS_OF_MANY.get(family, trials)
    return trials if most is None else min(trials, most)


def sampled(family: str, *, counts: bool, trials: int) -> list[Settings]:
    """Return different settings of a family, chosen at random with a fixed seed."""
    space = dict(SPACES[family])
    if not counts:
        space.pop("log_counts", None)
    every = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    if family == "item-knn":
        # bm25 has no lengths to add to.
        every = [one for one in every if one["weighting"] != "bm25" or not one["shrink"]]
    if len(every) <= trials:
        return every
    chosen = np.random.default_rng(SEED).permutation(len(every))[:trials]
    return [every[one] for one in sorted(chosen)]


def tune(
    family: str,
    parts: tuple[sp.csr_matrix, sp.csr_matrix, sp.csr_matrix, sp.csr_matrix],
    *,
    counts: bool,
    trials: int,
) -> Tuned:
    """Choose the settings with the best NDCG@10 on the validation part, and test them.

    Args:
        family: a name in MODELS.
        parts: the part to learn from, the validation part, both together, and the test part.
        counts: whether the weights are counts.
        trials: the most settings to try.
    """
    learn, validation, train, test = parts
    tried = []
    for settings in sampled(family, counts=counts, trials=trials):
        began = time.perf_counter()
        scorer = MODELS[family](learn, settings)
        found = measure(scorer, learn, validation, most=VALIDATION_USERS)
        tried.append((settings, found.ndcg, time.perf_counter() - began))
    settings, best, _ = max(tried, key=lambda one: one[1])
    began = time.perf_counter()
    scorer = MODELS[family](train, settings)
    seconds = time.perf_counter() - began
    return Tuned(settings, best, measure(scorer, train, test), tried, seconds)
