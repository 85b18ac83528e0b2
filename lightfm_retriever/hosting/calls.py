"""Wrap the handlers of all calls: access control, logs and traces.

A handler is wrapped once, when its method is first called. Functions that aren't switched on cost
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]


# Checks a call before its request is read, on the thread that receives all calls. Returns None to let
# it pass, or a handler that refuses it.
Guard: TypeAlias = Callable[[grpc.HandlerCallDetails], "Handler | None"]


class Around(Protocol):
    """Wraps the behavior of a method."""

    def __call__(self, method: str, behavior: Behavior, *, streams: bool) -> Behavior:
        """Return the wrapped behavior of a method ("/package.Service/Method").

        A behavior takes a request, or an iterator of requests, and the context. It returns a response,
        or an iterator of responses if it `streams`.
        """


@dataclass(frozen=True)
class Calls:
    """The guard, and the wrappers of allowed calls and of refusals, the outermost first."""

    guard: Guard | None = None
    arounds: tuple[Around, ...] = ()
    of_refusals: tuple[Around, ...] = ()

    def wrap_refusal(self, method: str, handler: Handler) -> Handler:
        """Wrap a handler that refuses calls."""
        return _around(self.of_refusals, method, handler)

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap a handler that answers calls."""
        if getattr(behavior_of(handler), "experimental_non_blocking", False):
            # A health watch takes no thread, so gRPC calls it in another way.
            return handler
        return _around(self.arounds, method, handler)


def _around(arounds: tuple[Around, ...], method: str, handler: Handler) -> Handler:
    for around in reversed(arounds):
        behavior = around(method, behavior_of(handler), streams=bool(handler.response_streaming))
        handler = with_behavior(handler, behavior)
    return handler


UNGUARDED = Calls()


def refusing_handler(refuse: Callable[[grpc.ServicerContext], Any]) -> Handler:
    """Make a handler that reads no request, so that a caller that sends none can't block its thread."""
    return grpc.stream_unary_rpc_method_handler(lambda _, context: refuse(context))


def behavior_of(handler: Handler) -> Any:
    """Return the function of a handler that answers calls, for any kind of method."""
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def with_behavior(handler: Handler, behavior: Any, deserializer: Any = None) -> Handler:
    """Copy a handler with another behavior, and with another deserializer if one is given."""
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    parse = deserializer or handler.request_deserializer
    made: Handler = make(behavior, parse, handler.response_serializer)
    return made
