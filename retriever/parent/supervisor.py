"""The parent process: starts and restarts workers, handles signals, and runs reloads.

It doesn't import gRPC. One thread does everything except access to the volume. Reading the label and
verifying a version run on separate threads, because both may take long.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from lightfm_retriever.hosting.addresses import joined
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.observing import logs
from lightfm_retriever.hosting.release import release
from lightfm_retriever.hosting.security.checks import check_address, check_files
from lightfm_retriever.hosting.serving import descriptors
from retriever import control, waiting
from retriever.config import Config
from retriever.parent.event_loop import Events
from retriever.parent.port import reserve
from retriever.parent.reloading.label_watch import LabelWatch, Seen
from retriever.parent.reloading.reload import Reload
from retriever.parent.reloading.verifications import Verifications
from retriever.parent.reloading.versions_source import VersionsSource, open_source
from retriever.parent.worker_process import WorkerProcess

if TYPE_CHECKING:
    from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
    from retriever.parent.metrics import RetrieverMetrics

_log = logging.getLogger(__name__)

_FIRST_RESTART_SECONDS = 0.2
_LONGEST_RESTART_SECONDS = 30.0
# A worker that lived this long was healthy: after its next death the backoff starts again.
_HEALTHY_SECONDS = 60.0
_BOOT_ATTEMPTS = 3
_BOOT_SECONDS = 60.0
_CHECK_SECONDS = 1.0


class Supervisor:
    """Run the service until a signal ends it."""

    def __init__(self, config: Config, source: VersionsSource) -> None:
        self._endpoint: MetricsEndpoint | None = None
        metrics = self._watched(config) if config.hosting.metrics_listen else None
        self._port = reserve(config.host, config.port)
        try:
            check_address(config.hosting.security, self._port.host)
            check_files(config.hosting.security)
        except HostingError:
            self._port.close()
            raise
        self._config = replace(config, host=self._port.host, port=self._port.port)
        slots = [None] * config.workers if metrics is None else metrics.slots
        self._workers = [
            WorkerProcess(index, self._config, counters=slot) for index, slot in enumerate(slots)
        ]
        self._events = Events()
        self._metrics = metrics
        self._source = source
        self._stopping: str | None = None
        self._exit_status = 0
        self._reload = Reload(
            self._workers,
            Verifications(source.verify, self._events.wake_up),
            ended=self._reloaded,
            clock=time.monotonic,
        )
        self._fleet: control.ServiceState | None = None
        self._seen: SimpleQueue[Seen] = SimpleQueue()
        self._watch = LabelWatch(self._look, self._take_seen, poll_seconds=config.poll_seconds)
        self._checked_at = 0.0
        self._turned_at = time.monotonic()
        if self._endpoint is not None:
            self._endpoint.start()

    def _look(self) -> Seen:
        """Look at the label, its version, and the files of the served version."""
        return replace(self._source.look(), served=self._reload.known.served.look(self._config.volume))

    def _watched(self, config: Config) -> RetrieverMetrics:
        """Set up metrics and probes on their own address. Raises HostingError if it is invalid."""
        # Imported here, because the modules take memory that a service without metrics doesn't need.
        from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
        from retriever.parent.metrics import RetrieverMetrics

        metrics = RetrieverMetrics(config.workers, lambda: self._fleet)
        self._endpoint = MetricsEndpoint(
            config.hosting.metrics_listen or "",
            metrics,
            live=lambda: waiting.not_live(
                silent_seconds=time.monotonic() - self._turned_at, stopping=self._stopping
            ),
            ready=lambda: waiting.not_ready(self._fleet, stopping=self._stopping, now=time.monotonic()),
        )
        return metrics

    @property
    def version(self) -> str:
        """The served version; empty while there is none."""
        return self._reload.known.committed or ""

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status."""
        # Before the line is printed: its reader may send a signal at once.
        self._events.catch_signals()
        address = joined(self._config.host, self._config.port)
        print(
            f"listening on {address} with {len(self._workers)} workers, pid {os.getpid()}", flush=True
        )
        for worker in self._workers:
            self._start(worker)
        self._watch.start()
        self._checked_at = time.monotonic()
        self._events.after(_CHECK_SECONDS, self._check_workers)
        while self._stopping is None or any(worker.pid for worker in self._workers):
            for worker in self._events.wait():
                self._hear(worker)
            self._turned_at = time.monotonic()
            self._events.run_timers()
            self._handle_signals()
            if self._stopping is None:
                while not self._seen.empty():
                    self._reload.look(self._seen.get())
                self._reload.advance()
            self._tell_fleet()
        self._port.close()
        return self._exit_status

    # ---- events

    def _hear(self, worker: WorkerProcess) -> None:
        messages, alive = worker.receive()
        for message in messages:
            if worker.note(message) and self._stopping is None:
                self._reload.hear(worker, message)
            if isinstance(message, control.Listening):
                _log.info("worker %d takes calls", worker.index)
        if not alive:
            self._buried(worker)

    def _handle_signals(self) -> None:
        while self._events.signals:
            number = self._events.signals.pop(0)
            if number == signal.SIGHUP:
                self._reload.retry_now()
                self._watch.look_now()
            elif self._stopping is not None:
                _log.warning("%s received again: stopping at once", signal.Signals(number).name)
                for worker in self._workers:
                    worker.kill()
            else:
                self._stop(
                    signal.Signals(number).name,
                    drain_seconds=self._config.drain_seconds if number == signal.SIGTERM else 0.0,
                )

    def _reloaded(self, facts: control.ReloadFacts) -> None:
        if facts.succeeded:
            self._source.serves(facts.version)
        if self._metrics is not None:
            self._metrics.reloaded(facts)

    def _take_seen(self, seen: Seen) -> None:
        # On the thread that watches the label.
        self._seen.put(seen)
        self._events.wake_up()

    # ---- workers

    def _start(self, worker: WorkerProcess) -> None:
        if self._stopping is not None:
            return
        try:
            worker.start()
            self._events.listen_to(worker)
        except OSError as error:
            # Not enough memory, descriptors or process ids: that passes, and the other workers serve.
            worker.kill()
            worker.bury()
            worker.deaths += 1
            seconds = restart_pause(worker.deaths, random.random())  # noqa: S311
            _log.error(
                "couldn't start worker %d: %s; trying again in %.1f s",
                worker.index,
                error.strerror or error,
                seconds,
            )
            self._events.after(seconds, lambda: self._start(worker))

    def _buried(self, worker: WorkerProcess) -> None:
        self._events.forget(worker)
        lived, preparing = time.time() - worker.started_at, worker.view.preparing
        status = worker.bury()
        self._reload.gone(worker, preparing=preparing, status=status)
        if self._stopping is not None:
            if status:
                _log.warning("worker %d ended with status %d", worker.index, status)
                self._exit_status = 1
            return
        worker.deaths = 1 if lived > _HEALTHY_SECONDS else worker.deaths + 1
        if worker.deaths >= _BOOT_ATTEMPTS and not any(w.ever_ran for w in self._workers):
            _log.error(
                "no worker can start (exit status %d): stopping; see the log lines before", status
            )
            self._exit_status = 1
            self._stop("no worker can start", drain_seconds=0.0)
            return
        seconds = restart_pause(worker.deaths, random.random())  # noqa: S311
        _log.warning(
            "worker %d ended with status %d: restarting in %.1f s", worker.index, status, seconds
        )
        worker.restarts += 1
        self._events.after(seconds, lambda: self._start(worker))

    def _check_workers(self) -> None:
        """Kill workers that hang. They are then restarted."""
        now = time.monotonic()
        late = now - self._checked_at > 3 * _CHECK_SECONDS
        self._checked_at = now
        self._events.after(_CHECK_SECONDS, self._check_workers)
        if late:
            # This process was held up, so it hasn't read the workers' latest messages yet.
            return
        for worker in self._workers:
            limit = _BOOT_SECONDS if worker.view.state == "starting" else self._config.heartbeat_seconds
            if worker.silent_seconds() > limit:
                _log.error("worker %d sent no heartbeat for %.0f s: killing it", worker.index, limit)
                worker.kill()
            elif worker.preparing_seconds() > self._config.prepare_seconds:
                self._reload.prepare_took_too_long(worker)

    def _tell_fleet(self) -> None:
        known = self._reload.known
        fleet = control.ServiceState(
            label="" if self._config.pin else self._config.label,
            target=known.target or "",
            version=known.committed or "",
            label_problem=self._watch.silence() or self._reload.problem(),
            served_problem=known.served.problem(),
            last_reload=self._reload.last,
            workers=[worker.facts() for worker in self._workers],
            failed=[*reversed(self._reload.failed.values())],
            loading=self._reload.loading,
        )
        if fleet == self._fleet:
            return
        self._fleet = fleet
        for worker in self._workers:
            if worker.view.up and self._stopping is None:
                worker.send(fleet)

    # ---- the end

    def _stop(self, why: str, *, drain_seconds: float) -> None:
        if self._stopping is not None:
            return
        self._stopping = why
        _log.info("%s: draining for %.1f s, then stopping", why, drain_seconds)
        grace = self._config.grace_seconds
        for worker in self._workers:
            worker.send(control.Drain(drain_seconds, grace))
        self._events.drop_timers()
        self._events.after(drain_seconds + grace + 5, self._kill_late)

    def _kill_late(self) -> None:
        for worker in self._workers:
            if worker.pid:
                _log.error("worker %d didn't end in time: killing it", worker.index)
                worker.kill()


def restart_pause(deaths: int, chance: float) -> float:
    """Return the pause before the restart of a worker that ended `deaths` times; `chance` in 0..1."""
    # The exponent is limited, because a float can't hold any power of 2.
    longest = min(_LONGEST_RESTART_SECONDS, _FIRST_RESTART_SECONDS * 2.0 ** min(deaths - 1, 16))
    return longest * (0.5 + chance / 2)


def serve(config: Config) -> int:
    """Run the service and return the exit status. Raises StartError or HostingError."""
    source = open_source(config)
    supervisor = Supervisor(config, source)
    logs.say_version(lambda: supervisor.version)
    # Each client connection needs a descriptor, and so does each file of a version while it is opened.
    descriptors.raise_limit()
    _log.info("lightfm-retriever %s starts", release())
    return supervisor.run()
