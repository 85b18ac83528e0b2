"""Evaluate any model on held-out items: one computation of scores gives all measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.facts.evaluation import SegmentFacts
from trainer.evaluation import measures
from trainer.evaluation.confidence import standard_error
from trainer.evaluation.held_out_test import HeldOutTest, Segment, rows_of
from trainer.evaluation.measures import KS, Hits, Top, Values
from trainer.evaluation.ranking import Ranking, rank_all, rank_both
from trainer.fitting.scores import UserScores, top
from trainer.index.exact import sample
from trainer.preparing.dataset import Dataset

K = 10
"""The length of the lists of most metrics."""

MAX_TRAIN_USERS = 2000
"""The most users for metrics on the training interactions."""

# Each seen user of each recommended item is a step of the diversity, so popular items are measured with
# fewer users.
_DIVERSITY_USERS = 1000
_DIVERSITY_STEPS = 30_000_000
_DIVERSITY_FEWEST = 100


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The measures of a model on a test, for each user.

    Attributes:
        users: (n,) ascending rows of the evaluated users.
        of_users: the number of users with a positive, from which `users` are drawn.
        interactions: the number of positives of the evaluated users.
        values: for each metric (n,) float64, NaN where it isn't defined for a user.
        totals: metrics that aren't means over users.
        top: (n, 50) the best unseen items.
        segments: the measures of parts of the test.
    """

    users: NDArray[np.int64]
    of_users: int
    interactions: int
    values: Mapping[str, Values] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    top: Top
    segments: Sequence[SegmentFacts] = ()

    def metrics(self) -> dict[str, float]:
        """Return all metrics by name; without those that no user defines."""
        return {
            **means(self.values),
            **self.totals,
            "evaluated_users": float(len(self.users)),
        }

    def errors(self) -> dict[str, float]:
        """Return the standard error of each metric that is a mean over at least two users."""
        errors = {name: standard_error(own) for name, own in self.values.items()}
        return {name: error for name, error in errors.items() if error is not None}


def evaluate(scores: UserScores, test: HeldOutTest, *, seed: int = 42) -> Evaluation:
    """Measure a model on a test.

    Users without a positive don't count. If there are more than MAX_USERS, that many are drawn by the
    seed, the same ones for every model.

    `test_precision_at_10` and `test_auc` rank all items, as LightFM does by default. All other metrics
    rank the items that a user hasn't seen, as recommendations do. `test_auc_unseen` is one.
    `test_MEASURE_at_K_unseen` are the measures of measures.of_hits, for each K of measures.KS up to the
    number of items. The measures of measure_lists are at 10 only.
    """
    users = test.users(seed=seed)
    positives = rows_of(test.held_out, users)
    of_users = int((np.diff(test.held_out.offsets) > 0).sum())
    every, unseen = rank_both(scores, users, test.held_out, test.seen, count=max(KS), ties=test.ties)
    if not len(users):
        return Evaluation(users=users, of_users=0, interactions=0, top=unseen.top)
    counts = np.diff(positives.offsets)
    hits = [measures.find_hits(own.top, positives, scores.items) for own in (every, unseen)]
    values = {
        f"test_precision_at_{K}": measures.of_hits(hits[0], counts, K)["precision"],
        "test_auc": every.auc,
        "test_auc_unseen": unseen.auc,
    }
    for k in (own for own in KS if own <= scores.items or own == K):
        measured = measures.of_hits(hits[1], counts, k)
        values |= {f"test_{name}_at_{k}_unseen": own for name, own in measured.items()}
    lists, totals = measure_lists(unseen.top[:, :K], test, seed=seed)
    return Evaluation(
        users=users,
        of_users=of_users,
        interactions=len(positives.values),
        values=values | {f"test_{name}_at_{K}_unseen": own for name, own in lists.items()},
        totals={f"test_{name}_at_{K}_unseen": own for name, own in totals.items()},
        top=unseen.top,
        segments=[
            facts
            for segment in test.segments
            if (facts := _segment(segment, users, unseen, hits[1], test)) is not None
        ],
    )


def measure_one(scores: UserScores, test: HeldOutTest, measure: str, *, seed: int = 42) -> float:
    """Return one metric alone, faster than `evaluate`: `test_MEASURE_unseen`.

    Args:
        scores, test, seed: see evaluate.
        measure: one of measures.OBJECTIVES, such as "ndcg_at_10".

    Returns:
        The mean over users; 0 if no user defines it.
    """
    users = test.users(seed=seed)
    if measure == "auc":
        _, unseen = rank_both(scores, users, test.held_out, test.seen, count=1)
        return means({measure: unseen.auc}).get(measure, 0.0)
    name, _, length = measure.rpartition("_at_")
    positives = rows_of(test.held_out, users)
    found = top(scores, users, test.seen, int(length), test.ties)
    return means(measures.of_top(found, positives, scores.items)).get(name, 0.0)


def measure_lists(
    lists: Top, test: HeldOutTest, *, seed: int
) -> tuple[dict[str, Values], dict[str, float]]:
    """Compute the measures of lists (users, k) by name: for each list, and over all lists.

    The diversity is that of a sample of the lists, drawn by the seed; it is NaN for the others.
    """
    values = measures.of_lists(lists, test.popularity, test.trained_users)
    steps = int(test.popularity[lists[lists >= 0]].sum())
    most = min(_DIVERSITY_USERS, max(_DIVERSITY_FEWEST, _DIVERSITY_STEPS * len(lists) // max(1, steps)))
    chosen = sample(len(lists), most, seed=seed)
    diverse = np.full(len(lists), np.nan)
    if len(test.seen.values):
        diverse[chosen] = measures.diversity(lists[chosen], test.interactions)
    covered = measures.coverage(lists, len(test.popularity))
    return {**values, "diversity": diverse}, {"coverage": covered}


def measure_top(
    lists: Top, users: NDArray[np.int64], test: HeldOutTest, *, seed: int
) -> dict[str, float]:
    """Return the measures of given lists (n, K) for users (n,) by name, such as "ndcg"."""
    positives = rows_of(test.held_out, users)
    of_lists, totals = measure_lists(lists, test, seed=seed)
    return means({**measures.of_top(lists, positives, len(test.popularity)), **of_lists}) | totals


def evaluate_training(scores: UserScores, dataset: Dataset, *, seed: int) -> dict[str, float]:
    """Return `train_precision_at_10` and `train_auc`: on the training positives, among all items.

    If more than MAX_TRAIN_USERS have one, that many are drawn by the seed.
    """
    positives = dataset.profiles()
    users = np.flatnonzero(np.diff(positives.offsets))
    users = users[sample(len(users), MAX_TRAIN_USERS, seed=seed)]
    found = rank_all(scores, users, positives, count=K)
    own = rows_of(positives, users)
    precision = measures.of_top(found.top, own, scores.items)["precision"]
    return means({f"train_precision_at_{K}": precision, "train_auc": found.auc})


def means(values: Mapping[str, Values]) -> dict[str, float]:
    """Return the mean of each array without NaN; leaves out an array of NaN only."""
    known = {name: own[~np.isnan(own)] for name, own in values.items()}
    return {name: float(own.mean()) for name, own in known.items() if len(own)}


def _segment(
    segment: Segment, users: NDArray[np.int64], unseen: Ranking, hits: Hits, test: HeldOutTest
) -> SegmentFacts | None:
    """Measure a part of the test at 10, without seen items; None if no user belongs to it."""
    positives = rows_of(test.held_out, users)
    hits, auc = hits[:, :K], unseen.auc
    if segment.items is not None:
        # The lists stay as they are. Only the positives of the segment count.
        wanted = segment.items[positives.values]
        owners = positives.owners[wanted]
        counts = np.bincount(owners, minlength=len(users))
        hits = hits & segment.items[unseen.top[:, :K]]
        auc = np.full(len(users), np.nan)
    else:
        counts = np.diff(positives.offsets)
    chosen = counts > 0
    if segment.users is not None:
        chosen &= segment.users[users]
    if not chosen.any():
        return None
    measured = {f"{name}_at_{K}": own for name, own in measures.of_hits(hits, counts, K).items()}
    values = {name: own[chosen] for name, own in {**measured, "auc": auc}.items()}
    errors = {name: standard_error(own) for name, own in values.items()}
    return SegmentFacts(
        by=segment.by,
        value=segment.value,
        rule=segment.rule,
        users=int(chosen.sum()),
        interactions=int(counts[chosen].sum()),
        metrics=means(values),
        errors={name: error for name, error in errors.items() if error is not None},
    )
