"""Building one index after the other and measuring each at several efforts."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lightfm_retriever.hosting.observing.spans import span
from lightfm_retriever.hosting.process import release_heap
from lightfm_retriever.publication.manifest import MeasuredSetting
from trainer.index.exact import ExactBackend
from trainer.index.measure import Questions
from trainer.index.protocol import Backend, BuiltIndex, IndexTask, Settings
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

    def merit(self, target: float) -> tuple[float, float]:
        """What the better one has more of: recall as far as it isn't enough, then less time."""
        return min(self.trial.recall_at_10, target), -self.trial.query_microseconds


@dataclass(frozen=True, kw_only=True)
class Builds:
    """Builds indexes of the vectors that there are questions of, and measures them.

    Attributes:
        questions: what to measure with.
        directory: for the files.
        name: what the index is called.
        reporter: told of each build.
        seed, threads: of the builds.
    """

    questions: Questions
    directory: Path
    name: str
    reporter: Reporter
    seed: int
    threads: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def baseline(self) -> Choice:
        """Exact search."""
        (only,) = self.curve(ExactBackend(), {}, target=1, give_up=np.inf)
        return only

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
                query=built.query(effort),
                recall_at_10=round(found.recall, 6),
                query_microseconds=round(found.query_microseconds, 1),
            )
            return Choice(backend, built, effort, trial, seconds, path)

        yield from _curve(built, measured, target, give_up)
        # The next one is built in what memory this one had.
        built.release()

    def keep_only(self, best: Choice | None) -> None:
        """Remove the files of all other indexes."""
        for path in self.directory.iterdir():
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
