"""The protocol that every backend implements, and checks that backends share."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import MismatchError
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.errors import SnapshotError


class SearchIndex(Protocol):
    """An index that finds candidates. The caller scores them exactly.

    Attributes:
        candidates: the number of candidates for ten results that the index was tuned with.
    """

    candidates: int

    def search(self, query: Float32Array, count: int, effort: float = 1.0) -> NDArray[np.int64]:
        """Return the rows of at most `count` items near a query, in any order.

        Several threads may search at the same time.

        Args:
            query: (d,), before any transform.
            count: number of candidates, >= 1; see lightfm_retriever.publication.search_effort.
            effort: effort relative to the tuned effort, > 0.
        """
        ...


def check_facts(name: str, facts: IndexFacts, *, metric: str, dimensions: int) -> None:
    """Raise SnapshotError unless an index has the metric and dimensions that its use requires."""
    for what, expected, found in (
        ("metric", metric, facts.metric),
        ("dimensions", dimensions, facts.dimensions),
    ):
        if found != expected:
            raise SnapshotError(f"index {name!r} has {what} {found!r}, but should have {expected!r}")


def check_content(path: Path, *facts: tuple[str, object, object]) -> None:
    """Raise MismatchError for the first fact of a file whose expected and found values differ."""
    for what, expected, found in facts:
        if found != expected:
            raise MismatchError(path, what, expected=expected, found=found)


def count_of(name: str, facts: IndexFacts, key: str, default: int) -> int:
    """Return a query parameter that must be a whole number. Raises SnapshotError if it isn't."""
    value = facts.query.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value < 2**31:
        raise SnapshotError(f"index {name!r}: query.{key} is {value!r}, but should be a whole number")
    return value


def effort_of(name: str, facts: IndexFacts, key: str) -> int:
    """Return the tuned effort by its name. Raises SnapshotError if there is none."""
    if (effort := count_of(name, facts, key, -1)) < 1:
        given = facts.query.get(key)
        raise SnapshotError(f"index {name!r}: query.{key} is {given}, but should be 1 or more")
    return effort
