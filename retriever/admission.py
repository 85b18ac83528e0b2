"""How many calls a worker takes at once, and what happens to the others.

gRPC's own limit counts every call, health checks too, so a busy worker would look dead. Here each kind
of call has a lane: a limit, and threads of its own. What is past the limit is refused at once, from
the threads that also answer health checks and GetStatus.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc

from retriever.errors import AbandonedError, OverloadedError
from retriever.status import to_status

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# Tell callers to come back after about as long as a full lane takes to empty.
_RETRY_SECONDS = 0.1


class Lane(ThreadPoolExecutor):
    """A thread for each of at most `limit` calls, and the counts of what it did.

    As many threads as calls, since a call holds its thread from its first byte on: a caller that never
    sends the rest must not keep others waiting. Of the calls that are complete, `at_once` are handled
    at the same time; the others wait their turn, which is cheaper than many threads that want the GIL.
    """

    def __init__(self, name: str, *, limit: int, at_once: int) -> None:
        super().__init__(limit, thread_name_prefix=name)
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self._ended = 0
        self._lock = threading.Condition()
        self._turns = threading.Semaphore(at_once)

    @property
    def in_flight(self) -> int:
        """Calls that were accepted and haven't ended."""
        return self.accepted - self._ended

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call, and count it."""
        with self._lock:
            self.accepted += 1
        try:
            return super().submit(self._run, function, *args, **kwargs)
        except BaseException:
            self._end()
            raise

    @contextmanager
    def turn(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Wait until few enough calls are being handled; AbandonedError when the caller left."""
        if not self._turns.acquire(blocking=False):
            remaining = context.time_remaining()
            # Without a deadline gRPC says that centuries remain, which is more than a lock can wait.
            longest = threading.TIMEOUT_MAX
            seconds = longest if remaining is None else min(max(0.0, remaining), longest)
            if not self._turns.acquire(timeout=seconds):
                raise AbandonedError("the deadline passed before the call's turn")
        try:
            yield
        finally:
            self._turns.release()

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            self._end()

    def wait_until_empty(self, seconds: float | None) -> bool:
        """Wait until no call is in flight; False when some still are after that time."""
        with self._lock:
            return self._lock.wait_for(lambda: self.in_flight == 0, seconds)

    def _end(self) -> None:
        with self._lock:
            self._ended += 1
            self._lock.notify_all()


class Admission(grpc.ServerInterceptor):
    """Sends calls to lanes by their service's name.

    gRPC asks it for the handler of each call on the one thread that also accepts them, so it does no
    more than look at a number.
    """

    def __init__(self, lanes: dict[str, Lane], *, exempt: frozenset[str]) -> None:
        """`lanes` by service name; `exempt` methods ("/package.Service/Method") have no limit."""
        self._lanes = lanes
        self._exempt = exempt
        self._in_lane: dict[str, tuple[Lane, Handler]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler of a call, or one that refuses it."""
        method = handler_call_details.method
        known = self._in_lane.get(method)
        if known is None:
            handler = continuation(handler_call_details)
            lane = self._lanes.get(method[1:].partition("/")[0])
            if handler is None or lane is None or method in self._exempt:
                return handler
            known = self._in_lane[method] = (lane, _in_lane(handler, lane))
        lane, handler = known
        if lane.in_flight >= lane.limit:
            lane.refused += 1
            return _REFUSED
        return handler


def _in_lane(handler: Handler, lane: Lane) -> Handler:
    """The same handler, run by a lane's threads."""
    make: Callable[..., Handler]
    behavior: Any
    if handler.request_streaming:
        make, behavior = grpc.stream_stream_rpc_method_handler, handler.stream_stream
    else:
        make, behavior = grpc.unary_unary_rpc_method_handler, handler.unary_unary

    def run(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            with lane.turn(context):
                return behavior(request, context)
        except AbandonedError as error:
            context.abort_with_status(to_status(error))

    # The attribute by which gRPC lets a handler choose its threads; its own health servicer does too.
    run.experimental_thread_pool = lane  # type: ignore[attr-defined]
    return make(run, handler.request_deserializer, handler.response_serializer)


def _refuse(_: Iterator[Any], context: grpc.ServicerContext) -> NoReturn:
    retry_seconds = _RETRY_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
    context.abort_with_status(to_status(OverloadedError(retry_seconds)))
    raise AssertionError("abort_with_status always raises")


# It reads no request, so that a caller that sends none can't hold the thread.
_REFUSED: Handler = grpc.stream_unary_rpc_method_handler(_refuse)
