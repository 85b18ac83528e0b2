"""Publishes small versions of clearly different models, and checks their answers exactly.

Their Annoy indexes look at every item, so only the exact answer is right.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    best,
    row_norms,
    split_biases,
    unit_rows,
    user_queries,
)
from lightfm_retriever.publication.writer import Staging
from tests import publications, retrievable

USERS = 100
SEEN = 5
LIMIT = 10
TREES = 5
# Items of all models. Each model also has its own items.
ITEM_IDS = [f"item-{number}" for number in range(250)]
USER_IDS = [f"user-{number}" for number in range(USERS)]
_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a version, and whether its indexes look at every item."""

    items: int = 300
    components: int = 16
    every: bool = True


@dataclass(frozen=True)
class Model:
    """One version's vectors and id maps, to compute its right answers."""

    version: str
    items: IdMap
    users: IdMap
    item_vectors: Float32Array
    user_vectors: Float32Array
    seen: Ragged

    def problem(self, kind: str, asked: str, item_ids: list[str], scores: list[float]) -> str | None:
        """Return the problem of an answer that names this version; None if the answer is right."""
        expected = self._recommended(asked) if kind == "Recommend" else self._similar(asked)
        rows = [self.items.row(item_id) for item_id in item_ids]
        if None in rows:
            return "an item of another version"
        own = expected[rows]
        if not np.isfinite(own).all():
            return "an item that should be left out"
        if not np.allclose(own, scores, atol=_TOLERANCE):
            return "scores of another version"
        top = expected[best(expected, LIMIT)]
        # Compare scores: two items with equal scores may swap places.
        return None if np.allclose(top, scores, atol=_TOLERANCE) else "not the best items"

    def _recommended(self, user_id: str) -> Float32Array:
        row = self.users.row(user_id)
        scores = self.item_vectors @ user_queries(self.user_vectors[row]) + self.user_vectors[row][-1]
        scores[self.seen[row]] = -np.inf
        return np.asarray(scores, dtype=np.float32)

    def _similar(self, item_id: str) -> Float32Array:
        row = self.items.row(item_id)
        units = unit_rows(split_biases(self.item_vectors)[0])
        scores = units @ units[row]
        scores[row] = -np.inf
        return np.asarray(scores, dtype=np.float32)


def publish(volume: Path, family: str, seed: int, size: Size = Size()) -> Model:
    """Publish a version of a family ("a", "b", ...), with its own items, and vectors drawn by the seed.

    Raises:
        VolumeError: the volume can't be written.
    """
    random = np.random.default_rng([seed, *family.encode()])
    own_ids = [f"{family}-{number}" for number in range(size.items - len(ITEM_IDS))]
    items = IdMap.build(ITEM_IDS + own_ids)
    users = IdMap.build(USER_IDS)
    item_vectors = random.normal(size=(size.items, size.components + 1)).astype(np.float32)
    user_vectors = random.normal(size=(USERS, size.components + 1)).astype(np.float32)
    each = [np.sort(random.choice(size.items, SEEN, replace=False)) for _ in range(USERS)]
    seen = retrievable.ragged(each)
    with Staging(volume) as staging:
        staging.add_id_map(layout.ITEM_IDS, items)
        staging.add_id_map(layout.USER_IDS, users)
        staging.add_array(layout.ITEM_VECTORS, item_vectors)
        staging.add_array(layout.ITEM_NORMS, row_norms(split_biases(item_vectors)[0]))
        staging.add_array(layout.USER_VECTORS, user_vectors)
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, seen)
        everything = {"search_k": 1_000_000, "candidates": size.items}
        query = everything if size.every else {"search_k": 100 * TREES, "candidates": LIMIT}
        build = {"trees": TREES}
        indexes = retrievable.build_indexes(staging, item_vectors, build=build, query=query)
        counts = {"items": size.items, "users": USERS, "components": size.components}
        nothing: dict[str, Any] = {"libraries": {}, "hyperparameters": {}, "metrics": {}}
        version = staging.publish(publications.facts(**counts, indexes=indexes, **nothing)).version
    return Model(version, items, users, item_vectors, user_vectors, seen)
