"""Lanes: each limits how many calls of a kind are answered at once, and has its own threads.

gRPC hands a call from its own thread to another one before the request has arrived, and again
afterwards. This, and two threads that compete for the GIL, takes longer than most answers. So a unary
lane receives the request on gRPC's thread, and answers quick calls there. This module uses parts of
grpcio that aren't
public: see docs/adr/0015-quick-calls.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc._server import _CANCELLED, _CLOSED, _RECEIVE_MESSAGE_TOKEN, _abort, _receive_message

from lightfm_retriever.hosting.process import start_all

# Called for each call that ended, with its method, its status code, and the seconds since its request
# arrived: None for a call that was refused unread.
Observe: TypeAlias = Callable[[str, grpc.StatusCode, float | None], None]
_NO_FLAGS = 0
_OK = grpc.StatusCode.OK


def ignore(method: str, code: grpc.StatusCode, seconds: float | None) -> None:
    """Observe nothing."""


class Lane(ThreadPoolExecutor):
    """Threads for at most `limit` calls at once, and counts of calls."""

    def __init__(self, name: str, *, limit: int, threads: int | None = None) -> None:
        super().__init__(threads or limit, thread_name_prefix=name)
        self.limit = limit
        self.accepted = 0
        self.refused = 0
        self._ended = 0
        self._lock = threading.Condition()
        # Calls that wait for `release`; None while calls don't have to wait.
        self._held: list[Callable[[], object]] | None = None
        self._started = start_all(self, threads or limit)

    @property
    def alive(self) -> bool:
        """Whether all threads are alive. One may end without enough memory, and isn't replaced."""
        return all(thread.is_alive() for thread in self._started)

    @property
    def in_flight(self) -> int:
        """The number of calls that were accepted and haven't ended."""
        return self.accepted - self._ended

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any] | None:  # type: ignore[override]
        """Run and count a call."""
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
        """Accept calls from now on, but let them wait."""
        with self._lock:
            self._held = self._held or []

    def release(self) -> None:
        """Start the waiting calls. Later calls don't wait any more."""
        with self._lock:
            held, self._held = self._held or (), None
        for begin in held:
            begin()

    def _hold(self, begin: Callable[[], object]) -> bool:
        """Keep a call waiting if calls have to wait, and return whether they do. `begin` starts it."""
        if self._held is None:
            return False
        with self._lock:
            if self._held is None:
                return False
            self._held.append(begin)
            return True

    def wait_until_empty(self, seconds: float | None) -> bool:
        """Wait until no call is in flight. Returns False if some still are after that time."""
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
    """A lane for calls of one request and one response.

    A call takes no thread before its request arrives. So a caller that never sends its request blocks
    nobody. Calls that are `is_quick` are answered at once on gRPC's own thread, which must not be
    blocked for long. The lane's own threads answer the others.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: int,
        threads: int,
        is_quick: Callable[[Any], bool],
        observe: Observe = ignore,
    ) -> None:
        super().__init__(name, limit=limit, threads=threads)
        self._is_quick = is_quick
        self._observe = observe

    def submit(self, function: Callable[..., Any], /, *args: Any, **_: Any) -> None:  # type: ignore[override]
        """Take over a call from gRPC, which holds its lock: receive the request, then answer."""
        respond, rpc_event, state, behavior, _wait, deserialize, serialize = args
        receive = _receive_message(state, rpc_event.call, deserialize)
        run_later = super(Lane, self).submit
        came_at = 0.0

        def end(seconds: float | None) -> None:
            self._end()
            self._observe(behavior.method, _code(state), seconds)

        def answer(request: Any) -> None:
            try:
                function(respond, rpc_event, state, behavior, lambda: request, deserialize, serialize)
            except Exception:
                # gRPC handles errors of the method. This is another one, for instance not enough
                # memory. It must not end the single thread that receives calls, nor leave the caller
                # waiting.
                _end_without_answer(state, rpc_event.call)
            finally:
                end(time.perf_counter() - came_at)

        def answer_later(request: Any) -> None:
            try:
                run_later(answer, request)
            except Exception:
                _end_without_answer(state, rpc_event.call)
                end(None)

        def on_message(event: Any) -> Any:
            nonlocal came_at
            came_at = time.perf_counter()
            ended = receive(event)
            request, state.request = state.request, None
            if request is None:
                self._end()
                code = _end_without_request(state, rpc_event.call)
                self._observe(behavior.method, code, None)
            elif self._hold(lambda: answer_later(request)):
                pass
            elif self._looks_quick(request):
                answer(request)
            else:
                answer_later(request)
            return ended

        self._begin()
        rpc_event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), on_message)
        state.due.add(_RECEIVE_MESSAGE_TOKEN)

    def _looks_quick(self, request: Any) -> bool:
        try:
            return self._is_quick(request)
        except Exception:
            return False


def _code(state: Any) -> grpc.StatusCode:
    if state.client is _CANCELLED:
        return grpc.StatusCode.CANCELLED
    code: grpc.StatusCode = state.code or _OK
    return code


def _end_without_request(state: Any, call: Any) -> grpc.StatusCode:
    """End a call without a request as gRPC does, unless the caller left. Returns its status code."""
    with state.condition:
        if state.statused:
            # The request can't be parsed.
            return grpc.StatusCode.INTERNAL
        if state.client is not _CLOSED:
            return grpc.StatusCode.CANCELLED
        _abort(
            state, call, cygrpc.StatusCode.unimplemented, b"a request is missing: exactly one is needed"
        )
        return grpc.StatusCode.UNIMPLEMENTED


def _end_without_answer(state: Any, call: Any) -> None:
    """Tell the caller to retry, unless the call has ended already."""
    with state.condition:
        if not state.statused:
            # For the counters of calls; the abort itself doesn't set the code.
            state.code = grpc.StatusCode.UNAVAILABLE
            _abort(
                state,
                call,
                cygrpc.StatusCode.unavailable,
                b"this process doesn't have enough memory to answer: try again later",
            )
