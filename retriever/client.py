"""A client of a retriever that doesn't notice when a worker dies or the service is replaced.

    with RetrieverClient("127.0.0.1:50051") as client:
        for item in client.recommend("3", limit=5, titles=True).items:
            print(item.item_id, item.score, item.title)

It is thin: generated stubs, several connections, a deadline for each call, and gRPC's own retries by
`retry_policy.json`, a gRPC service config that clients in other languages can use as it is.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from types import TracebackType
from typing import Self, TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_health.v1 import health_pb2, health_pb2_grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from retriever.errors import RetrieverError

DEFAULT_TIMEOUT_SECONDS = 5.0

_TITLE = FieldMask(paths=["title"])

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class CallError(RetrieverError):
    """The service said no, or nothing in time. `code` is gRPC's; the cause is the RpcError."""

    def __init__(self, target: str, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{target}: {code.name}: {details}")
        self.target = target
        self.code = code
        self.details = details


@dataclass(frozen=True)
class ScoredItem:
    """One result; `title` is empty when none was asked for or published."""

    item_id: str
    score: float
    title: str = ""


@dataclass(frozen=True)
class Answer:
    """Results, best first, and the version that all of them come from."""

    items: list[ScoredItem]
    version: str


def retry_policy() -> str:
    """The gRPC service config (JSON): retry what a dying or draining worker refused."""
    return resources.files("retriever").joinpath("retry_policy.json").read_text("utf-8")


def open_channel(target: str) -> grpc.Channel:
    """A channel with a connection of its own, retries, and pings that notice a dead peer."""
    return grpc.insecure_channel(
        target,
        options=[
            ("grpc.service_config", retry_policy()),
            ("grpc.enable_retries", 1),
            # Channels with equal arguments otherwise share one connection, and so one worker.
            ("grpc.use_local_subchannel_pool", 1),
            # A worker that is gone without a word is noticed after 10 + 5 seconds.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            # A service that was away is looked for again at once, then every second at the least.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ],
    )


class RetrieverClient:
    """Asks one retriever. Threads may share it; make it after a fork, not before.

    Args:
        target: "host:port".
        connections: how many to open. One connection is always answered by one worker, so use at
            least as many as the service has workers.
        timeout_seconds: of each call, retries included, unless the call gives another.
    """

    def __init__(
        self,
        target: str,
        *,
        connections: int = 2,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if connections < 1:
            raise ValueError(f"connections is {connections}, but should be at least 1")
        self._target = target
        self._timeout_seconds = timeout_seconds
        self._channels = [open_channel(target) for _ in range(connections)]
        # next() on a cycle is atomic in CPython: no lock.
        self._stubs = itertools.cycle([pb_grpc.RetrieverServiceStub(c) for c in self._channels])

    def similar_items(
        self,
        item_id: str,
        *,
        limit: int | None = None,
        titles: bool = False,
        search_effort: float | None = None,
        exact: bool = False,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """The items most like one item; `limit` is the service's default when None.

        `search_effort` is relative to what was tuned; with `exact` every item is scored.

        Raises:
            CallError: see its code; NOT_FOUND for an unknown item.
        """
        request = pb.SimilarItemsRequest(
            item_id=item_id,
            limit=limit,
            return_attributes=_TITLE if titles else None,
            search_effort=search_effort,
            exact=exact,
        )
        return _answer(self._call(next(self._stubs).SimilarItems, request, timeout_seconds))

    def recommend(
        self,
        user_id: str,
        *,
        limit: int | None = None,
        exclude_seen: bool = True,
        titles: bool = False,
        search_effort: float | None = None,
        exact: bool = False,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """The items that suit one user best; `limit` is the service's default when None.

        `search_effort` is relative to what was tuned; with `exact` every item is scored.

        Raises:
            CallError: see its code; NOT_FOUND for an unknown user.
        """
        request = pb.RecommendRequest(
            user_id=user_id,
            limit=limit,
            exclude_seen=exclude_seen,
            return_attributes=_TITLE if titles else None,
            search_effort=search_effort,
            exact=exact,
        )
        return _answer(self._call(next(self._stubs).Recommend, request, timeout_seconds))

    def status(self, *, timeout_seconds: float | None = None) -> pb.GetStatusResponse:
        """The state of the whole service, as any worker knows it. Raises CallError."""
        return self._call(next(self._stubs).GetStatus, pb.GetStatusRequest(), timeout_seconds)

    def is_serving(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the worker that gets this check serves a publication. Raises CallError."""
        stub = health_pb2_grpc.HealthStub(self._channels[0])
        response = self._call(stub.Check, health_pb2.HealthCheckRequest(), timeout_seconds)
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_until_serving(self, *, timeout_seconds: float = 60.0) -> None:
        """Wait until a worker serves a publication. Raises CallError when none does in time."""
        end = time.monotonic() + timeout_seconds
        stub = health_pb2_grpc.HealthStub(self._channels[0])
        while True:
            watch = stub.Watch(
                health_pb2.HealthCheckRequest(), timeout=end - time.monotonic(), wait_for_ready=True
            )
            try:
                for response in watch:
                    if response.status == health_pb2.HealthCheckResponse.SERVING:
                        watch.cancel()
                        return
            except grpc.RpcError as error:
                # The worker that was asked may have ended: another one answers.
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    raise self._error(error) from error

    def close(self) -> None:
        """Close the connections; calls in flight are cancelled."""
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        timeout_seconds: float | None,
    ) -> _Response:
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            return method(request, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            raise self._error(error) from error

    def _error(self, error: grpc.RpcError) -> CallError:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            details += " (does a retriever run there?)"
        return CallError(self._target, error.code(), details)


def _answer(response: pb.SimilarItemsResponse | pb.RecommendResponse) -> Answer:
    items: Iterable[pb.ScoredItem] = response.items
    return Answer(
        [ScoredItem(item.item_id, item.score, item.title) for item in items], response.version
    )
