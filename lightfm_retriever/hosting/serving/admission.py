"""Admission of calls: how many a server answers at once, on which threads, and how it refuses more.

gRPC's own limit counts every call, even health checks, so a busy server would look dead. Here each kind
of call has a lane with its own limit and threads. Calls beyond the limit are refused at once, on
threads that do nothing else.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from google.rpc import code_pb2

from lightfm_retriever.hosting import statuses
from lightfm_retriever.hosting.calls import (
    UNGUARDED,
    Calls,
    Handler,
    behavior_of,
    refusing_handler,
    with_behavior,
)
from lightfm_retriever.hosting.serving.lanes import _OK, Lane, Observe, ignore
from lightfm_retriever.hosting.serving.parsing import parsing

# A full lane takes about this long to empty. Callers should retry after that.
_RETRY_SECONDS = 0.1


class Admission(grpc.ServerInterceptor):
    """Send calls to lanes by their method, or by the name of their service.

    gRPC calls it for each call, on the single thread that accepts calls. So it only compares a number.

    Args:
        lanes: lanes by method ("/package.Service/Method") or by service name.
        calls: the guard and the wrappers of calls.
        observe: called for each refused call.
    """

    def __init__(
        self, lanes: dict[str, Lane], *, calls: Calls = UNGUARDED, observe: Observe = ignore
    ) -> None:
        self._lanes = lanes
        self._calls = calls
        self._observe = observe
        self._known: dict[str, tuple[Lane | None, Handler, Handler]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of a call, or a handler that refuses it."""
        method, guard = handler_call_details.method, self._calls.guard
        if guard is not None and (refusing := guard(handler_call_details)) is not None:
            return self._observed(method, self._calls.wrap_refusal(method, refusing))
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
        """Return the lane of a method, its handler, and the handler for calls when the lane is full."""
        handler = self._calls.wrap(method, parsing(method, handler))
        refusing = self._calls.wrap_refusal(method, _REFUSED)
        lane = self._lanes.get(method) or self._lanes.get(method[1:].partition("/")[0])
        return lane, handler if lane is None else _in_lane(method, handler, lane), refusing

    def _observed(self, method: str, refusing: Handler) -> Handler:
        """Make a refusing handler report its calls, because they pass through no lane."""
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
    run: Any = functools.partial(behavior_of(handler))
    # With this attribute a handler chooses its threads. gRPC's own health servicer uses it too.
    run.experimental_thread_pool = lane
    # A health watch continues after its handler has returned.
    run.experimental_non_blocking = getattr(behavior_of(handler), "experimental_non_blocking", False)
    # gRPC passes the method's name only to methods without a handler.
    run.method = method
    return with_behavior(handler, run)


def overloaded(retry_seconds: float) -> grpc.Status:
    """Make a status RESOURCE_EXHAUSTED that tells programs and gRPC's own retries when to retry."""
    text = "this process already handles as many calls as it may: try again later"
    again = statuses.retry_after(retry_seconds)
    return statuses.to_grpc(statuses.make(code_pb2.RESOURCE_EXHAUSTED, text, again))


def refuse_call(context: grpc.ServicerContext) -> NoReturn:
    """End a call with `overloaded`."""
    statuses.abort(context, overloaded(_RETRY_SECONDS * random.uniform(0.5, 1.5)))  # noqa: S311


_REFUSED = refusing_handler(refuse_call)
