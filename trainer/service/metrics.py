"""What the service tells Prometheus: its runs, what the labels name, and the room on the volume.

Worked out anew at each scrape from the store and the volume. Where one of them can't be read its series
are absent, and `trainer_state_problem` or `trainer_volume_problem` is 1: a scrape never fails.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lightfm_retriever.hosting.observing.metric_families import SecondsHistogram, build_info, gauge
from lightfm_retriever.hosting.serving import descriptors
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.volume import Volume
from trainer.errors import StateError
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Stats
from trainer.runs.store import FINAL, Run, RunStore, State

# Of the runs that ended before the service began.
_REMEMBERED_RUNS = 1000
# Upper ends in seconds.
_BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
_WAITING: tuple[State, ...] = ("QUEUED", "RUNNING")
# A network volume may not answer at all; whoever comes meanwhile isn't to wait for it too.
_PATIENCE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class ServiceCollector(Collector):
    """All series of the service; any threads may collect them.

    `event_stats` tells what the event log holds, or raises EventLogError. `clock` tells seconds since
    the epoch.
    """

    def __init__(
        self,
        store: RunStore,
        volume: Volume,
        event_stats: Callable[[], Stats],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._runs = RunMetrics(store)
        self._volume = VersionMetrics(volume, clock)
        self._event_stats = event_stats
        self._told: dict[str, str] = {}

    def collect(self) -> Iterator[Metric]:
        """The families of all series that there are now."""
        yield build_info("trainer")
        own: list[Metric] = []
        problem = ""
        try:
            own += self._runs.families()
            stats = self._event_stats()
            own.append(gauge("trainer_event_log_events", "Events in the log.", stats.events))
            own.append(gauge("trainer_event_log_bytes", "Size of the log's files.", stats.bytes))
            self._store.check()
        except (StateError, EventLogError) as error:
            problem = str(error)
        yield from own
        yield self._problem(
            "trainer_state_problem",
            "1 while the runs can't be read or written, or the event log not read; else 0.",
            problem,
        )
        yield gauge("trainer_open_fds", "File descriptors that the service has.", descriptors.opened())
        yield gauge("trainer_max_fds", "File descriptors that it may have.", descriptors.limit())
        published, problem = self._volume.families()
        yield from published
        yield self._problem(
            "trainer_volume_problem",
            "1 while the volume, or a version that a label names, can't be read, else 0.",
            problem,
        )

    def _problem(self, name: str, documentation: str, problem: str) -> Metric:
        # Once, not at each scrape.
        if problem and problem != self._told.get(name):
            _log.warning("metrics: %s", problem)
        self._told[name] = problem
        return gauge(name, documentation, int(bool(problem)))


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


class VersionMetrics:
    """Room on the volume, and the versions that labels name."""

    def __init__(self, volume: Volume, clock: Callable[[], float]) -> None:
        self._volume = volume
        self._clock = clock
        # Guards what follows, and lets only one thread wait for the volume.
        self._lock = threading.Lock()
        # A version never changes; only those that labels name are kept.
        self._manifests: dict[str, Manifest] = {}

    def families(self) -> tuple[list[Metric], str]:
        """What can be read, and why that isn't all; empty when it is."""
        found: list[Metric] = []
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            return found, f"{self._volume}: the volume hasn't answered the scrape before"
        try:
            found += self._room()
            versions = {*self._volume.list_versions()}
            found.append(gauge("trainer_versions", "Versions on the volume.", len(versions)))
            named, problem = self._named(versions)
            found += self._label_families(named)
        except (PublicationError, OSError) as error:
            problem = str(error)
        finally:
            self._lock.release()
        return found, problem

    def _room(self) -> list[Metric]:
        if (room := self._volume.room()) is None:
            return []
        free, size = room
        return [
            gauge("trainer_volume_free_bytes", "What the service can still write to the volume.", free),
            gauge("trainer_volume_size_bytes", "Size of the volume.", size),
        ]

    def _named(self, versions: Collection[str]) -> tuple[dict[str, Manifest], str]:
        """What is known of the version that each label names, and the last problem with one."""
        named: dict[str, Manifest] = {}
        problem = ""
        for label, version in self._volume.list_labels().items():
            manifest = self._manifests.get(version) if version in versions else None
            try:
                if manifest is None:
                    manifest = self._volume.read_manifest(version)
            except PublicationError as error:
                problem = f"label {label!r}: {error}"
            else:
                named[label] = self._manifests[version] = manifest
        self._manifests = {manifest.version: manifest for manifest in named.values()}
        return named, problem

    def _label_families(self, named: Mapping[str, Manifest]) -> Iterator[Metric]:
        measured: dict[tuple[str, ...], float] = {}
        recalls: dict[tuple[str, ...], float] = {}
        created: dict[tuple[str, ...], float] = {}
        for label, manifest in named.items():
            measured |= {(label, name): value for name, value in manifest.metrics.items()}
            recalls |= {(label, name): own.recall_at_10 for name, own in manifest.indexes.items()}
            created[label,] = datetime.fromisoformat(manifest.created_at).timestamp()
        now = self._clock()
        yield gauge(
            "trainer_version_info",
            "1 for each label and the version that it names.",
            {(label, manifest.version): 1 for label, manifest in named.items()},
            labels=["label", "version"],
        )
        yield gauge(
            "trainer_version_metric",
            "How the version that a label names was measured before it was published.",
            measured,
            labels=["label", "metric"],
        )
        yield gauge(
            "trainer_version_index_recall",
            "Share of the true ten nearest that an index finds as it is asked, measured before it was "
            "published.",
            recalls,
            labels=["label", "index"],
        )
        yield gauge(
            "trainer_version_created_timestamp_seconds",
            "When the version that a label names was published, since the epoch.",
            created,
            labels=["label"],
        )
        yield gauge(
            "trainer_version_age_seconds",
            "How long ago that was.",
            {label: now - then for label, then in created.items()},
            labels=["label"],
        )
