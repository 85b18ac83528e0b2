"""Define the interface of a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication.manifest import Scalar
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    fold_biases,
    missing_lengths,
)

Space = Literal["cosine", "inner_product"]
"""The meaning of nearest: highest cosine (similar items) or highest inner product (recommend)."""

TREES = Option(
    "number of trees of an Annoy index (default: as few as reach the target)",
    ge=1,
    le=10_000,
    group="index",
)

Settings = dict[str, Scalar]
"""Build or query parameters by name, as in the manifest."""


class Searchable(Protocol):
    """A saved index."""

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        """Return the rows (int64) of at most `count` items near a query (d,).

        The backend defines the unit of `effort` (see Effort). It is scaled to `count` and to the
        `relative` effort by lightfm_retriever.publication.search_effort, as in the retriever.
        """
        ...


@dataclass(frozen=True)
class Effort:
    """The query parameter that trades time for recall.

    Attributes:
        name: its name in the manifest.
        least, most: the range; more than `most` changes nothing.
    """

    name: str
    least: int
    most: int


@dataclass(frozen=True)
class BuiltIndex:
    """A saved index with its facts for the manifest (see IndexFacts).

    Attributes:
        candidates: how many candidates to ask for ten results; more than ten if the order of the index
            is approximate.
        effort: None if a search always looks at all items.
        has_file: whether a file was saved.
        release: frees the memory of the index until the next search. An index that maps its file has
            almost none.
    """

    metric: str
    dimensions: int
    build: Settings
    candidates: int
    effort: Effort | None
    has_file: bool
    index: Searchable
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class IndexTask:
    """An index to build.

    Attributes:
        vectors: (n, d) float32, finite, no zero rows.
        space: the meaning of nearest.
        path: where to save the index.
        settings: one of the `rounds` of the backend.
        seed: of all random choices.
        threads: for the build; with more than 1, a build can't be reproduced exactly.
        on_items: called with the number of items added since the last call.
    """

    vectors: Float32Array
    space: Space
    path: Path
    settings: Settings
    seed: int
    threads: int = 1
    on_items: Callable[[int], None] = lambda _: None


class Indexed:
    """Vectors as an index holds them, computed on demand.

    Augmented vectors have equal norms, so the nearest ones have the highest inner products; see
    vector_space.
    """

    def __init__(self, vectors: Float32Array, *, augment: bool) -> None:
        self._vectors = vectors
        self._lengths = missing_lengths(vectors) if augment else None
        self.dimensions = vectors.shape[1] + augment

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Float32Array:
        chosen = self._vectors[rows]
        return chosen if self._lengths is None else fold_biases(chosen, self._lengths[rows])


class Backend(Protocol):
    """Builds indexes of one kind.

    Attributes:
        name: the name in the manifest and on the command line, and the suffix of index files.
        distribution: the package that it needs, whose version the manifest records; None for none.
    """

    name: str
    distribution: str | None

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:
        """Return rounds of build parameters to try, the quickest to build first.

        All settings of a round are tried, and the best one is kept. The next round follows only if it
        misses the target.
        """
        ...

    def build(self, task: IndexTask) -> BuiltIndex:
        """Build an index, save it, and open the saved file.

        Raises:
            OSError: the file can't be written.
        """
        ...
