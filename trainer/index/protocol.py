"""What every backend offers to the trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from publication.manifest import Scalar
from publication.vector_space import Float32Array

Space = Literal["cosine", "inner_product"]
"""What nearest means: highest cosine (similar items) or highest inner product (recommend)."""


class Searchable(Protocol):
    """An index that was built and saved."""

    def search(self, query: Float32Array, count: int) -> NDArray[np.int64]:
        """Rows of at most `count` items nearest to a query (d,), nearest first."""
        ...


@dataclass(frozen=True)
class BuiltIndex:
    """An index and the facts about it that the manifest carries (see IndexFacts)."""

    backend: str
    metric: str
    dimensions: int
    file: str | None
    build: dict[str, Scalar]
    query: dict[str, Scalar]
    index: Searchable
    # How many candidates a query looks at, at the least, before they are scored exactly.
    candidates: int


class Backend(Protocol):
    """Builds indexes of one kind."""

    def build(
        self,
        vectors: Float32Array,
        space: Space,
        path_of: Callable[[str], Path],
        *,
        seed: int,
        threads: int,
        on_items: Callable[[int], None],
    ) -> BuiltIndex:
        """Build the index of vectors (n, d), save it, and open what was saved.

        Args:
            vectors: (n, d) float32, finite, no zero rows.
            space: what nearest means.
            path_of: where to save a file with a given suffix.
            seed: of whatever is random.
            threads: to build with; with more than 1 a build can't be reproduced exactly.
            on_items: called with the number of items added since the last call.

        Raises:
            OSError: the file can't be written.
        """
        ...
