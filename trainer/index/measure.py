"""Building indexes, and how well they answer: measured against exact search."""

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
from lightfm_retriever.publication.search_effort import TUNED_FOR, candidates_for
from lightfm_retriever.publication.storage.ragged import Ragged, are_among
from lightfm_retriever.publication.vectors.vector_space import Float32Array, best, row_norms, unit_rows
from trainer.index.exact import score_chunks
from trainer.index.protocol import Backend, BuiltIndex, IndexTask, Settings, Space
from trainer.progress import Reporter

MAX_QUERIES = 1000
# Scoring every item for every query takes most of the time on a large catalogue, where fewer do: 3,000
# neighbours still tell recall to half a percent.
_MAX_SCORES = 300_000_000
# Slow searches are measured with fewer of them: as many as fit into this, but some at the least.
_SECONDS = 2.0
_MIN_QUERIES = 100
# More results than ten are measured with as many queries: a hundred times as many neighbours, at most.
_DEPTHS = (30, 100, 300, 1000)
# Two items whose scores differ by less, relative to the norms of item and query, are as good as each
# other: duplicates of one vector. float32 can't tell them apart.
_TIE = 1e-6
# Above the target the curve goes on to about here, so that one sees what more recall would cost.
_NEARLY_ALL = 0.995
_REFINEMENTS = 3


@dataclass(frozen=True)
class Measurement:
    """Recall in [0, 1] and the median time of one query in microseconds, on one thread."""

    recall: float
    query_microseconds: float


class Questions:
    """Queries whose true ten nearest are known, asked as the retriever asks.

    Args:
        vectors: (n, d), what is indexed, before any transform.
        queries: (m, d), of which a sample of at most MAX_QUERIES is asked, in random order; of a large
            catalogue's fewer.
        space: what nearest means.
        excluded: for each query the rows that aren't answers, ascending: the item itself, or what
            a user has seen.
        seed: of the sample.
        prepare: what makes queries of the rows of `queries` that were drawn.
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
        # Of cosines: what inner products are divided by, since unit vectors would be a copy of all.
        self._norms = row_norms(vectors) if space == "cosine" else None
        # Copies, since views would keep those of all queries in memory.
        self._excluded = [excluded[row].copy() for row in chosen.tolist()]
        #: How many results more than ten recall is measured at: what a catalogue has twice over.
        self.depths = [depth for depth in _DEPTHS if 2 * depth <= len(vectors)]
        self._thresholds: dict[int, list[float]] = {
            results: [] for results in (TUNED_FOR, *self.depths)
        }
        for rows, scores in score_chunks(self._queries, self.vectors):
            if self._norms is not None:
                scores /= self._norms
            for position, own in zip(range(rows.start, rows.stop), scores, strict=True):
                self._note_thresholds(own, position)
            # Or they would be in memory together with the next ones.
            del scores, own

    def _wanted(self, position: int, results: int) -> int:
        return min(results, len(self.vectors) - len(self._excluded[position]))

    def _note_thresholds(self, scores: Float32Array, position: int) -> None:
        """What an item's score has to be at the least for it to be among the nearest."""
        scores[self._excluded[position]] = -np.inf
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
        """What a score could be at the most: of one query, and of those vectors."""
        if self._norms is not None:
            return np.float32(1)
        query = self._queries[position : position + 1]
        return np.float32(row_norms(self.vectors[those]).max() * row_norms(query)[0])

    def ask(
        self, built: BuiltIndex, effort: int, results: int = TUNED_FOR, relative: float = 1.0
    ) -> Measurement:
        """Search for candidates, score them exactly, keep the best: ten, or so many as `depths` has."""
        # Here, since the flags need the defaults of tuning only.
        from threadpoolctl import threadpool_limits

        found = wanted = 0
        thresholds = self._thresholds[results]
        nanoseconds: list[int] = []
        ends = time.perf_counter() + _SECONDS
        # A worker answers a request on one thread. All numbers are finite, but the product's SIMD code
        # may flag what lies behind the last one, and NumPy would warn of that.
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
                scores = self.vectors[rows] @ query
                if self._norms is not None:
                    scores /= self._norms[rows]
                top = best(scores, results)
                nanoseconds.append(time.perf_counter_ns() - started)
                found += int((scores[top] >= thresholds[position]).sum())
                wanted += self._wanted(position, results)
        return Measurement(
            recall=min(1.0, found / wanted) if wanted else 1.0,
            query_microseconds=float(np.median(nanoseconds)) / 1000,
        )


@dataclass(frozen=True)
class Choice:
    """A built index at one effort."""

    backend: Backend
    built: BuiltIndex
    effort: int
    trial: MeasuredSetting
    build_seconds: float
    path: Path

    def reaches(self, target: float) -> bool:
        """Whether it finds enough."""
        return self.trial.recall_at_10 >= target


@dataclass(frozen=True, kw_only=True)
class Builds:
    """Builds indexes of the vectors that there are questions of, and measures them.

    Their files are in `directory`. The reporter is told of each build of the index called `name`.
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
        # The next one is built in what memory this one had.
        built.release()

    def keep_only(self, best: Choice) -> None:
        """Remove the files of all other indexes."""
        for path in self.directory.iterdir():
            if path != best.path:
                path.unlink()


def query_settings(built: BuiltIndex, effort: int) -> Settings:
    """The query parameters of one effort, as the manifest carries them."""
    own: Settings = {} if built.effort is None else {built.effort.name: effort}
    return {**own, "candidates": built.candidates}


def _curve(
    built: BuiltIndex, measured: Callable[[int], Choice], target: float, give_up: float
) -> Iterator[Choice]:
    """Double the effort until nearly all is found, then look closer at where the target is crossed."""
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
