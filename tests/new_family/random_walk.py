"""What would be trainer/models/random_walk.py.

Random walk: from an item to one of its users, and to one of that user's items (Cooper et al. 2014,
"Random walks in recommender systems: exact computation and simulations").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError
from trainer.models.protocol import Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    from trainer.preparing.dataset import Dataset

_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class RandomWalkSettings:
    """The hyperparameters of the random walk."""

    alpha: Annotated[float, Option("exponent of the probabilities of steps", gt=0, le=10)] = 1.0
    neighbours: Annotated[int, Option("neighbours of each item", ge=1, le=100_000)] = 100

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


class RandomWalk(Family):
    """The family; see trainer.models.protocol."""

    name = "random-walk"
    told = "item-item, by walks over common users"
    settings = RandomWalkSettings
    libraries: Sequence[str] = ("scipy",)
    has_vectors = False
    uses_weights = True

    def candidates(self, shape: Shape) -> Sequence[RandomWalkSettings]:
        """See Family."""
        start = self.default(shape)
        return [start, replace(start, alpha=1.5), replace(start, alpha=0.7)]

    def seconds(self, shape: Shape, settings: Any) -> float:  # noqa: ARG002 - as in Family
        """See Family: the steps of all pairs."""
        return 0.1 + 6e-8 * shape.items**2 + 2e-8 * shape.squares

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from trainer.models import factors, sparse_rows

        to_items = factors.positives_of(dataset, weighted=fitting.sample_weights)
        to_users = to_items.T.tocsr()
        for steps in (to_items, to_users):
            sums = np.asarray(steps.sum(axis=1)).ravel()
            steps.data = (steps.data / np.repeat(sums, np.diff(steps.indptr))) ** settings.alpha

        def rows():
            for start in range(0, len(dataset.items), _ROWS):
                chunk = (to_users[start : start + _ROWS] @ to_items).toarray()
                chunk[np.arange(len(chunk)), np.arange(start, start + len(chunk))] = 0
                yield chunk.astype(np.float32)

        neighbours = sparse_rows.strongest(rows(), settings.neighbours)
        return sparse_rows.fitted(neighbours, dataset, fitting)
