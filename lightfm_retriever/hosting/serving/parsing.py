"""Answer requests that can't be parsed with INTERNAL, as gRPC does, but without a traceback in the log.

gRPC has a fault with such requests in a stream: it answers the call a second time and never finishes
it. It would keep the call in memory, and a server that stops would wait for it forever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from lightfm_retriever.hosting.calls import Handler, behavior_of, with_behavior
from lightfm_retriever.hosting.observing.repeats import logger_of_calls

_UNREADABLE = object()
# gRPC's own text.
_DETAILS = "Exception deserializing request!"

_log = logger_of_calls(__name__)


def parsing(method: str, handler: Handler) -> Handler:
    """Make a handler end calls whose requests can't be parsed."""
    parse: Any = handler.request_deserializer
    if parse is None:
        return handler
    # gRPC takes None for a request that can't be parsed.
    broken = _UNREADABLE if handler.request_streaming else None

    def deserialize(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            _log.warning("couldn't parse a request of %s: answered INTERNAL", method)
            return broken

    behavior = behavior_of(handler)
    if handler.request_streaming:
        behavior = (_stream if handler.response_streaming else _unary)(behavior)
    return with_behavior(handler, behavior, deserialize)


def _readable(requests: Iterator[Any], broken: list[Any]) -> Iterator[Any]:
    """Yield the requests of a stream up to the first that can't be parsed, which goes to `broken`."""
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
