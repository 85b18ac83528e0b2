"""Implements TrainerService on the scheduler, the volume and the event log."""
# ruff: noqa: N802 - the proto names the methods, and describes them

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message
from recsys.trainer.v1 import trainer_service_pb2 as pb
from recsys.trainer.v1 import trainer_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting import statuses
from lightfm_retriever.hosting.message_sizes import DEFAULT_ANSWER_BYTES
from lightfm_retriever.hosting.release import release
from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.volume import Volume
from trainer import models
from trainer.data.data_roots import DataRoots
from trainer.event_log.log import EventLog
from trainer.pipeline import indexing_of
from trainer.runs.run import PAGE_SIZE, State
from trainer.runs.scheduler import Scheduler
from trainer.runs.store import Run
from trainer.service.idle_streams import IdleStreams
from trainer.service.messages import (
    event_of,
    removal_response,
    run_message,
    selection_of,
    spec_of,
    state_name,
)
from trainer.service.sizes import check_events, listed, listed_run, one_page
from trainer.service.status import (
    AnswerTooLargeError,
    FieldError,
    StoppingError,
    TooManyWatchersError,
    to_status,
)
from trainer.service.version_messages import diff_message, version_message
from trainer.spec import DataSpec
from trainer.versions import catalogue, diff

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["TrainerService"].full_name
MAX_WATCHERS = 16
MAX_REQUEST_ID_BYTES = 128
MAX_SPEC_BYTES = 1 << 16
_PAGE_SIZE = 50
_PAGE_TOKEN = re.compile("-?[0-9]{1,19}")

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def _handler(
    method: Callable[[TrainerServicer, _Request], _Response],
) -> Callable[[TrainerServicer, _Request, grpc.ServicerContext], _Response]:
    """Turn a method's exceptions into gRPC statuses."""

    @wraps(method)
    def handle(self: TrainerServicer, request: _Request, context: grpc.ServicerContext) -> _Response:
        try:
            return _checked(method(self, request))
        except Exception as error:
            statuses.abort(context, to_status(error))

    return handle


def _checked(response: _Response) -> _Response:
    """Return the response, or raise AnswerTooLargeError if clients can't receive it."""
    if (size := cast("Message", response).ByteSize()) > DEFAULT_ANSWER_BYTES:
        raise AnswerTooLargeError(size, DEFAULT_ANSWER_BYTES)
    return response


class TrainerServicer(pb_grpc.TrainerServiceServicer):
    """Answers the calls of TrainerService for one volume."""

    def __init__(
        self,
        volume: Volume,
        scheduler: Scheduler,
        event_log: EventLog,
        roots: DataRoots,
        *,
        idle_seconds: float = 60.0,
    ) -> None:
        """Create a servicer; a stream of interactions may send nothing for `idle_seconds`."""
        self._volume = volume
        self._scheduler = scheduler
        self._event_log = event_log
        self._roots = roots
        self._streams = IdleStreams(idle_seconds)
        self._watchers = threading.BoundedSemaphore(MAX_WATCHERS)
        self._stopping = False

    def stop_watches(self) -> None:
        """End the calls that watch training runs, because the service stops."""
        self._stopping = True
        self._scheduler.wake_watchers()

    # ---- training runs

    @_handler
    def Train(self, request: pb.TrainRequest) -> pb.TrainResponse:
        if len(request.request_id.encode()) > MAX_REQUEST_ID_BYTES:
            raise FieldError("request_id", f"has more than {MAX_REQUEST_ID_BYTES} bytes")
        if not request.HasField("spec"):
            raise FieldError("spec", "is not set")
        if (size := request.spec.ByteSize()) > MAX_SPEC_BYTES:
            raise FieldError("spec", f"has {size} bytes, but should have at most {MAX_SPEC_BYTES}")
        spec = spec_of(request.spec)
        if spec.label is not None and not layout.is_label_name(spec.label):
            raise FieldError("spec.label", f"{spec.label[:64]!r} isn't a label's name")
        # Find errors in the spec now, before the run is queued.
        indexing_of(spec)
        models.check_installed(spec.family)
        spec = replace(spec, data=_allowed(spec.data, self._roots))
        run = self._scheduler.submit(spec, request_id=request.request_id)
        return pb.TrainResponse(training_run=run_message(run))

    @_handler
    def GetTrainingRun(self, request: pb.GetTrainingRunRequest) -> pb.GetTrainingRunResponse:
        run = self._scheduler.get(request.training_run_id)
        return pb.GetTrainingRunResponse(training_run=run_message(run))

    @_handler
    def ListTrainingRuns(self, request: pb.ListTrainingRunsRequest) -> pb.ListTrainingRunsResponse:
        size = request.page_size or _PAGE_SIZE
        PAGE_SIZE.check("page_size", size, _refusal)
        before = _number(request.page_token) if request.page_token else None
        runs = self._scheduler.page(size=size + 1, before=before, state=_state(request.state))
        response = pb.ListTrainingRunsResponse()
        response.training_runs.extend(one_page(listed_run(run_message(run)) for run in runs[:size]))
        if (shown := len(response.training_runs)) < len(runs):
            response.next_page_token = str(runs[shown - 1].number)
        return response

    def WatchTrainingRun(
        self, request: pb.WatchTrainingRunRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchTrainingRunResponse]:
        # Each watcher occupies a thread for long. Limit them, so that threads remain for other calls.
        if not self._watchers.acquire(blocking=False):
            statuses.abort(
                context, to_status(TooManyWatchersError(f"{MAX_WATCHERS} calls watch already"))
            )
        # A watcher that hangs up makes room for another one at once.
        context.add_callback(self._scheduler.wake_watchers)
        run: Run | None = None
        try:
            for run in self._scheduler.watch(
                request.training_run_id,
                still_wanted=lambda: context.is_active() and not self._stopping,
            ):
                yield _checked(pb.WatchTrainingRunResponse(training_run=run_message(run)))
            if self._stopping and (run is None or not run.ended):
                raise StoppingError("the service is stopping: watch again when it is back")
        except Exception as error:
            statuses.abort(context, to_status(error))
        finally:
            self._watchers.release()

    @_handler
    def CancelTrainingRun(self, request: pb.CancelTrainingRunRequest) -> pb.CancelTrainingRunResponse:
        run = self._scheduler.cancel(request.training_run_id)
        return pb.CancelTrainingRunResponse(training_run=run_message(run))

    # ---- events

    def AppendInteractions(
        self, requests: Iterator[pb.AppendInteractionsRequest], context: grpc.ServicerContext
    ) -> pb.AppendInteractionsResponse:
        accepted = duplicates = 0
        try:
            for request in self._streams.requests(requests, context):
                check_events(request)
                appended = self._event_log.append([event_of(event) for event in request.events])
                accepted += appended.accepted
                duplicates += appended.duplicates
        except Exception as error:
            statuses.abort(context, to_status(error))
        return pb.AppendInteractionsResponse(accepted=accepted, duplicates=duplicates)

    @_handler
    def RemoveInteractions(
        self, request: pb.RemoveInteractionsRequest
    ) -> pb.RemoveInteractionsResponse:
        removed = self._event_log.remove(selection_of(request), dry_run=request.dry_run)
        return removal_response(removed)

    # ---- versions

    @_handler
    def ListVersions(self, request: pb.ListVersionsRequest) -> pb.ListVersionsResponse:
        if request.page_size < 0:
            raise FieldError("page_size", f"is {request.page_size}, but should be at least 1")
        left = catalogue.list_published(self._volume)
        if request.page_token:
            names = [version.name for version in left]
            if request.page_token not in names:
                raise FieldError(
                    "page_token",
                    "names no version of the list any more: list again from the first page",
                )
            left = left[names.index(request.page_token) + 1 :]
        wanted = left[: request.page_size or None]
        response = pb.ListVersionsResponse(software_version=release())
        response.versions.extend(one_page(listed(version_message(version)) for version in wanted))
        if len(response.versions) < len(left):
            response.next_page_token = response.versions[-1].name
        return response

    @_handler
    def GetVersion(self, request: pb.GetVersionRequest) -> pb.GetVersionResponse:
        found = catalogue.get(self._volume, _version_name("version", request.version))
        text = "" if found.manifest is None else manifest.encode(found.manifest).decode()
        return pb.GetVersionResponse(version=version_message(found), manifest_json=text)

    @_handler
    def SetLabel(self, request: pb.SetLabelRequest) -> pb.SetLabelResponse:
        previous = catalogue.promote(
            self._volume,
            _version_name("version", request.version),
            label=request.label or layout.DEFAULT_LABEL,
        )
        return pb.SetLabelResponse(previous_version=previous or "")

    @_handler
    def Rollback(self, request: pb.RollbackRequest) -> pb.RollbackResponse:
        label = request.label or layout.DEFAULT_LABEL
        previous, version = catalogue.rollback(self._volume, label=label)
        return pb.RollbackResponse(previous_version=previous or "", version=version)

    @_handler
    def DeleteVersion(self, request: pb.DeleteVersionRequest) -> pb.DeleteVersionResponse:
        self._volume.delete_version(_version_name("version", request.version))
        return pb.DeleteVersionResponse()

    @_handler
    def DiffVersions(self, request: pb.DiffVersionsRequest) -> pb.DiffVersionsResponse:
        users = request.users or diff.DEFAULT_USERS
        diff.USERS.check("users", users, _refusal)
        before = _version_name("base_version", request.base_version)
        after = _version_name("version", request.version)
        with self._volume.fetched(before, after) as folder:
            return diff_message(diff.diff(folder, before, after, users=users, seed=0))


def _allowed(data: DataSpec, roots: DataRoots) -> DataSpec:
    """Return the data with resolved paths. Raises OptionError for a path outside the data roots."""
    changes: dict[str, Any] = {
        name: str(roots.resolve(path, option=f"--{name}"))
        for name in ("interactions", "items", "users")
        if (path := getattr(data, name)) is not None
    }
    if data.database_url is not None:
        changes["database_url"] = roots.resolve_url(data.database_url)
    return replace(data, **changes)


def _refusal(field: str, value: int, expected: str) -> FieldError:
    return FieldError(field, f"is {value}, but should be {expected}")


def _number(page_token: str) -> int:
    """Parse a page token: the 64-bit number of a run's row."""
    if _PAGE_TOKEN.fullmatch(page_token) and -(2**63) <= (number := int(page_token)) < 2**63:
        return number
    raise FieldError("page_token", "isn't a next_page_token of a response")


def _state(state: int) -> State | None:
    if state == pb.TRAINING_RUN_STATE_UNSPECIFIED:
        return None
    if state not in pb.TrainingRunState.values():
        raise FieldError("state", f"{state} isn't a state")
    return cast("State", state_name(state))


def _version_name(field: str, name: str) -> str:
    if not layout.is_version_name(name):
        raise FieldError(field, f"{name[:64]!r} isn't a version's name")
    return name
