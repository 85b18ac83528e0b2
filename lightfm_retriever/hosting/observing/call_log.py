"""Request ids of calls, and the fields of their lines in the access log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import grpc

from lightfm_retriever.hosting.calls import Behavior
from lightfm_retriever.hosting.observing import request_ids
from lightfm_retriever.hosting.observing.access_log import AccessLog
from lightfm_retriever.hosting.observing.log_format import ids_of_call
from lightfm_retriever.hosting.observing.spans import Attributes

# Returns the facts of a response, by name, for logs and traces.
Facts: TypeAlias = Callable[[Any], Attributes]

# The method of a refused call may be any text of its caller.
_LONGEST_METHOD = 200


def of_machines(method: str) -> bool:
    """Return whether a method is a health check or reflection, which have no lines and no spans."""
    return method.startswith("/grpc.")


def code_of(context: grpc.ServicerContext, *, failed: bool) -> grpc.StatusCode:
    """Return the status code with which a call ended; it `failed` if it raised an error."""
    code: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined]
    if code is not None:
        return code
    if not context.is_active():
        # The answer doesn't reach the caller.
        return grpc.StatusCode.CANCELLED
    return grpc.StatusCode.UNKNOWN if failed else grpc.StatusCode.OK


class CallLog:
    """Give each call a request id, return the id to the caller, and log the call when it ends.

    The caller gets the id if there is an access log, if it sent the id itself, or if the call failed.
    Lines contain the `facts` of the response.
    """

    def __init__(self, access: AccessLog | None, facts: Facts) -> None:
        self._access = access
        self._facts = facts

    def __call__(self, method: str, behavior: Behavior, *, streams: bool) -> Behavior:
        """See lightfm_retriever.hosting.calls.Around."""
        if of_machines(method):
            return behavior
        begin = partial(self._begin, method[:_LONGEST_METHOD])

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            end = begin(context)
            response = None
            try:
                response = behavior(request, context)
            finally:
                end(response, failed=response is None)
            return response

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            end = begin(context)
            failed = True
            try:
                yield from behavior(request, context)
                failed = False
            finally:
                end(None, failed=failed)

        return stream if streams else unary

    def _begin(self, method: str, context: grpc.ServicerContext) -> Callable[..., None]:
        """Begin a call. Returns the function that ends it, with its response and whether it failed."""
        began = time.perf_counter()
        request_id = request_ids.take(context.invocation_metadata())

        def end(response: Any, *, failed: bool) -> None:
            given_back = (request_ids.HEADER, request_id)
            # Returning the id takes a twentieth of a quick call's time, so do it only if a log has the
            # id.
            if failed or self._access is not None or given_back in context.invocation_metadata():
                # An abort sets trailing metadata too: keep it.
                others = context.trailing_metadata() or ()
                context.set_trailing_metadata((*others, given_back))
            if self._access is None:
                return
            seconds = time.perf_counter() - began
            fields = {
                "method": method,
                "code": code_of(context, failed=failed).name,
                "milliseconds": round(1000 * seconds, 3),
                **ids_of_call(request_id),
                "peer": context.peer(),
            }
            if response is not None:
                fields.update(self._facts(response))
            self._access.add(fields)

        return end
