"""What can be wrong with how a service is to be run or asked."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from numbers import Real

_SHOWN_LENGTH = 64


class HostingError(Exception):
    """Base of this package's errors; the text names the flag, file or key, and what to do."""


class FlagError(HostingError):
    """Flags of a command line that can't be used, or not together."""


class UsageError(FlagError):
    """A command line that can't be read; `program` is the command whose help says more."""

    def __init__(self, text: str, program: str) -> None:
        super().__init__(text)
        self.program = program


class ServiceRefusedError(FlagError):
    """A command line that asks a service for something that it refuses; `field` is of the request."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.code = "INVALID_ARGUMENT"
        self.field = field


class ArgumentError(HostingError, TypeError, ValueError):
    """An argument of a client that couldn't be sent as it is meant.

    Attributes:
        argument: its name, with the place in a list where one entry is wrong: "session[2]".
        expected: what it should be, with an example.
    """

    def __init__(self, argument: str, value: object, expected: str, *, text: str = "") -> None:
        super().__init__(text or f"{argument} is {shown(value)}, but should be {expected}")
        self.argument = argument
        self.expected = expected


def shown(value: object) -> str:
    """A value of any kind in plain words, at most a line of it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {_cut(repr(value[:_SHOWN_LENGTH]))}"
    if isinstance(value, Real):
        try:
            return _cut(str(value))
        except ValueError:
            # It has more digits than can be written.
            return "a number beyond all bounds"
    for kinds, name in (
        ((bytes, bytearray, memoryview), "bytes"),
        (Mapping, "a mapping"),
        (AbstractSet, "a set"),
        (tuple, "a tuple"),
        (list, "a list"),
    ):
        if isinstance(value, kinds):
            return name
    return f"of the kind {type(value).__name__}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH + 2 else f"{text[:_SHOWN_LENGTH]}..."
