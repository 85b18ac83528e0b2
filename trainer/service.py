"""TrainerService: proto <-> versions and labels."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from publication import layout
from publication.errors import (
    InvalidPublicationError,
    LabelError,
    PublicationError,
    VersionNotFoundError,
)
from trainer import versions
from trainer.errors import OptionError

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["TrainerService"].full_name

_DOMAIN = "lightfm-retriever"
_THREADS = 4

_log = logging.getLogger(__name__)


class TrainerServicer(pb_grpc.TrainerServiceServicer):
    """The RPCs, over one volume."""

    def __init__(self, volume: Path) -> None:
        self._volume = volume

    def ListVersions(  # noqa: N802
        self,
        request: pb.ListVersionsRequest,  # noqa: ARG002
        context: grpc.ServicerContext,
    ) -> pb.ListVersionsResponse:
        """See the proto."""
        try:
            listed = versions.list_published(self._volume)
        except PublicationError as error:
            _abort(context, error)
        return pb.ListVersionsResponse(versions=[_version(version) for version in listed])

    def SetLabel(  # noqa: N802
        self, request: pb.SetLabelRequest, context: grpc.ServicerContext
    ) -> pb.SetLabelResponse:
        """See the proto."""
        if not layout.is_version_name(request.version):
            _abort_field(context, "version", f"{request.version[:64]!r} isn't a version's name")
        try:
            previous = versions.promote(
                self._volume, request.version, label=request.label or layout.DEFAULT_LABEL
            )
        except PublicationError as error:
            _abort(context, error)
        return pb.SetLabelResponse(previous_version=previous or "")


def build_server(volume: Path, address: str) -> tuple[grpc.Server, int]:
    """A server with health and reflection, not yet started, and the port that it got.

    Raises:
        OptionError: the address can't be listened on.
    """
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="call"),
        # A second trainer on the port is a mistake, not a worker.
        options=[("grpc.so_reuseport", 0)],
    )
    pb_grpc.add_TrainerServiceServicer_to_server(TrainerServicer(volume), server)
    servicer = health.HealthServicer()
    for name in ("", SERVICE_NAME):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    try:
        return server, server.add_insecure_port(address)
    except RuntimeError as error:
        raise OptionError("--listen", address, "a free HOST:PORT of this machine") from error


def serve(volume: Path, address: str) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    versions.list_published(volume)
    server, port = build_server(volume, address)
    with _stop_signal() as wait:
        server.start()
        print(f"listening on {address.rpartition(':')[0]}:{port}", flush=True)
        wait()
        server.stop(grace=5).wait()
    return 0


@contextmanager
def _stop_signal() -> Iterator[Callable[[], object]]:
    """A function that waits for a SIGTERM or SIGINT that comes from now on, or has come already.

    It waits at a socket, since a handler that sets an Event never returns when it interrupts the
    waiting for that Event, and since a signal that another thread gets wouldn't end that waiting.
    """
    wake_end, wake = socket.socketpair()
    with wake_end, wake:
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        yield lambda: wake_end.recv(1)
        signal.set_wakeup_fd(-1)


def _version(version: versions.PublishedVersion) -> pb.Version:
    manifest = version.manifest
    if manifest is None:
        return pb.Version(name=version.name, labels=version.labels, problem=version.problem)
    created_at = Timestamp()
    created_at.FromDatetime(datetime.fromisoformat(manifest.created_at))
    return pb.Version(
        name=version.name,
        created_at=created_at,
        labels=version.labels,
        items=manifest.items,
        users=manifest.users,
        metrics=manifest.metrics,
    )


def _abort(context: grpc.ServicerContext, error: PublicationError) -> None:
    match error:
        case LabelError():
            _abort_field(context, "label", error.reason)
        case VersionNotFoundError():
            _abort_info(context, code_pb2.NOT_FOUND, str(error), "VERSION_NOT_FOUND")
        case InvalidPublicationError():
            _abort_info(context, code_pb2.FAILED_PRECONDITION, str(error), "VERSION_INVALID")
        case _:
            _log.error("the volume can't be used", exc_info=error)
            _abort_info(context, code_pb2.UNAVAILABLE, str(error), "VOLUME_UNUSABLE")


def _abort_field(context: grpc.ServicerContext, field: str, reason: str) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=reason)
    detail = error_details_pb2.BadRequest(field_violations=[violation])
    _abort_with(context, code_pb2.INVALID_ARGUMENT, f"{field}: {reason}", detail)


def _abort_info(context: grpc.ServicerContext, code: int, message: str, reason: str) -> None:
    detail = error_details_pb2.ErrorInfo(reason=reason, domain=_DOMAIN)
    _abort_with(context, code, message, detail)


def _abort_with(context: grpc.ServicerContext, code: int, message: str, detail: Message) -> None:
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(detail)
    context.abort_with_status(rpc_status.to_status(status))
