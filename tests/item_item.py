"""Small item-item models: EASE (Steck 2019) in closed form, and what is published of one."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from trainer.publishing.publishable import Publishable


def ease(seen: Ragged, items: int, *, penalty: float = 250.0, keep: int = 300) -> Neighbours:
    """EASE of what users have seen, each item with the `keep` neighbours of the largest weights."""
    ones = np.ones(len(seen.values), dtype=np.float64)
    matrix = sp.csr_matrix((ones, seen.values, seen.offsets), shape=(len(seen), items))
    inverse = np.linalg.inv((matrix.T @ matrix).toarray() + penalty * np.eye(items))
    weights = inverse / -np.diag(inverse)
    return cut(weights, keep)


def cut(weights: NDArray[np.float64], keep: int) -> Neighbours:
    """The `keep` largest weights of each row, by size without sign."""
    keep = min(keep, len(weights) - 1)
    sizes = np.abs(weights)
    # No item is its own neighbour.
    np.fill_diagonal(sizes, -1)
    rows = np.sort(np.argsort(-sizes, axis=1, kind="stable")[:, :keep], axis=1)
    offsets = np.arange(len(weights) + 1) * keep
    own = np.take_along_axis(weights, rows, axis=1).astype(np.float32)
    return Neighbours(Ragged(offsets, rows.ravel().astype(np.int32)), own.ravel())


def interactions(users: int, items: int, *, seed: int) -> Ragged:
    """Users of four kinds, each of whom has seen items of the kind; the first has seen nothing."""
    random = np.random.default_rng(seed)
    rows = [np.empty(0, dtype=np.int64)]
    for user in range(1, users):
        kind = np.arange(user % 4, items, 4)
        rows.append(np.sort(random.choice(kind, min(len(kind), 2 + user % 6), replace=False)))
    owners = np.repeat(np.arange(users), [len(own) for own in rows])
    return ragged.of_owners(owners, np.concatenate(rows), users)


def source(*, users: int = 40, items: int = 30, seed: int = 1, **changes: Any) -> Publishable:
    """What is published of a small EASE."""
    seen = interactions(users, items, seed=seed)
    made: dict[str, Any] = {
        "items": IdMap.build([f"i{row}" for row in range(items)]),
        "users": IdMap.build([f"u{row}" for row in range(users)]),
        "neighbours": ease(seen, items, penalty=5.0, keep=12),
        "profiles": seen,
        "family": "ease",
        "seen": seen,
        "facts": DatasetFacts(
            name="small",
            split="none",
            train_interactions=len(seen.values),
            test_interactions=0,
            item_features=[],
            user_features=[],
        ),
    }
    return Publishable(**{**made, **changes})
