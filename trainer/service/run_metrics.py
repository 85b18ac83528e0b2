"""What there is to measure about training runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from lightfm_retriever.hosting.observing.metric_families import SecondsHistogram, gauge
from trainer.runs.store import FINAL, Run, RunStore, State

# Of the runs that ended before the service began.
_REMEMBERED_RUNS = 1000
# Upper ends in seconds.
_BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
_WAITING: tuple[State, ...] = ("QUEUED", "RUNNING")


class RunMetrics:
    """Counts of all runs, durations of those that succeeded, and when the last ones ended.

    A run that failed says nothing of how long one takes.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        # Guards what follows.
        self._lock = threading.Lock()
        self._ended = -1
        self._from = 1
        # The numbers from there on whose runs are among these already.
        self._known: set[int] = set()
        self._durations = SecondsHistogram(_BOUNDS)
        self._stages: dict[str, SecondsHistogram] = {}
        self._last: dict[State, float] = {}

    def families(self) -> list[Metric]:
        """What there is to tell now; raises StateError."""
        with self._lock:
            counts = self._store.count()
            self._catch_up(sum(counts[state] for state in FINAL))
            return [*_count_families(counts), *self._time_families()]

    def _catch_up(self, ended: int) -> None:
        if ended == self._ended:
            return
        runs, following = self._store.ended_from(self._from, size=_REMEMBERED_RUNS)
        for run in runs:
            if run.number not in self._known:
                self._note(run)
        self._known = {run.number for run in runs if run.number >= following}
        self._ended, self._from = ended, following

    def _note(self, run: Run) -> None:
        if run.ended_at is None:
            return
        self._last[run.state] = max(run.ended_at, self._last.get(run.state, 0.0))
        if run.state != "SUCCEEDED" or run.started_at is None:
            return
        # The clock may have been set back meanwhile.
        self._durations.observe(max(0.0, run.ended_at - run.started_at))
        for stage, seconds in run.outcome.seconds.items():
            self._stages.setdefault(stage, SecondsHistogram(_BOUNDS)).observe(seconds)

    def _time_families(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "trainer_run_duration_seconds",
            "From start to end of runs that succeeded: the latest 1000 before the service began, and "
            "all since.",
        )
        self._durations.add_to(durations)
        yield durations
        stages = HistogramMetricFamily(
            "trainer_run_stage_duration_seconds", "The same for their stages.", labels=["stage"]
        )
        for stage, histogram in sorted(self._stages.items()):
            histogram.add_to(stages, [stage])
        yield stages
        yield gauge(
            "trainer_last_run_timestamp_seconds",
            "When the last run with the outcome ended, since the epoch; absent when there is none.",
            {(state.lower(),): self._last[state] for state in sorted(self._last)},
            labels=["outcome"],
        )


def _count_families(counts: Mapping[State, int]) -> Iterator[Metric]:
    total = CounterMetricFamily(
        "trainer_runs", "Runs that ended, since the state directory was made.", labels=["outcome"]
    )
    for state in sorted(FINAL):
        total.add_metric([state.lower()], counts[state])
    yield total
    # Not trainer_runs: OpenMetrics has that name for the counter.
    yield gauge(
        "trainer_pending_runs",
        "Runs that haven't ended, by state.",
        {(state,): counts[state] for state in _WAITING},
        labels=["state"],
    )
