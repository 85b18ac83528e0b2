"""Vectors that tell a good index from a bad one, and what they should be answered with."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import candidates_for
from lightfm_retriever.publication.storage.ragged import Ragged
from tests.retrievable import ragged as rows
from trainer.index import make_backends
from trainer.index.protocol import BuiltIndex, IndexTask, Settings, Space

SPACES: tuple[Space, ...] = ("cosine", "inner_product")
DIMENSIONS = 9


def vectors(count: int, dimensions: int = DIMENSIONS, *, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def uneven(count: int, dimensions: int = DIMENSIONS, *, seed: int = 1) -> NDArray[np.float32]:
    """Random directions with norms of a log-normal distribution."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(count, dimensions))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (directions * random.lognormal(size=(count, 1))).astype(np.float32)


def nothing(queries: int) -> Ragged:
    return rows([[]] * queries)


def own(items: int) -> Ragged:
    return rows([row] for row in range(items))


def build(
    name: str,
    of: NDArray[np.float32],
    space: Space,
    folder: Path,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> BuiltIndex:
    (backend,) = make_backends(name)
    settings = settings or dict(backend.rounds(len(of), space)[0][0])
    path = folder / f"it.{name}"
    return backend.build(IndexTask(of, space, path, settings, **{"seed": 1, **options}))


def most(built: BuiltIndex) -> int:
    return 0 if built.effort is None else built.effort.most


def scores(of: NDArray[np.float32], query: NDArray[np.float32], space: Space) -> NDArray[np.float64]:
    """In float64, from the definition; the query's own norm doesn't change an order."""
    exact = of.astype(np.float64)
    if space == "cosine":
        exact /= np.sqrt((exact**2).sum(axis=1, keepdims=True))
    return exact @ query.astype(np.float64)


def recall(
    built: BuiltIndex,
    of: NDArray[np.float32],
    queries: NDArray[np.float32],
    space: Space,
    effort: int | None = None,
) -> float:
    """Share of the true ten that are among the best ten of the candidates, by brute force."""
    found = wanted = 0
    effort, count = most(built) if effort is None else effort, candidates_for(10, built.candidates, 0)
    for query in queries:
        true = scores(of, query, space)
        answer = built.index.search(query, count, effort)
        assert answer.dtype == np.int64
        assert len({*answer.tolist()}) == len(answer) <= count
        best = np.sort(true[answer])[::-1][:10]
        expected = np.sort(true)[::-1][:10]
        wanted += len(expected)
        # Of equal items any will do.
        found += int((best >= expected[-1] - 1e-9 * abs(expected[-1])).sum())
    return found / wanted
