"""Prometheus metrics of the service: training runs, labelled versions, and space on the volume.

Each scrape reads the store and the volume. A scrape never fails: if the store or the volume can't be
read, its series are absent, and `trainer_state_problem` or `trainer_volume_problem` is 1.
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

# How many runs that ended before the service started count in the histograms.
_REMEMBERED_RUNS = 1000
# Upper bounds of the histograms' buckets, in seconds.
_BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
_WAITING: tuple[State, ...] = ("QUEUED", "RUNNING")
# A network volume may never answer. Later scrapes then wait only this long.
_PATIENCE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class ServiceCollector(Collector):
    """Collects all series of the service. Threads may share a collector.

    Args:
        event_stats: returns the numbers of the event log, or raises EventLogError.
        clock: returns seconds since the epoch.
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
        """Yield the families of all current series."""
        yield build_info("trainer")
        own: list[Metric] = []
        problem = ""
        try:
            own += self._runs.families()
            stats = self._event_stats()
            own.append(gauge("trainer_event_log_events", "Events in the event log.", stats.events))
            own.append(gauge("trainer_event_log_bytes", "Bytes of the event log.", stats.bytes))
            self._store.check()
        except (StateError, EventLogError) as error:
            problem = str(error)
        yield from own
        yield self._problem(
            "trainer_state_problem",
            "1 while training runs can't be read or written or the event log can't be read, else 0.",
            problem,
        )
        yield gauge("trainer_open_fds", "Open file descriptors of the service.", descriptors.opened())
        yield gauge("trainer_max_fds", "Limit of open file descriptors.", descriptors.limit())
        published, problem = self._volume.families()
        yield from published
        yield self._problem(
            "trainer_volume_problem",
            "1 while the volume or a labelled version can't be read, else 0.",
            problem,
        )

    def _problem(self, name: str, documentation: str, problem: str) -> Metric:
        # Log a problem once, not at each scrape.
        if problem and problem != self._told.get(name):
            _log.warning("metrics: %s", problem)
        self._told[name] = problem
        return gauge(name, documentation, int(bool(problem)))


class RunMetrics:
    """Counts of all training runs, durations of successful runs, and times of the latest ends.

    The durations leave out failed runs, because they end early.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        # Guards the attributes below.
        self._lock = threading.Lock()
        self._ended = -1
        self._from = 1
        # Numbers from `_from` on whose runs are counted already.
        self._known: set[int] = set()
        self._durations = SecondsHistogram(_BOUNDS)
        self._stages: dict[str, SecondsHistogram] = {}
        self._last: dict[State, float] = {}

    def families(self) -> list[Metric]:
        """Return the families of the training runs. Raises StateError."""
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
        # The clock may have been set back during the run.
        self._durations.observe(max(0.0, run.ended_at - run.started_at))
        for stage, seconds in run.outcome.seconds.items():
            self._stages.setdefault(stage, SecondsHistogram(_BOUNDS)).observe(seconds)

    def _time_families(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "trainer_run_duration_seconds",
            "Duration of successful runs: the last 1000 before the service started, and all since.",
        )
        self._durations.add_to(durations)
        yield durations
        stages = HistogramMetricFamily(
            "trainer_run_stage_duration_seconds",
            "Duration of the stages of these runs.",
            labels=["stage"],
        )
        for stage, histogram in sorted(self._stages.items()):
            histogram.add_to(stages, [stage])
        yield stages
        yield gauge(
            "trainer_last_run_timestamp_seconds",
            "End of the last run with this outcome, in seconds since the epoch; absent without a run.",
            {(state.lower(),): self._last[state] for state in sorted(self._last)},
            labels=["outcome"],
        )


def _count_families(counts: Mapping[State, int]) -> Iterator[Metric]:
    total = CounterMetricFamily(
        "trainer_runs", "Ended runs since the state directory was created.", labels=["outcome"]
    )
    for state in sorted(FINAL):
        total.add_metric([state.lower()], counts[state])
    yield total
    # The name trainer_runs is taken: OpenMetrics uses it for the counter.
    yield gauge(
        "trainer_pending_runs",
        "Queued and running training runs, by state.",
        {(state,): counts[state] for state in _WAITING},
        labels=["state"],
    )


class VersionMetrics:
    """Space on the volume, and the labelled versions."""

    def __init__(self, volume: Volume, clock: Callable[[], float]) -> None:
        self._volume = volume
        self._clock = clock
        # Guards the attributes below, and lets only one thread wait for the volume.
        self._lock = threading.Lock()
        # Manifests of the labelled versions. A version never changes.
        self._manifests: dict[str, Manifest] = {}

    def families(self) -> tuple[list[Metric], str]:
        """Return the readable families, and why some are missing: an empty text if none is."""
        found: list[Metric] = []
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            return found, f"{self._volume}: the volume hasn't answered an earlier scrape yet"
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
            gauge(
                "trainer_volume_free_bytes",
                "Bytes that the service can still write to the volume.",
                free,
            ),
            gauge("trainer_volume_size_bytes", "Bytes of the volume.", size),
        ]

    def _named(self, versions: Collection[str]) -> tuple[dict[str, Manifest], str]:
        """Return the manifest of each label's version, and the last problem with one of them."""
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
            "Metrics of a label's version, measured before its publication.",
            measured,
            labels=["label", "metric"],
        )
        yield gauge(
            "trainer_version_index_recall",
            "Recall@10 of an index of a label's version, measured before its publication.",
            recalls,
            labels=["label", "index"],
        )
        yield gauge(
            "trainer_version_created_timestamp_seconds",
            "Publication of a label's version, in seconds since the epoch.",
            created,
            labels=["label"],
        )
        yield gauge(
            "trainer_version_age_seconds",
            "Seconds since the publication of a label's version.",
            {label: now - then for label, then in created.items()},
            labels=["label"],
        )
