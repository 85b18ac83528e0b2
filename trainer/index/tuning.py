"""Choose an index and its settings: the fastest that reaches the target recall."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication.manifest import IndexFacts, MeasuredSetting
from lightfm_retriever.publication.search_effort import candidates_for
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from trainer.errors import OptionError
from trainer.index.exact import ExactBackend
from trainer.index.measure import Builds, Choice, Questions
from trainer.index.protocol import Backend, Settings
from trainer.index.ways import depths, exact_instead
from trainer.progress import Reporter

MAX_THREADS = 1024
# Annoy takes no larger one.
SEED = Option("seed of the random numbers", ge=0, le=2**31 - 1)
TARGET_RECALL = Option(
    "recall@10 that indexes are tuned for",
    gt=0,
    le=1,
    group="index",
    metavar="SHARE",
)
INDEX_THREADS = Option(
    "threads that build indexes; 1 makes them reproducible, byte by byte (default: all cores)",
    ge=1,
    le=MAX_THREADS,
    flag="index_threads",
    group="index",
)

# Give up settings that are this much slower than exact search.
_GIVE_UP_AFTER = 3.0
_GIVE_UP_MICROSECONDS = 1000.0

# If exact search is this quick, it replaces a missed target at once. Another index would save less than
# the network and the service take for a call, and exact search needs no package and misses nothing.
_AT_ONCE_MICROSECONDS = 1000.0


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """The options for choosing indexes.

    Attributes:
        target_recall: the recall@10 that a setting must reach, in (0, 1].
        strict: whether missing the target is an error.
        seed, threads: of the builds.
        stand_ins: further backends that may be used, as well as exact search, if no requested backend
            reaches the target; None to use only requested backends.
    """

    target_recall: Annotated[float, TARGET_RECALL] = 0.95
    strict: bool = False
    seed: Annotated[int, SEED] = 42
    threads: Annotated[int, INDEX_THREADS] = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    stand_ins: Sequence[Backend] | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


@dataclass(frozen=True)
class TunedIndex:
    """The chosen index, opened.

    Attributes:
        facts: for the manifest, without the name of the file.
        choice: the built index and its effort.
        path: the file; None if there is none.
        reached: whether it reaches the target recall.
        backend: the backend that built it.
        instead_of: the best setting of the requested backends, if another backend replaces it because
            it misses the target; else None.
    """

    facts: IndexFacts
    choice: Choice
    path: Path | None
    reached: bool
    backend: Backend
    instead_of: MeasuredSetting | None = None

    def width(self, limit: int, excluded: int) -> int:
        """Return how many candidates the retriever asks for; see publication.search_effort."""
        return min(candidates_for(limit, self.choice.built.candidates, excluded), self.facts.items)

    def search(self, query: Float32Array, *, limit: int, excluded: int) -> NDArray[np.int64]:
        """Search for candidates as the retriever does."""
        index = self.choice.built.index
        return index.search(query, self.width(limit, excluded), self.choice.effort)


def tune(
    backends: Sequence[Backend],
    questions: Questions,
    directory: Path,
    options: TuningOptions,
    *,
    reporter: Reporter,
    name: str,
) -> TunedIndex:
    """Build indexes, measure them at several efforts, and keep the best setting.

    Exact search is always measured, as the reference for time and recall. The empty `directory` gets
    the files; all except that of the chosen index are deleted. The reporter gets a step for each build.

    Returns:
        The quickest index that reaches the target. If none of `backends` does, a further backend or
        exact search (see `_stand_in`). If none may be used, the index with the highest recall, and
        `reached` is False.

    Raises:
        OSError: a file can't be written.
    """
    target = options.target_recall
    builds = Builds(
        questions=questions,
        directory=directory,
        name=name,
        reporter=reporter,
        seed=options.seed,
        threads=options.threads,
    )
    search = _Search(builds, target)
    exact = search.exact
    asked = exact if any(backend.name == exact.backend.name for backend in backends) else None
    asked = best = search.best_of(backends, asked)
    if not asked.reaches(target) and options.stand_ins is not None:
        best = _stand_in(search, asked, options.stand_ins)
    builds.keep_only(best)
    # Measure also with no more candidates than results.
    bare = questions.ask(replace(best.built, candidates=0), best.effort)
    facts = IndexFacts(
        **vars(best.trial),
        metric=best.built.metric,
        dimensions=best.built.dimensions,
        items=len(questions.vectors),
        file=None,
        bare_recall_at_10=bare.recall,
        bare_query_microseconds=bare.query_microseconds,
        target_recall=target,
        trials=search.trials,
        build_seconds=round(best.build_seconds, 6),
        depths=depths(questions, best, target, exact.trial.query_microseconds)
        if best.reaches(target)
        else [],
    )
    return TunedIndex(
        facts,
        best,
        best.path if best.built.has_file else None,
        best.reaches(target),
        best.backend,
        None if best is asked else asked.trial,
    )


class _Search:
    """Tries backends one after the other, and keeps all trials."""

    def __init__(self, builds: Builds, target: float) -> None:
        self._builds = builds
        self.target = target
        (self.exact,) = builds.curve(ExactBackend(), {}, target=1, give_up=np.inf)
        self.trials = [self.exact.trial]
        self._give_up = max(_GIVE_UP_MICROSECONDS, _GIVE_UP_AFTER * self.exact.trial.query_microseconds)

    def best_of(self, backends: Sequence[Backend], best: Choice | None) -> Choice:
        """Return the best of `best` and all settings of the backends; keep only its file.

        Exact search isn't tried again.
        """
        questions = self._builds.questions
        for backend in backends:
            if backend.name == self.exact.backend.name:
                continue
            for settings_of_round in backend.rounds(len(questions.vectors), questions.space):
                in_round = max(self._tried(backend, settings_of_round), key=self._merit)
                best = in_round if best is None else max(best, in_round, key=self._merit)
                self._builds.keep_only(best)
                if in_round.reaches(self.target):
                    break
        assert best is not None  # noqa: S101 - there is a backend
        return best

    def _tried(self, backend: Backend, settings_of_round: Sequence[Settings]) -> Iterator[Choice]:
        for settings in settings_of_round:
            found = self._builds.curve(backend, settings, target=self.target, give_up=self._give_up)
            for choice in found:
                self.trials.append(choice.trial)
                yield choice

    def _merit(self, choice: Choice) -> tuple[float, float]:
        """Return a sort key: recall up to the target, then less time."""
        return min(choice.trial.recall_at_10, self.target), -choice.trial.query_microseconds


def _stand_in(search: _Search, asked: Choice, others: Sequence[Backend]) -> Choice:
    """Choose an index if no requested backend reaches the target: right answers before quick ones.

    Exact search is used if it is quick. Otherwise the further backends are tried. If one reaches the
    target, the quicker of it and exact search is used. If none does, exact search is used, unless it is
    slow and takes much longer than the index with the highest recall, which is used then.
    """
    exact = search.exact
    took = exact.trial.query_microseconds
    if took <= _AT_ONCE_MICROSECONDS:
        return exact
    best = search.best_of(others, asked)
    if best.reaches(search.target):
        return best if best.trial.query_microseconds < took else exact
    return exact if exact_instead(took, best.trial.query_microseconds) else best
