"""Building one index after the other and measuring each at several efforts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightfm_retriever.hosting.observing.spans import span
from lightfm_retriever.hosting.process import release_heap
from lightfm_retriever.publication.manifest import MeasuredSetting
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.index.exact import ExactBackend
from trainer.index.measure import Questions
from trainer.index.protocol import Backend, BuiltIndex, Settings, Space
from trainer.progress import Reporter

# Above the target the curve goes on to about here, so that one sees what more recall would cost.
_NEARLY_ALL = 0.995
_REFINEMENTS = 3


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

    def better_than(self, other: Choice | None, target: float) -> bool:
        """Enough recall, then less time; as long as neither has enough: more recall, then less time."""
        if other is None:
            return True
        own, others = self.trial, other.trial
        if self.reaches(target) != other.reaches(target):
            return self.reaches(target)
        if not self.reaches(target) and own.recall_at_10 != others.recall_at_10:
            return own.recall_at_10 > others.recall_at_10
        return own.query_microseconds < others.query_microseconds


class Builds:
    """Builds indexes of the same vectors and measures them."""

    def __init__(
        self,
        vectors: Float32Array,
        space: Space,
        questions: Questions,
        directory: Path,
        *,
        target: float,
        seed: int,
        threads: int,
        reporter: Reporter,
        name: str,
    ) -> None:
        self._vectors = vectors
        self._space = space
        self._questions = questions
        self._directory = directory
        self._target = target
        self._seed, self._threads = seed, threads
        self._reporter = reporter
        self._name = name
        self._count = 0

    def baseline(self) -> Choice:
        """Exact search."""
        (only,) = self.curve(ExactBackend(), {}, np.inf)
        return only

    def curve(self, backend: Backend, settings: Settings, give_up: float) -> Iterator[Choice]:
        """Build one index and measure it, until a query takes longer than `give_up` microseconds."""
        self._count += 1
        path = self._directory / f"{self._count}.{backend.name}"
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
                seed=self._seed,
                threads=self._threads,
                on_items=advance,
            )
        seconds = time.perf_counter() - started
        release_heap()
        recorded: Settings = {}
        if built.has_file:
            recorded = {**built.build, "seed": self._seed, "threads": self._threads}

        def measured(effort: int) -> Choice:
            with span("measure", index=self._name, effort=effort):
                found = self._questions.ask(built, effort)
            trial = MeasuredSetting(
                backend=backend.name,
                build=recorded,
                query=built.query(effort),
                recall_at_10=round(found.recall, 6),
                query_microseconds=round(found.query_microseconds, 1),
            )
            return Choice(backend, built, effort, trial, seconds, path)

        yield from _curve(built, measured, self._target, give_up)
        # The next one is built in what memory this one had.
        built.release()

    def keep_only(self, best: Choice | None) -> None:
        """Remove the files of all other indexes."""
        for path in self._directory.iterdir():
            if best is None or path != best.path:
                path.unlink()


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
