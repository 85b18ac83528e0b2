"""What a report is about: a publication's vectors, and more of their kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import ItemIds, ItemRow, UserIds
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.fitting.embeddings import Embeddings

_CHUNK = 100_000
# How far an interpolated vector strays from the line between its parents, in standard deviations.
_STRAY = 0.05


@dataclass(frozen=True)
class OpenedVersion:
    """A publication, opened; rows are its id maps'."""

    manifest: Manifest
    items: ItemIds
    users: UserIds
    embeddings: Embeddings
    seen: Ragged
    held_out: Ragged | None
    titles: Ragged | None

    @classmethod
    def open(cls, volume: Path, version: str) -> OpenedVersion:
        """Open a version; raises PublicationError."""
        opened = reader.open_publication(volume, version)
        return cls(
            opened.manifest,
            opened.items,
            opened.users,
            Embeddings(opened.item_vectors, opened.user_vectors),
            opened.seen,
            opened.held_out,
            opened.titles,
        )

    def name_of(self, item: ItemRow) -> str:
        """An item's title, or its id when it has none."""
        title = "" if self.titles is None else ragged.text(self.titles, item)
        return title or self.items.external_id(item)

    def without_item_biases(self) -> Embeddings:
        """The same embeddings, every item's bias 0."""
        vectors = self.embeddings.item_vectors.copy()
        vectors[:, -1] = 0
        return replace(self.embeddings, item_vectors=vectors)


def repeated(vectors: Float32Array, count: int) -> Float32Array:
    """The same vectors again and again, as the notebook scales its catalogue: (count, d)."""
    return np.ascontiguousarray(np.resize(vectors, (count, vectors.shape[1])))


def interpolated(vectors: Float32Array, count: int, *, seed: int) -> Float32Array:
    """Vectors between random pairs of vectors, straying a little: (count, d), no two alike."""
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


def no_rows(count: int) -> Ragged:
    """`count` empty rows."""
    return Ragged(np.zeros(count + 1, dtype=np.int64), np.empty(0, dtype=np.int32))


def some_users(subject: OpenedVersion, count: int, *, seed: int) -> NDArray[np.int64]:
    """Rows of at most `count` users, of those with held-out items if there are any."""
    rows = np.arange(len(subject.users))
    if subject.held_out is not None:
        rows = np.flatnonzero(np.diff(subject.held_out.offsets))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])
