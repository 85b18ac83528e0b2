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


class _Readable:
    """The requests of a stream, which for its reader ends before the first that can't be parsed."""

    def __init__(self, requests: Iterator[Any]) -> None:
        self._requests = requests
        self._broken = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        request = next(self._requests)
        if request is _UNREADABLE:
            self._broken = True
            raise StopIteration
        return request

    def end(self, context: grpc.ServicerContext) -> None:
        """Abort the call if a request couldn't be parsed."""
        if self._broken:
            context.abort(grpc.StatusCode.INTERNAL, _DETAILS)


def _unary(behavior: Any) -> Any:
    def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        readable = _Readable(requests)
        response = behavior(readable, context)
        readable.end(context)
        return response

    return answer


def _stream(behavior: Any) -> Any:
    def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        readable = _Readable(requests)
        yield from behavior(readable, context)
        readable.end(context)

    return answer
