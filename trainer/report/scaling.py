"""Measures the time of one query by the number of vectors."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics.pairwise import pairwise_distances
from threadpoolctl import threadpool_limits

from lightfm_retriever.publication.manifest import MeasuredSetting
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.index.measure import Questions
from trainer.index.protocol import Backend, Settings, Space
from trainer.index.tuning import tune
from trainer.progress import Reporter
from trainer.report.subject import ReportOptions, embeddings_of, interpolated, repeated

_SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
_PAIRWISE_SECONDS = 1.0
_PAIRWISE_QUERIES = 20
PAIRWISE = "scikit-learn"


@dataclass(frozen=True)
class Point:
    """A backend on one catalogue, with the fastest setting that reaches the target."""

    vectors: str
    items: int
    backend: str
    recall_at_10: float
    query_microseconds: float
    build_seconds: float
    file_bytes: int
    trials: list[MeasuredSetting]


class FirstBuild:
    """A backend with only its first build settings, which are the quickest to build."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name = backend.name
        self.distribution = backend.distribution
        self.build = backend.build

    def rounds(self, items: int, space: Space) -> Sequence[Sequence[Settings]]:
        """See Backend."""
        return [self._backend.rounds(items, space)[0][:1]]


def measure_scaling(subject: Publication, options: ReportOptions, reporter: Reporter) -> list[Point]:
    """Measure inner-product search by each backend, on catalogues of growing size.

    The queries are the publication's users. The notebook measured with `repeated` vectors.
    `interpolated` vectors all differ, as in a real catalogue.
    """
    points = []
    queries, tuning = embeddings_of(subject).queries, options.tuning
    excluded = ragged.empty(len(queries))
    sizes = [*(size for size in _SIZES if size < options.max_items), options.max_items]
    for kind, size in itertools.product(("repeated", "interpolated"), sizes):
        if kind == "repeated":
            vectors = repeated(subject.vectors[0], size)
        else:
            vectors = interpolated(subject.vectors[0], size, seed=tuning.seed)
        points.append(_pairwise(kind, vectors, queries))
        questions = Questions(vectors, queries, "inner_product", excluded=excluded, seed=tuning.seed)
        for backend in options.backends:
            with tempfile.TemporaryDirectory() as directory:
                first, name = [FirstBuild(backend)], f"{size:,} {kind}"
                tuned = tune(first, questions, Path(directory), tuning, reporter=reporter, name=name)
                trial, build_seconds = tuned.choice.trial, tuned.facts.build_seconds
                file_bytes = 0 if tuned.path is None else tuned.path.stat().st_size
            found = trial.recall_at_10, trial.query_microseconds, build_seconds, file_bytes
            points.append(Point(kind, size, backend.name, *found, tuned.facts.trials))
    return points


def _pairwise(kind: str, vectors: Float32Array, queries: Float32Array) -> Point:
    """Measure the notebook's method: sort all cosine distances of a query, by scikit-learn."""
    nanoseconds = []
    ends = time.perf_counter() + _PAIRWISE_SECONDS
    with threadpool_limits(1):
        for query in queries[:_PAIRWISE_QUERIES]:
            started = time.perf_counter_ns()
            distances = pairwise_distances(query[None, :], vectors, metric="cosine")[0]
            np.argsort(distances)[:10]
            nanoseconds.append(time.perf_counter_ns() - started)
            if time.perf_counter() > ends:
                break
    microseconds = float(np.median(nanoseconds)) / 1000
    return Point(kind, len(vectors), PAIRWISE, 1.0, microseconds, 0.0, 0, [])
