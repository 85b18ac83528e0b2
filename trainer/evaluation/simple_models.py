"""Compare a model with simple ones on the same test users.

A model that a simple one beats isn't worth serving. The simple ones are fitted to the same training
interactions, without tuning, and cost a few seconds. They are popularity, item-kNN and EASE. For a
large catalogue, item-kNN has its most popular items only, and EASE is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.facts.evaluation import SimpleModelFacts
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from trainer import models
from trainer.evaluation import measures
from trainer.evaluation.confidence import standard_error
from trainer.evaluation.evaluation import Evaluation, K
from trainer.evaluation.held_out_test import HeldOutTest, rows_of
from trainer.fitting.scores import NeighbourScores, SameScores, UserScores, top
from trainer.index.exact import sample
from trainer.models.protocol import Fitting, Shape
from trainer.preparing.dataset import Dataset

POPULAR, ITEM_KNN, EASE = "popular", "item-knn", "ease"

# Of the model's evaluated users.
_MAX_USERS = 2000
# Estimates of a fit, for one slow core.
_MOST_SECONDS = 5.0
# The catalogue of item-kNN when all items would take longer.
_MOST_ITEMS = 8000
# Standard errors of a difference that chance hardly explains, if there are enough users.
_CERTAIN = 2.0
_ENOUGH_USERS = 20
_NDCG = f"test_ndcg_at_{K}_unseen"


def compare(
    found: Evaluation, test: HeldOutTest, dataset: Dataset | None, *, model: str, fitting: Fitting
) -> list[SimpleModelFacts]:
    """Fit the simple models, and evaluate them on users that the model was evaluated on.

    Args:
        found: the evaluation of the model.
        test: the test of both.
        dataset: the training interactions; None to compare with popularity only.
        model: the family of the model, which needn't be compared with itself.
        fitting: seed and threads.
    """
    chosen = sample(len(found.users), _MAX_USERS, seed=fitting.seed)
    if not len(chosen):
        return []
    users, own = found.users[chosen], found.values[_NDCG][chosen]
    positives = rows_of(test.held_out, users)
    made = []
    for name, scores, items in _fitted(test, dataset, model, replace(fitting, start=None)):
        best = top(scores, users, test.seen, K, test.ties)
        values = measures.of_top(best, positives, len(test.popularity))["ndcg"]
        made.append(
            SimpleModelFacts(
                name=name,
                users=len(users),
                ndcg_at_10=float(values.mean()),
                model_ndcg_at_10=float(own.mean()),
                error=standard_error(values - own),
                items=items,
            )
        )
    return made


def warnings_of(simple: Sequence[SimpleModelFacts]) -> Iterator[str]:
    """Yield a warning for each simple model that wins by more than chance explains.

    Few users have equal values by chance, so their standard error says nothing.
    """
    for own in simple:
        lost = own.ndcg_at_10 - own.model_ndcg_at_10
        if own.users >= _ENOUGH_USERS and lost > _CERTAIN * (own.error or 0.0):
            hint = "" if own.name == POPULAR else f" or --model {own.name}"
            yield (
                f"{own.name} ranks better than this model: NDCG@10 {own.ndcg_at_10:.4f} against "
                f"{own.model_ndcg_at_10:.4f} for the same {own.users:,} users; try --model "
                f"{models.AUTO}{hint}"
            )


def _fitted(
    test: HeldOutTest, dataset: Dataset | None, model: str, fitting: Fitting
) -> Iterator[tuple[str, UserScores, int]]:
    """Yield the name, the scores and the number of items of each simple model that is cheap enough."""
    popularity = test.popularity
    yield POPULAR, SameScores(popularity.astype(np.float32)), len(popularity)
    if dataset is None:
        return
    shape = Shape.of(dataset)
    for name in (ITEM_KNN, EASE):
        if name == model:
            continue
        family = models.family(name)
        settings = family.default(shape)
        if family.seconds(shape, settings) <= _MOST_SECONDS:
            yield name, family.fit(dataset, settings, fitting).scores, shape.items
        elif name == ITEM_KNN:
            kept = np.sort(np.argsort(-popularity, kind="stable")[:_MOST_ITEMS])
            made = family.fit(_only(dataset, kept), settings, fitting).neighbours
            assert made is not None  # noqa: S101 - it is an item-item model
            scores = NeighbourScores(_among(made, kept, shape.items), dataset.profiles())
            yield name, scores, len(kept)


def _only(dataset: Dataset, items: NDArray[np.int64]) -> Dataset:
    """Return a dataset with some items only; just its training matrix is used."""
    return replace(dataset, train=dataset.train[:, items])


def _among(made: Neighbours, items: NDArray[np.int64], count: int) -> Neighbours:
    """Return neighbours of `items` as neighbours of all `count` items; the others have none."""
    lengths = np.zeros(count, dtype=np.int64)
    lengths[items] = np.diff(made.rows.offsets)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Neighbours(Ragged(offsets, items[made.rows.values].astype(np.int32)), made.weights)
