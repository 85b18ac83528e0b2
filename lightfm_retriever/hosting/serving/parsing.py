"""Requests that can't be parsed: answered INTERNAL, as gRPC does, but without a traceback in the log.

In a stream gRPC would go on to answer such a call a second time, and never be done with it: it would
keep the call in memory, and a server that stops would wait for it for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from lightfm_retriever.hosting.calls import Handler, behavior_of, with_behavior
from lightfm_retriever.hosting.observing.repeats import logger_of_calls

_UNREADABLE = object()
# As gRPC says it.
_DETAILS = "Exception deserializing request!"

_log = logger_of_calls(__name__)


def parsing(method: str, handler: Handler) -> Handler:
    """The same handler, which ends calls of what it can't parse."""
    parse: Any = handler.request_deserializer
    if parse is None:
        return handler
    # gRPC takes None for what can't be parsed.
    broken = _UNREADABLE if handler.request_streaming else None

    def deserialize(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            _log.warning("a request of %s isn't a message of its type: answered INTERNAL", method)
            return broken

    behavior = behavior_of(handler)
    if handler.request_streaming:
        behavior = (_stream if handler.response_streaming else _unary)(behavior)
    return with_behavior(handler, behavior, deserialize)


def _readable(requests: Iterator[Any], broken: list[Any]) -> Iterator[Any]:
    """The requests of a stream up to the first that can't be parsed, which is kept."""
    for request in requests:
        if request is _UNREADABLE:
            broken.append(request)
            return
        yield request


def _unary(behavior: Any) -> Any:
    def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        broken: list[Any] = []
        response = behavior(_readable(requests, broken), context)
        if broken:
            context.abort(grpc.StatusCode.INTERNAL, _DETAILS)
        return response

    return answer


def _stream(behavior: Any) -> Any:
    def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        broken: list[Any] = []
        yield from behavior(_readable(requests, broken), context)
        if broken:
            context.abort(grpc.StatusCode.INTERNAL, _DETAILS)

    return answer
