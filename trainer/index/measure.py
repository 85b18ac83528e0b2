"""Build indexes, and measure their recall and time against exact search."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting.observing.spans import span
from lightfm_retriever.hosting.process import release_heap
from lightfm_retriever.publication.manifest import MeasuredSetting
from lightfm_retriever.publication.search_effort import MOST_RESULTS, TUNED_FOR, candidates_for
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, row_norms, unit_rows
from trainer.index.exact import score_chunks
from trainer.index.protocol import Backend, BuiltIndex, IndexTask, Settings, Space
from trainer.progress import Reporter

MAX_QUERIES = 1000
# In a large catalogue, scoring every item for every query takes most of the time, so fewer queries are
# asked. 3,000 neighbours still measure recall to half a percent.
_MAX_SCORES = 300_000_000
# Slow searches are measured with fewer queries: as many as fit into this time, but some at least.
_SECONDS = 2.0
_MIN_QUERIES = 100
# Numbers of results beyond ten at which recall is measured, with _MIN_QUERIES queries each.
_DEPTHS = (30, 100, 300, MOST_RESULTS)
# Two scores that differ by less, relative to the norms of item and query, are equal: float32 can't
# distinguish duplicates of a vector.
_TIE = 1e-6
# The curve continues beyond the target up to this recall, to show the cost of more recall.
_NEARLY_ALL = 0.995
_REFINEMENTS = 3


@dataclass(frozen=True)
class Measurement:
    """Recall in [0, 1], and the median time of a query in microseconds on one thread."""

    recall: float
    query_microseconds: float


class Questions:
    """Queries with known nearest neighbours, asked in the same way as by the retriever.

    Args:
        vectors: (n, d) float32, the indexed vectors before any transform.
        queries: (m, d). A sample of at most MAX_QUERIES is asked in random order, fewer for a large
            catalogue.
        space: the meaning of nearest.
        excluded: for each query the ascending rows that aren't answers: the item itself, or the seen
            items of a user.
        seed: the seed of the sample.
        prepare: turns the drawn rows of `queries` into queries.
    """

    def __init__(
        self,
        vectors: Float32Array,
        queries: Float32Array,
        space: Space,
        *,
        excluded: Ragged,
        seed: int,
        prepare: Callable[[Float32Array], Float32Array] = np.ascontiguousarray,
    ) -> None:
        chosen = np.random.default_rng(seed).permutation(len(queries))
        chosen = chosen[: min(MAX_QUERIES, max(_MIN_QUERIES, _MAX_SCORES // len(vectors)))]
        queries = prepare(queries[chosen])
        self.vectors, self.space = vectors, space
        self._queries = unit_rows(queries) if space == "cosine" else queries
        # For cosines, inner products are divided by norms: unit vectors would need a copy of all.
        self._norms = row_norms(vectors) if space == "cosine" else None
        # Copy the rows, since views would keep the rows of all queries in memory.
        self._excluded = [excluded[row].copy() for row in chosen.tolist()]
        self._possible: list[int] = []
        #: Numbers of results beyond ten at which recall is measured; the catalogue has twice as many.
        self.depths = [depth for depth in _DEPTHS if 2 * depth <= len(vectors)]
        self._thresholds: dict[int, list[float]] = {
            results: [] for results in (TUNED_FOR, *self.depths)
        }
        for rows, scores in score_chunks(self._queries, self.vectors):
            if self._norms is not None:
                scores /= self._norms
            for position, own in zip(range(rows.start, rows.stop), scores, strict=True):
                self._note_thresholds(own, position)
            # Free these scores before the next ones are made.
            del scores, own

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self._queries)

    def _hide(self, scores: Float32Array, position: int) -> int:
        """Set the scores of items that aren't answers to -inf. Returns the number of other items."""
        scores[self._excluded[position]] = -np.inf
        return len(scores) - len(self._excluded[position])

    def _wanted(self, position: int, results: int) -> int:
        return min(results, self._possible[position])

    def _note_thresholds(self, scores: Float32Array, position: int) -> None:
        """Note the least score of an item that counts as one of the nearest, for each depth."""
        self._possible.append(self._hide(scores, position))
        asked = [TUNED_FOR, *(self.depths if position < _MIN_QUERIES else ())]
        places = [len(scores) - self._wanted(position, results) for results in asked]
        ordered = np.partition(scores, [place for place in places if place < len(scores)] or [0])
        for results, place in zip(asked, places, strict=True):
            least = np.inf
            if place < len(scores):
                kth = ordered[place]
                least = float(np.float32(kth - _TIE * self._greatest(scores == kth, position)))
            self._thresholds[results].append(least)

    def _greatest(self, those: NDArray[np.bool_], position: int) -> np.float32:
        """Return the largest possible score of a query with the masked vectors."""
        if self._norms is not None:
            return np.float32(1)
        query = self._queries[position : position + 1]
        return np.float32(row_norms(self.vectors[those]).max() * row_norms(query)[0])

    def _best_scores(self, query: Float32Array, rows: NDArray[np.int64], results: int) -> Float32Array:
        """Score candidates exactly, and return the highest scores."""
        scores: Float32Array = self.vectors[rows] @ query
        if self._norms is not None:
            scores /= self._norms[rows]
        return scores[best(scores, results)]

    def ask(
        self, built: BuiltIndex, effort: int, results: int = TUNED_FOR, relative: float = 1.0
    ) -> Measurement:
        """Search for candidates, score them exactly, and measure recall of the best `results`.

        `results` is ten or one of `depths`; `effort` and `relative` are those of Searchable.search.
        """
        # Imported here, since the flags need only the defaults of tuning.
        from threadpoolctl import threadpool_limits

        found = wanted = 0
        thresholds = self._thresholds[results]
        nanoseconds: list[int] = []
        ends = time.perf_counter() + _SECONDS
        # A worker answers a request on one thread. All numbers are finite, but SIMD code may flag bytes
        # behind the last number, and NumPy would warn.
        with threadpool_limits(1), np.errstate(invalid="ignore"):
            for position, query in enumerate(self._queries[: len(thresholds)]):
                if position >= _MIN_QUERIES and time.perf_counter() > ends:
                    break
                excluded = self._excluded[position]
                started = time.perf_counter_ns()
                count = candidates_for(results, built.candidates, len(excluded))
                rows = built.index.search(query, count, effort, relative)
                if len(excluded):
                    rows = rows[~are_among(rows, excluded)]
                scores = self._best_scores(query, rows, results)
                nanoseconds.append(time.perf_counter_ns() - started)
                found += int((scores >= thresholds[position]).sum())
                wanted += self._wanted(position, results)
        return Measurement(
            recall=min(1.0, found / wanted) if wanted else 1.0,
            query_microseconds=float(np.median(nanoseconds)) / 1000,
        )


@dataclass(frozen=True)
class Choice:
    """A built index, measured at one effort."""

    backend: Backend
    built: BuiltIndex
    effort: int
    trial: MeasuredSetting
    build_seconds: float
    path: Path

    def reaches(self, target: float) -> bool:
        """Whether the index reaches the target recall."""
        return self.trial.recall_at_10 >= target


@dataclass(frozen=True, kw_only=True)
class Builds:
    """Builds indexes of the vectors of `questions`, and measures them.

    The files are in `directory`. The reporter gets a step for each build of index `name`.
    """

    questions: Questions
    directory: Path
    name: str
    reporter: Reporter
    seed: int
    threads: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def curve(
        self, backend: Backend, settings: Settings, *, target: float, give_up: float
    ) -> Iterator[Choice]:
        """Build one index and measure it, until a query takes longer than `give_up` microseconds."""
        vectors = self.questions.vectors
        path = self.directory / f"{next(self._numbers)}.{backend.name}"
        described = " ".join([backend.name, *map(str, settings.values())])
        release_heap()
        started = time.perf_counter()
        with (
            span("build index", index=self.name, settings=described),
            self.reporter.step(f"Index {self.name!r}, {described}, items", len(vectors)) as advance,
        ):
            task = IndexTask(
                vectors, self.questions.space, path, settings, self.seed, self.threads, advance
            )
            built = backend.build(task)
        seconds = time.perf_counter() - started
        release_heap()
        recorded: Settings = {}
        if built.has_file:
            recorded = {**built.build, "seed": self.seed, "threads": self.threads}

        def measured(effort: int) -> Choice:
            with span("measure", index=self.name, effort=effort):
                found = self.questions.ask(built, effort)
            trial = MeasuredSetting(
                backend=backend.name,
                build=recorded,
                query=query_settings(built, effort),
                recall_at_10=round(found.recall, 6),
                query_microseconds=round(found.query_microseconds, 1),
            )
            return Choice(backend, built, effort, trial, seconds, path)

        yield from _curve(built, measured, target, give_up)
        # Free the memory for the next build.
        built.release()

    def keep_only(self, best: Choice) -> None:
        """Delete the files of all other indexes."""
        for path in self.directory.iterdir():
            if path != best.path:
                path.unlink()


def query_settings(built: BuiltIndex, effort: int) -> Settings:
    """Return the query parameters of an effort, as in the manifest."""
    own: Settings = {} if built.effort is None else {built.effort.name: effort}
    return {**own, "candidates": built.candidates}


def _curve(
    built: BuiltIndex, measured: Callable[[int], Choice], target: float, give_up: float
) -> Iterator[Choice]:
    """Double the effort until nearly all neighbours are found, then refine around the target."""
    if built.effort is None:
        yield measured(0)
        return
    effort, most = built.effort.least, built.effort.most
    short, enough = None, None
    while True:
        choice = measured(effort)
        yield choice
        recall = choice.trial.recall_at_10
        if recall < target:
            short = effort
        elif enough is None:
            enough = effort
        if (
            recall >= max(target, _NEARLY_ALL)
            or effort >= most
            or choice.trial.query_microseconds > give_up
        ):
            break
        effort = min(2 * effort, most)
    if short is None or enough is None:
        return
    for _ in range(_REFINEMENTS):
        between = round((short * enough) ** 0.5)
        if not short < between < enough:
            return
        choice = measured(between)
        yield choice
        if choice.trial.recall_at_10 < target:
            short = between
        else:
            enough = between
