"""Prepares the subject of a report: a publication's vectors, and larger catalogues made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import ItemRow
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.errors import OptionError
from trainer.fitting.embeddings import Embeddings
from trainer.index.protocol import Backend
from trainer.index.tuning import TuningOptions

_CHUNK = 100_000
# Noise of an interpolated vector around the line between its parents, in standard deviations.
_STRAY = 0.05


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """The backends to compare, how to tune them, and the size of the largest synthetic catalogue."""

    backends: Sequence[Backend]
    max_items: int = 1_000_000
    tuning: TuningOptions

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        if not 100 <= self.max_items <= 10_000_000:
            raise OptionError("--max-items", self.max_items, "in 100..10000000")


def embeddings_of(version: Publication, *, item_biases: bool = True) -> Embeddings:
    """Return a version's embeddings. Without item biases, sets each bias to 0.

    Raises:
        NoVectorsError: the version has an item-item model.
    """
    vectors, user_vectors = version.vectors
    if not item_biases:
        vectors = vectors.copy()
        vectors[:, -1] = 0
    return Embeddings(vectors, user_vectors)


def name_of(version: Publication, item: ItemRow) -> str:
    """Return an item's title, or its id if it has no title."""
    title = "" if version.titles is None else ragged.text(version.titles, item)
    return title or version.items.external_id(item)


def repeated(vectors: Float32Array, count: int) -> Float32Array:
    """Repeat the vectors, as the notebook does to scale its catalogue. Returns (count, d) float32."""
    return np.ascontiguousarray(np.resize(vectors, (count, vectors.shape[1])))


def interpolated(vectors: Float32Array, count: int, *, seed: int) -> Float32Array:
    """Draw distinct vectors between random pairs of vectors, with noise. Returns (count, d) float32."""
    random = np.random.default_rng(seed)
    spread = _STRAY * vectors.std(axis=0)
    made = np.empty((count, vectors.shape[1]), dtype=np.float32)
    for start in range(0, count, _CHUNK):
        rows = made[start : start + _CHUNK]
        first, second = random.integers(0, len(vectors), (2, len(rows)))
        share = random.random((len(rows), 1), dtype=np.float32)
        rows[:] = vectors[first] * share + vectors[second] * (1 - share)
        rows += spread * random.standard_normal(rows.shape, dtype=np.float32)
    return made


def some_users(version: Publication, count: int, *, seed: int) -> NDArray[np.int64]:
    """Draw the rows of up to `count` users; only users with held-out items, if there are any."""
    rows = np.arange(len(version.users))
    if version.held_out is not None:
        rows = np.flatnonzero(np.diff(version.held_out.offsets))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])
