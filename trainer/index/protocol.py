"""What every backend offers to the trainer."""

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
"""What nearest means: highest cosine (similar items) or highest inner product (recommend)."""

TREES = Option(
    "number of trees of an Annoy index (default: as few as reach the target)",
    ge=1,
    le=10_000,
    group="index",
)

Settings = dict[str, Scalar]
"""Build or query parameters by name, as the manifest carries them."""


class Searchable(Protocol):
    """An index that was built and saved."""

    def search(
        self, query: Float32Array, count: int, effort: int, relative: float = 1.0
    ) -> NDArray[np.int64]:
        """Rows of at most `count` items near a query (d,), looking at as much as `effort` says.

        What an effort counts is the backend's (see Effort). It is scaled to `count`, and to a
        `relative` effort, by lightfm_retriever.publication.search_effort, as the retriever does.
        """
        ...


@dataclass(frozen=True)
class Effort:
    """The query parameter that trades time for recall.

    Attributes:
        name: what it is called in the manifest.
        least, most: whole numbers; with more than `most` nothing changes.
    """

    name: str
    least: int
    most: int


@dataclass(frozen=True)
class BuiltIndex:
    """An index that was saved, and the facts about it that the manifest carries (see IndexFacts).

    Attributes:
        candidates: how many to ask for when ten are wanted; more than ten when the index's own order
            is approximate.
        effort: None when a search can't look at less than everything.
        has_file: whether a file was saved.
        release: gives back what memory the index has of its own, until the next search. One that maps
            its file has next to none.
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
    """An index that is to be built.

    Attributes:
        vectors: (n, d) float32, finite, no zero rows.
        path: where to save it.
        settings: one of the backend's `rounds`.
        seed: of whatever is random.
        threads: to build with; with more than 1 a build can't be reproduced exactly.
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
    """Rows as an index holds them, made where they are asked for.

    Augmented, all have the same norm, so that near is high by inner product; see vector_space.
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
        name: its name in the manifest and on the command line, and the suffix of its files.
        distribution: the package that it needs, whose version is recorded; None for none.
    """

    name: str
    distribution: str | None

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:
        """Build parameters worth trying, the quickest to build first.

        All of a round are tried and the best is kept. The next round is for when that isn't enough.
        """
        ...

    def build(self, task: IndexTask) -> BuiltIndex:
        """Build an index, save it, and open what was saved.

        Raises:
            OSError: the file can't be written.
        """
        ...
