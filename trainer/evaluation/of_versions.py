"""Rank items for users of a published version of any kind, as a retriever does by exact search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.vectors.vector_space import best
from trainer.evaluation.evaluation import K

if TYPE_CHECKING:
    # The command line imports this module, and SciPy takes long to load.
    from trainer.fitting.scores import UserScores


def scores_of_version(version: Publication) -> UserScores:
    """Return the scores of a version's model for its users."""
    from trainer.fitting.scores import NeighbourScores, VectorScores

    if version.neighbours is None:
        return VectorScores(*version.vectors)
    profiles = version.seen if version.profiles is None else version.profiles
    return NeighbourScores(version.neighbours, profiles)


def exact_answers(
    version: Publication, users: NDArray[np.int64], excluded: Sequence[Rows]
) -> Iterator[Rows]:
    """Yield the rows of each user's best K items, best first, ties by row.

    The `excluded` items of each of the users are left out, and so are items without a score above 0
    from an item-item model. So fewer than K rows may remain.
    """
    least = -np.inf if version.neighbours is None else 0.0
    left_out = iter(excluded)
    for chunk in scores_of_version(version).chunks(users):
        for scores in chunk:
            scores[next(left_out)] = -np.inf
            rows = best(scores, K)
            yield rows[scores[rows] > least]
