"""What happens around every call, whatever it asks: who may call, and who looks on.

Costs nothing for what isn't switched on: a handler is wrapped once, when its method is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]


# Looks at a call before anything of it is read, on the thread that takes all calls: gives None to let
# it pass, else a handler that refuses it.
Guard: TypeAlias = Callable[[grpc.HandlerCallDetails], "Handler | None"]


class Around(Protocol):
    """Puts something around a method's behavior."""

    def __call__(self, method: str, behavior: Behavior, *, streams: bool) -> Behavior:
        """Another behavior of a method ("/package.Service/Method").

        A behavior takes a request, or an iterator of them, and the context; whether it `streams`, it
        returns an iterator of responses rather than one.
        """


@dataclass(frozen=True)
class Calls:
    """Who may call, and what is put around the calls that may and around refusals, first outermost."""

    guard: Guard | None = None
    arounds: tuple[Around, ...] = ()
    of_refusals: tuple[Around, ...] = ()

    def wrap_refusal(self, method: str, handler: Handler) -> Handler:
        """The same handler, which refuses, with what belongs around it."""
        return _around(self.of_refusals, method, handler)

    def wrap(self, method: str, handler: Handler) -> Handler:
        """The same handler with everything around it."""
        if getattr(behavior_of(handler), "experimental_non_blocking", False):
            # A health watch, which takes no thread and so is called in another way.
            return handler
        return _around(self.arounds, method, handler)


def _around(arounds: tuple[Around, ...], method: str, handler: Handler) -> Handler:
    for around in reversed(arounds):
        behavior = around(method, behavior_of(handler), streams=bool(handler.response_streaming))
        handler = with_behavior(handler, behavior)
    return handler


UNGUARDED = Calls()


def refusing_handler(refuse: Callable[[grpc.ServicerContext], Any]) -> Handler:
    """A handler that reads no request, so that a caller that sends none can't hold its thread."""
    return grpc.stream_unary_rpc_method_handler(lambda _, context: refuse(context))


def behavior_of(handler: Handler) -> Any:
    """The function that answers, whichever kind of method it is."""
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def with_behavior(handler: Handler, behavior: Any, deserializer: Any = None) -> Handler:
    """The same handler with another function that answers, and another that parses if one is given."""
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[bool(handler.request_streaming), bool(handler.response_streaming)]
    parse = deserializer or handler.request_deserializer
    made: Handler = make(behavior, parse, handler.response_serializer)
    return made
