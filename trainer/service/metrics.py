"""What the service tells Prometheus: its runs, what the labels name, and the room on the volume.

Worked out anew at each scrape from the store and the volume. Where one of them can't be read its series
are absent, and `trainer_state_problem` or `trainer_volume_problem` is 1: a scrape never fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lightfm_retriever.hosting.observing.metric_families import build_info, gauge
from lightfm_retriever.hosting.serving import descriptors
from lightfm_retriever.publication.volume import Volume
from trainer.errors import StateError
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Stats
from trainer.runs.store import RunStore
from trainer.service.run_metrics import RunMetrics
from trainer.service.version_metrics import VersionMetrics

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
