"""Choosing an index and its settings: the fastest that finds enough."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hosting.spans import span
from publication.manifest import Depth, IndexFacts, Trial
from publication.search_effort import candidates_for
from publication.vector_space import Float32Array
from trainer.errors import OptionError
from trainer.index.exact import ExactBackend
from trainer.index.measure import Questions
from trainer.index.protocol import Backend, BuiltIndex, Settings, Space
from trainer.memory import release_heap
from trainer.progress import Reporter

# Above the target the curve goes on to about here, so that one sees what more recall would cost.
_NEARLY_ALL = 0.995
_REFINEMENTS = 3
# A search that is so much slower than an exact one is of no use to anyone.
_GIVE_UP_AFTER = 3.0
_GIVE_UP_MICROSECONDS = 1000.0
# What more results than ten are searched with, relative to the effort that was chosen for ten.
_RELATIVE_EFFORTS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """How indexes are chosen.

    Attributes:
        target_recall: the least recall@10 that a setting has to reach, in (0, 1].
        strict: whether missing it is an error.
        seed, threads: of the builds.
    """

    target_recall: float = 0.95
    strict: bool = False
    seed: int = 42
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        if not 0 < self.target_recall <= 1:
            raise OptionError("--target-recall", self.target_recall, "above 0 and at most 1")
        if not 1 <= self.threads <= 1024:
            raise OptionError("--index-threads", self.threads, "in 1..1024")
        # Annoy takes no larger one.
        if not 0 <= self.seed < 2**31:
            raise OptionError("--seed", self.seed, "in 0..2^31-1")


@dataclass(frozen=True)
class TunedIndex:
    """The chosen index, opened.

    Attributes:
        facts: for the manifest, but for the file's name.
        path: its file, None when it has none.
        reached: whether it finds enough.
        built, effort: for asking it.
    """

    facts: IndexFacts
    path: Path | None
    reached: bool
    built: BuiltIndex
    effort: int

    def search(self, query: Float32Array, *, limit: int, excluded: int) -> NDArray[np.int64]:
        """Candidates as the retriever asks for them; see publication.search_effort."""
        count = candidates_for(limit, self.built.candidates, excluded)
        return self.built.index.search(query, count, self.effort)


@dataclass(frozen=True)
class _Choice:
    """A built index at one effort."""

    backend: Backend
    built: BuiltIndex
    effort: int
    trial: Trial
    build_seconds: float
    path: Path

    def reaches(self, target: float) -> bool:
        """Whether it finds enough."""
        return self.trial.recall_at_10 >= target

    def better_than(self, other: _Choice | None, target: float, exact: float) -> bool:
        """Enough recall, then less time.

        As long as neither has enough: more recall, but rather in less time than `exact` microseconds,
        since what is slower than exact search is of no use.
        """
        if other is None:
            return True
        own, others = self.trial, other.trial
        if self.reaches(target) and other.reaches(target):
            return own.query_microseconds < others.query_microseconds
        if self.reaches(target) or other.reaches(target):
            return self.reaches(target)
        faster, other_faster = own.query_microseconds < exact, others.query_microseconds < exact
        if faster != other_faster:
            return faster
        return own.recall_at_10 > others.recall_at_10


def tune(
    backends: Sequence[Backend],
    vectors: Float32Array,
    space: Space,
    questions: Questions,
    directory: Path,
    options: TuningOptions,
    *,
    reporter: Reporter,
    name: str,
) -> TunedIndex:
    """Build indexes, measure them at several efforts, and keep the best setting.

    Exact search is measured in any case: it is what the others have to be faster than.

    Args:
        backends: to choose among.
        vectors: (n, d) float32, what is indexed.
        space: what nearest means.
        questions: what to measure with.
        directory: an empty one for the files; all but the chosen one are removed.
        options: what is enough.
        reporter: told of each build.
        name: what the index is called, for the reporter.

    Returns:
        The chosen index; `reached` is False when none finds enough, and then it is the one that finds
        the most of those that are faster than exact search, if any are.

    Raises:
        OSError: a file can't be written.
    """
    target = options.target_recall
    build = _Builds(vectors, space, questions, directory, options, reporter, name)
    exact = build.baseline()
    trials = [exact.trial]
    exact_time = exact.trial.query_microseconds
    give_up = max(_GIVE_UP_MICROSECONDS, _GIVE_UP_AFTER * exact_time)
    best = exact if any(backend.name == exact.backend.name for backend in backends) else None
    for backend in backends:
        if backend.name == exact.backend.name:
            continue
        for settings_of_round in backend.rounds(len(vectors), space):
            in_round: _Choice | None = None
            for settings in settings_of_round:
                for choice in build.curve(backend, settings, give_up):
                    trials.append(choice.trial)
                    if choice.better_than(in_round, target, exact_time):
                        in_round = choice
            assert in_round is not None  # noqa: S101 - no round is empty
            best = in_round if in_round.better_than(best, target, exact_time) else best
            build.keep_only(best)
            if in_round.reaches(target):
                break
    assert best is not None  # noqa: S101 - there is a backend
    bare = questions.ask_bare(best.built, best.effort)
    facts = IndexFacts(
        backend=best.backend.name,
        metric=best.built.metric,
        dimensions=best.built.dimensions,
        items=len(vectors),
        file=None,
        build=best.trial.build,
        query=best.trial.query,
        recall_at_10=best.trial.recall_at_10,
        query_microseconds=best.trial.query_microseconds,
        bare_recall_at_10=bare.recall,
        bare_query_microseconds=bare.query_microseconds,
        target_recall=target,
        trials=trials,
        build_seconds=round(best.build_seconds, 6),
        depths=_depths(questions, best, target, exact_time),
    )
    path = best.path if best.built.has_file else None
    return TunedIndex(facts, path, best.reaches(target), best.built, best.effort)


def _depths(questions: Questions, best: _Choice, target: float, exact: float) -> list[Depth]:
    """How hard to search for more than ten, as far as it takes less than `exact` microseconds."""
    depths: list[Depth] = []
    if best.built.effort is None or not best.reaches(target):
        return depths
    efforts = list(_RELATIVE_EFFORTS)
    for results in questions.depths:
        while efforts:
            # What wasn't enough for fewer isn't enough for more.
            found = questions.ask_deep(best.built, best.effort, results, efforts[0])
            if found.query_microseconds > exact:
                return depths
            if found.recall >= target:
                break
            del efforts[0]
        else:
            return depths
        depths.append(Depth(results=results, effort=efforts[0], recall=round(found.recall, 6)))
    return depths


class _Builds:
    """Builds indexes of the same vectors and measures them."""

    def __init__(
        self,
        vectors: Float32Array,
        space: Space,
        questions: Questions,
        directory: Path,
        options: TuningOptions,
        reporter: Reporter,
        name: str,
    ) -> None:
        self._vectors = vectors
        self._space = space
        self._questions = questions
        self._directory = directory
        self._options = options
        self._reporter = reporter
        self._name = name
        self._count = 0

    def baseline(self) -> _Choice:
        """Exact search."""
        (only,) = self.curve(ExactBackend(), {}, np.inf)
        return only

    def curve(self, backend: Backend, settings: Settings, give_up: float) -> Iterator[_Choice]:
        """Build one index and measure it, until a query takes longer than `give_up` microseconds."""
        self._count += 1
        path = self._directory / f"{self._count}.{backend.name}"
        options = self._options
        described = [backend.name, *(str(value) for value in settings.values())]
        release_heap()
        started = time.perf_counter()
        with (
            span("build index", index=self._name, settings=" ".join(described)),
            self._reporter.step(
                f"Index {self._name!r}, {' '.join(described)}, items", len(self._vectors)
            ) as advance,
        ):
            built = backend.build(
                self._vectors,
                self._space,
                path,
                settings,
                seed=options.seed,
                threads=options.threads,
                on_items=advance,
            )
        seconds = time.perf_counter() - started
        release_heap()
        recorded: Settings = {}
        if built.has_file:
            recorded = {**built.build, "seed": options.seed, "threads": options.threads}

        def measured(effort: int) -> _Choice:
            with span("measure", index=self._name, effort=effort):
                found = self._questions.ask(built, effort)
            trial = Trial(
                backend=backend.name,
                build=recorded,
                query=built.query(effort),
                recall_at_10=round(found.recall, 6),
                query_microseconds=round(found.query_microseconds, 1),
            )
            return _Choice(backend, built, effort, trial, seconds, path)

        yield from _curve(built, measured, options.target_recall, give_up)
        # The next one is built in what memory this one had.
        built.release()

    def keep_only(self, best: _Choice | None) -> None:
        """Remove the files of all other indexes."""
        for path in self._directory.iterdir():
            if best is None or path != best.path:
                path.unlink()


def _curve(
    built: BuiltIndex, measured: Callable[[int], _Choice], target: float, give_up: float
) -> Iterator[_Choice]:
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
