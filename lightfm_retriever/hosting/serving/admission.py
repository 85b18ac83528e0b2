"""How many calls a server takes at once, which thread answers each, and what happens to the others.

gRPC's own limit counts every call, health checks too, so a busy server would look dead. Here each kind
of call has a lane: a limit, and threads of its own. What is past the limit is refused at once, from
threads that do nothing else.

gRPC would hand a call from its own thread to another one before the request is there, and once more
when it has come. That, and two threads that want the GIL, takes longer than most questions do. So a
call's lane waits for the request on gRPC's thread, and answers there what is quick. This uses parts of
grpcio that aren't public: see docs/adr/0015-quick-calls.md.
"""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeAlias

import grpc
from google.rpc import code_pb2, status_pb2
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc._server import _CANCELLED, _CLOSED, _RECEIVE_MESSAGE_TOKEN, _abort, _receive_message
from grpc_status import rpc_status

from lightfm_retriever.hosting.calls import (
    UNGUARDED,
    Calls,
    Handler,
    behavior_of,
    refusing_handler,
    with_behavior,
)
from lightfm_retriever.hosting.serving.parsing import parsing
from lightfm_retriever.hosting.serving.pushback import with_pushback
from lightfm_retriever.hosting.serving.retry_info import retry_info
from lightfm_retriever.hosting.threads import start_all

IsQuick: TypeAlias = Callable[[Any], bool]
# Told of each call that ended: its method, how, and seconds since its request had come, None for one
# that was refused unread.
Observe: TypeAlias = Callable[[str, grpc.StatusCode, float | None], None]

# Tell callers to come back after about as long as a full lane takes to empty.
_RETRY_SECONDS = 0.1
_NO_FLAGS = 0
_OK = grpc.StatusCode.OK


def ignore(method: str, code: grpc.StatusCode, seconds: float | None) -> None:
    """Observe nothing."""


class Lane(ThreadPoolExecutor):
    """A thread for each of at most `limit` calls, and the counts of what it did."""

    def __init__(self, name: str, *, limit: int, threads: int | None = None) -> None:
        super().__init__(threads or limit, thread_name_prefix=name)
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self._ended = 0
        self._lock = threading.Condition()
        # Calls that wait for `release`; None while none has to.
        self._held: list[Callable[[], object]] | None = None
        self._started = start_all(self, threads or limit)

    @property
    def alive(self) -> bool:
        """Whether all its threads are; one may end for want of memory, and no other takes its place."""
        return all(thread.is_alive() for thread in self._started)

    @property
    def in_flight(self) -> int:
        """Calls that were accepted and haven't ended."""
        return self.accepted - self._ended

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any] | None:  # type: ignore[override]
        """Run a call, and count it."""
        self._begin()
        if self._hold(lambda: super(Lane, self).submit(self._run, function, *args, **kwargs)):
            return None
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

    def hold(self) -> None:
        """Take calls, but let them wait from now on."""
        with self._lock:
            self._held = self._held or []

    def release(self) -> None:
        """Begin with the calls that wait; those that come later don't."""
        with self._lock:
            held, self._held = self._held or (), None
        for begin in held:
            begin()

    def _hold(self, begin: Callable[[], object]) -> bool:
        """Whether a call, which `begin` begins, has to wait."""
        if self._held is None:
            return False
        with self._lock:
            if self._held is None:
                return False
            self._held.append(begin)
            return True

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

    def __init__(
        self,
        name: str,
        *,
        limit: int,
        threads: int,
        is_quick: IsQuick,
        observe: Observe = ignore,
    ) -> None:
        super().__init__(name, limit=limit, threads=threads)
        self._is_quick = is_quick
        self._observe = observe

    def submit(self, function: Callable[..., Any], /, *args: Any, **_: Any) -> None:  # type: ignore[override]
        """Take over a call from gRPC, which holds the call's lock: ask for its request, then answer."""
        respond, rpc_event, state, behavior, _wait, deserialize, serialize = args
        receive = _receive_message(state, rpc_event.call, deserialize)
        run_later = super(Lane, self).submit
        came_at = 0.0
        began = False

        def answer(request: Any) -> None:
            nonlocal began
            began = True
            try:
                function(respond, rpc_event, state, behavior, lambda: request, deserialize, serialize)
            finally:
                self._end()
                seconds = time.perf_counter() - came_at
                self._observe(behavior.method, _code(state), seconds)

        def on_message(event: Any) -> Any:
            nonlocal came_at
            came_at = time.perf_counter()
            ended = receive(event)
            request, state.request = state.request, None
            if request is None:
                self._end()
                code = _end_without_request(state, rpc_event.call)
                self._observe(behavior.method, code, None)
                return ended
            try:
                if self._hold(lambda: run_later(answer, request)):
                    pass
                elif self._is_quick(request):
                    answer(request)
                else:
                    run_later(answer, request)
            except Exception:
                # For want of memory, say. Raised, it would end the one thread that takes calls.
                if not began:
                    self._end()
                _end_without_answer(state, rpc_event.call)
                self._observe(behavior.method, _code(state), None)
            return ended

        self._begin()
        rpc_event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), on_message)
        state.due.add(_RECEIVE_MESSAGE_TOKEN)


def _code(state: Any) -> grpc.StatusCode:
    """How a call that was answered ended, for whoever asked."""
    if state.client is _CANCELLED:
        return grpc.StatusCode.CANCELLED
    code: grpc.StatusCode = state.code or _OK
    return code


def _end_without_request(state: Any, call: Any) -> grpc.StatusCode:
    """As gRPC does, unless it is the caller that left; returns how the call ends."""
    with state.condition:
        if state.statused:
            # What came can't be parsed.
            return grpc.StatusCode.INTERNAL
        if state.client is not _CLOSED:
            return grpc.StatusCode.CANCELLED
        _abort(
            state,
            call,
            cygrpc.StatusCode.unimplemented,
            b"a request is missing: exactly one is needed",
        )
        return grpc.StatusCode.UNIMPLEMENTED


def _end_without_answer(state: Any, call: Any) -> None:
    """Tell the caller to ask again, unless the call has ended already."""
    with state.condition:
        if not state.statused:
            _abort(
                state,
                call,
                cygrpc.StatusCode.unavailable,
                b"this process lacks the memory to answer: ask again",
            )


class Admission(grpc.ServerInterceptor):
    """Sends calls to lanes by their method, or else by their service's name.

    gRPC asks it for the handler of each call on the one thread that also accepts them, so it does no
    more than look at a number.
    """

    def __init__(
        self,
        lanes: dict[str, Lane],
        *,
        calls: Calls = UNGUARDED,
        observe: Observe = ignore,
    ) -> None:
        """Make one.

        Args:
            lanes: by method ("/package.Service/Method") or by the name of a service.
            calls: who may call, and what is put around the calls that may.
            observe: told of the calls that are refused.
        """
        self._lanes = lanes
        self._calls = calls
        self._observe = observe
        self._known: dict[str, tuple[Lane | None, Handler, Handler]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler of a call, or one that refuses it."""
        if self._calls.guards:
            refusing = self._calls.refusal(handler_call_details)
            if refusing is not None:
                return self._observed(handler_call_details.method, refusing)
        method = handler_call_details.method
        known = self._known.get(method)
        if known is None:
            handler = continuation(handler_call_details)
            if handler is None:
                return None
            known = self._known[method] = self._admit(method, handler)
        lane, handler, refusing = known
        if lane is not None and lane.in_flight >= lane.limit:
            lane.refused += 1
            self._observe(method, grpc.StatusCode.RESOURCE_EXHAUSTED, None)
            return refusing
        return handler

    def _admit(self, method: str, handler: Handler) -> tuple[Lane | None, Handler, Handler]:
        """The lane of a method, its handler, and what refuses its calls when the lane is full."""
        handler = self._calls.wrap(method, parsing(method, handler))
        refusing = self._calls.wrap_refusal(method, _REFUSED)
        lane = self._lanes.get(method) or self._lanes.get(method[1:].partition("/")[0])
        return lane, handler if lane is None else _in_lane(method, handler, lane), refusing

    def _observed(self, method: str, refusing: Handler) -> Handler:
        """The same handler, which refuses, and of which no lane tells."""
        if self._observe is ignore:
            return refusing
        behavior = behavior_of(refusing)

        def observed(request: Any, context: Any) -> Any:
            try:
                return behavior(request, context)
            finally:
                self._observe(method, context.code() or _OK, None)

        return with_behavior(refusing, observed)


def _in_lane(method: str, handler: Handler, lane: Lane) -> Handler:
    """The same handler, run by a lane."""
    run: Any = functools.partial(behavior_of(handler))
    # The attribute by which gRPC lets a handler choose its threads; its own health servicer does too.
    run.experimental_thread_pool = lane
    # A health watch goes on after its handler has returned.
    run.experimental_non_blocking = getattr(behavior_of(handler), "experimental_non_blocking", False)
    # gRPC itself knows it of methods without a handler only.
    run.method = method
    return with_behavior(handler, run)


def overloaded(retry_seconds: float) -> grpc.Status:
    """RESOURCE_EXHAUSTED, which says when to try again to programs and to gRPC's own retries."""
    status = status_pb2.Status(
        code=code_pb2.RESOURCE_EXHAUSTED,
        message="there are as many calls as this process handles at once: try again later",
    )
    status.details.add().Pack(retry_info(retry_seconds))
    return with_pushback(rpc_status.to_status(status), retry_seconds)


def refuse_call(context: grpc.ServicerContext) -> NoReturn:
    """End a call with `overloaded`."""
    context.abort_with_status(overloaded(_RETRY_SECONDS * random.uniform(0.5, 1.5)))  # noqa: S311
    raise AssertionError("abort_with_status always raises")


_REFUSED = refusing_handler(refuse_call)
