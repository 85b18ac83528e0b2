"""How many calls a worker takes at once, which thread answers each, and what happens to the others.

gRPC's own limit counts every call, health checks too, so a busy worker would look dead. Here each kind
of call has a lane: a limit, and threads of its own. What is past the limit is refused at once, from
the threads that also answer health checks and GetStatus.

gRPC would hand a call from its own thread to another one before the request is there, and once more
when it has come. That, and two threads that want the GIL, takes longer than most questions do. So a
call's lane waits for the request on gRPC's thread, and answers there what is quick. This uses parts of
grpcio that aren't public: see docs/adr/0015-quick-calls.md.
"""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc._server import _CLOSED, _RECEIVE_MESSAGE_TOKEN, _abort, _receive_message

from retriever.errors import OverloadedError
from retriever.status import to_status

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
IsQuick: TypeAlias = Callable[[Any], bool]

# Tell callers to come back after about as long as a full lane takes to empty.
_RETRY_SECONDS = 0.1
_NO_FLAGS = 0


class Lane(ThreadPoolExecutor):
    """A thread for each of at most `limit` calls, and the counts of what it did."""

    def __init__(self, name: str, *, limit: int, threads: int | None = None) -> None:
        super().__init__(threads or limit, thread_name_prefix=name)
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self._ended = 0
        self._lock = threading.Condition()

    @property
    def in_flight(self) -> int:
        """Calls that were accepted and haven't ended."""
        return self.accepted - self._ended

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any] | None:  # type: ignore[override]
        """Run a call, and count it."""
        self._begin()
        try:
            return super().submit(self._run, function, *args, **kwargs)
        except BaseException:
            self._end()
            raise

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            self._end()

    def wait_until_empty(self, seconds: float | None) -> bool:
        """Wait until no call is in flight; False when some still are after that time."""
        with self._lock:
            return self._lock.wait_for(lambda: self.in_flight == 0, seconds)

    def _begin(self) -> None:
        with self._lock:
            self.accepted += 1

    def _end(self) -> None:
        with self._lock:
            self._ended += 1
            self._lock.notify_all()


class UnaryLane(Lane):
    """Calls of one request and one response, which take no thread before their request has come.

    A caller that never sends it keeps nobody waiting. What `is_quick` is answered at once, on gRPC's
    own thread, which must not be kept from its work for long; the rest by `threads` others, in turn.
    """

    def __init__(self, name: str, *, limit: int, threads: int, is_quick: IsQuick) -> None:
        super().__init__(name, limit=limit, threads=threads)
        self._is_quick = is_quick

    def submit(self, function: Callable[..., Any], /, *args: Any, **_: Any) -> None:  # type: ignore[override]
        """Take over a call from gRPC, which holds the call's lock: ask for its request, then answer."""
        respond, rpc_event, state, behavior, _wait, deserialize, serialize = args
        receive = _receive_message(state, rpc_event.call, deserialize)
        run_later = super(Lane, self).submit

        def answer(request: Any) -> None:
            try:
                function(respond, rpc_event, state, behavior, lambda: request, deserialize, serialize)
            finally:
                self._end()

        def on_message(event: Any) -> Any:
            ended = receive(event)
            request, state.request = state.request, None
            if request is None:
                self._end()
                _refuse_no_request(state, rpc_event.call)
            elif self._is_quick(request):
                answer(request)
            else:
                run_later(answer, request)
            return ended

        self._begin()
        rpc_event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), on_message)
        state.due.add(_RECEIVE_MESSAGE_TOKEN)


def _refuse_no_request(state: Any, call: Any) -> None:
    """As gRPC does, unless it is the caller that left."""
    with state.condition:
        if state.client is _CLOSED and not state.statused:
            _abort(
                state,
                call,
                cygrpc.StatusCode.unimplemented,
                b"a request is missing: exactly one is needed",
            )


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
    """The same handler, run by a lane."""
    make: Callable[..., Handler]
    behavior: Any
    if handler.request_streaming:
        make, behavior = grpc.stream_stream_rpc_method_handler, handler.stream_stream
    else:
        make, behavior = grpc.unary_unary_rpc_method_handler, handler.unary_unary

    run: Any = functools.partial(behavior)
    # The attribute by which gRPC lets a handler choose its threads; its own health servicer does too.
    run.experimental_thread_pool = lane
    return make(run, handler.request_deserializer, handler.response_serializer)


def _refuse(_: Iterator[Any], context: grpc.ServicerContext) -> NoReturn:
    retry_seconds = _RETRY_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
    context.abort_with_status(to_status(OverloadedError(retry_seconds)))
    raise AssertionError("abort_with_status always raises")


# It reads no request, so that a caller that sends none can't hold the thread.
_REFUSED: Handler = grpc.stream_unary_rpc_method_handler(_refuse)
