"""Starts the trainer's service: scheduler, event log, maintenance and gRPC server."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting import message_sizes, words
from lightfm_retriever.hosting.calls import UNGUARDED, Calls
from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.observing.metrics_endpoint import MetricsEndpoint
from lightfm_retriever.hosting.observing.spans import Attributes
from lightfm_retriever.hosting.release import release
from lightfm_retriever.hosting.security import credentials
from lightfm_retriever.hosting.security.checks import check_address
from lightfm_retriever.hosting.security.settings import SecuritySettings
from lightfm_retriever.hosting.serving import descriptors
from lightfm_retriever.hosting.serving.lanes import Lane, UnaryLane
from lightfm_retriever.hosting.serving.observation import Observation
from lightfm_retriever.hosting.serving.server import THREAD_ENDED, HostedServer, calls_of
from lightfm_retriever.publication.volume import Volume
from lightfm_retriever.publication.writer import utc_now
from trainer import exclusive, reading
from trainer.data.data_roots import DataRoots
from trainer.errors import StateError
from trainer.event_log.log import EventLog
from trainer.pipeline import EVENTS, LOGS, Places
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import RunStore
from trainer.runs.tracker import RunTracker
from trainer.service.maintenance import Maintenance, Retraining
from trainer.service.metrics import ServiceCollector
from trainer.service.options import ServerOptions
from trainer.service.schedule import Cron, Schedule, changed, every
from trainer.service.servicer import MAX_WATCHERS, SERVICE_NAME, TrainerServicer
from trainer.service.sizes import MAX_REQUEST_BYTES
from trainer.versions import catalogue
from trainer.versions.retention import RetentionPolicy, collect

_THREADS = 16
_APPENDING = 32
# Maximum number of open calls. A call that waits for its request needs no thread, but memory.
_MAX_CALLS = 1024
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5

_log = logging.getLogger(__name__)


def serve(options: ServerOptions) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        OptionError: an option is out of range.
        HostingError: the address, certificates or tokens can't be used.
        StateError: the state directory can't be used, or another trainer uses it.
        PublicationError: the volume can't be read.
    """
    # Each connection of a caller and each open file needs a descriptor.
    descriptors.raise_limit()
    catalogue.list_published(options.volume)
    places = Places(
        options.volume, options.data_dir, options.state / EVENTS, cache_bytes=options.cache_bytes
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_exclusive(options.state))
        store = stack.enter_context(contextlib.closing(RunStore(options.state)))
        events = stack.enter_context(EventLog(places.event_log))
        scheduler = Scheduler(
            store,
            places,
            logs=options.state / LOGS,
            parallel=options.parallel_runs,
            traces=options.hosting.traces,
        )
        maintenance = Maintenance(
            _tasks(options, scheduler, places), every_seconds=options.maintenance_seconds
        )
        servicer = TrainerServicer(options.volume, scheduler, events, DataRoots(options.data_roots))
        taking_calls = threading.Event()
        if options.hosting.metrics_listen is not None:
            endpoint = MetricsEndpoint(
                options.hosting.metrics_listen,
                ServiceCollector(store, options.volume, events.stats),
                live=lambda: None,
                ready=partial(_why_not_ready, store, scheduler, taking_calls),
            )
            endpoint.start()
            stack.callback(endpoint.stop)
        check_address(options.hosting.security, options.listen.rpartition(":")[0])
        observation = Observation(options.hosting, service="lightfm-trainer", facts=_call_facts)
        stack.callback(observation.close)
        calls = calls_of(options.hosting, observation)
        server, port = build_server(
            servicer, options.listen, calls=calls, security=options.hosting.security
        )
        with _stop_signal() as wait:
            if options.tracking.uri is not None:
                tracker = RunTracker(store, options.volume, options.tracking)
                tracker.start()
                # It stops after the scheduler, whose stop ends runs.
                stack.callback(tracker.stop)
            scheduler.start()
            stack.callback(scheduler.stop)
            maintenance.start()
            stack.callback(maintenance.stop)
            server.start()
            taking_calls.set()
            _log.info("lightfm-trainer %s starts", release())
            print(f"listening on {options.listen.rpartition(':')[0]}:{port}", flush=True)
            while server.alive and not wait():
                pass
            status = 0 if server.alive else 1
            if status:
                _log.error(THREAD_ENDED)
            taking_calls.clear()
            server.say_serving(serving=False)
            servicer.stop_watches()
            server.stop(_GRACE_SECONDS)
    return status


def _call_facts(response: Any) -> Attributes:
    """Return the id of the training run in a response, if any, for the span of the call."""
    if isinstance(
        response, pb.TrainResponse | pb.GetTrainingRunResponse | pb.CancelTrainingRunResponse
    ):
        return {"training_run": response.training_run.id}
    return {}


def _why_not_ready(store: RunStore, scheduler: Scheduler, taking_calls: threading.Event) -> str | None:
    if not taking_calls.is_set():
        return "the service is starting or stopping"
    try:
        store.check()
    except StateError as error:
        return str(error)
    return scheduler.problem()


def build_server(
    servicer: TrainerServicer,
    address: str,
    *,
    calls: Calls = UNGUARDED,
    security: SecuritySettings = SecuritySettings(),  # noqa: B008 - frozen
) -> tuple[HostedServer, int]:
    """Create a server with health and reflection, without starting it.

    Returns:
        The server and its port.

    Raises:
        HostingError: the address, certificates or tokens can't be used.
    """
    server = HostedServer(
        SERVICE_NAME,
        {
            SERVICE_NAME: _lane("call", threads=_THREADS),
            # One more thread than watchers: it tells one watcher too many that there are too many.
            f"/{SERVICE_NAME}/WatchTrainingRun": _lane("watch", threads=MAX_WATCHERS + 1),
            # A stream occupies a thread until it ends.
            f"/{SERVICE_NAME}/AppendInteractions": Lane("append", limit=_APPENDING),
            # The event log does one removal at a time, and a removal may take minutes.
            f"/{SERVICE_NAME}/RemoveInteractions": _lane("remove", threads=1),
        },
        calls=calls,
        # Refuse to share the port: a second trainer on it is a mistake, not a worker.
        options=[("grpc.so_reuseport", 0), *message_sizes.received(MAX_REQUEST_BYTES)],
    )
    pb_grpc.add_TrainerServiceServicer_to_server(servicer, server.grpc)
    server.say_serving(serving=True)
    try:
        return server, credentials.add_port(server.grpc, address, security)
    except RuntimeError as error:
        text = words.wrong(address, "a free HOST:PORT of this machine")
        raise HostingError(f"--listen {text}") from error


def _lane(name: str, *, threads: int) -> UnaryLane:
    """Create a lane whose calls wait first for their request, and then for a thread."""
    return UnaryLane(name, limit=_MAX_CALLS, threads=threads, is_quick=lambda _: False)


def _tasks(options: ServerOptions, scheduler: Scheduler, places: Places) -> list[Callable[[], None]]:
    tasks: list[Callable[[], None]] = []
    schedules: list[Schedule] = []
    if options.retrain_every is not None:
        schedules.append(every(options.retrain_every.total_seconds()))
    if options.retrain_cron is not None:
        schedules.append(Cron(options.retrain_cron, now=utc_now().timestamp()))
    spec = options.retrain
    if options.retrain_on_change and spec is not None:
        fingerprint = partial(
            reading.fingerprint, spec.data, data_dir=places.data_dir, event_log=places.event_log
        )
        schedules.append(changed(fingerprint))
    if spec is not None and schedules:
        tasks.append(Retraining(scheduler, spec, schedules))
    if options.retention is not None:
        tasks.append(partial(_collect, options.volume, options.retention))
    return tasks


def _collect(volume: Volume, policy: RetentionPolicy) -> None:
    for version in collect(volume, policy):
        _log.info("deleted version %s: the retention policy no longer keeps it", version)


def _exclusive(state: Path) -> contextlib.ExitStack:
    """Lock the state directory. A second trainer would take the first one's runs for abandoned."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        return exclusive.hold(state, "lock")
    except BlockingIOError as error:
        raise StateError(
            state, "another trainer uses this directory: give each trainer its own --state"
        ) from error
    except OSError as error:
        raise StateError.of(error, state) from error


@contextmanager
def _stop_signal() -> Iterator[Callable[[], bool]]:
    """Give a function that waits a moment, and returns whether SIGTERM or SIGINT has come.

    The function waits at a socket and not for an Event. A handler that interrupts the wait for an Event
    and sets it never returns, and a signal to another thread wouldn't end that wait.
    """
    wake_end, wake = socket.socketpair()
    with wake_end, wake:
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        wake_end.settimeout(_LOOK_SECONDS)

        def wait() -> bool:
            try:
                return bool(wake_end.recv(1))
            except TimeoutError:
                return False

        yield wait
        signal.set_wakeup_fd(-1)
