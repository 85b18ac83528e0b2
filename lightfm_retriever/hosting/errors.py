"""Errors in settings, in command lines and in the arguments of clients."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from numbers import Real

_SHOWN_LENGTH = 64


class HostingError(Exception):
    """Base of this package's errors; the text names the flag, file or key, and what to do."""


class FlagError(HostingError):
    """A flag of a command line has a wrong value, or excludes another flag."""


class UsageError(FlagError):
    """A mistake in a command line. `program` is the command whose help explains it."""

    def __init__(self, text: str, program: str) -> None:
        super().__init__(text)
        self.program = program


class ServiceRefusedError(FlagError):
    """A service refused the request of a command line. `field` is the refused field."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.code = "INVALID_ARGUMENT"
        self.field = field


class ArgumentError(HostingError, TypeError, ValueError):
    """An argument of a client that protobuf can't send as intended.

    Attributes:
        argument: its name, and the position of a wrong entry of a list: "session[2]".
        expected: the expected value, with an example.
    """

    def __init__(self, argument: str, value: object, expected: str, *, text: str = "") -> None:
        super().__init__(text or f"{argument} is {shown(value)}, but should be {expected}")
        self.argument = argument
        self.expected = expected


def shown(value: object) -> str:
    """Describe a value of any kind in plain words, in at most one line."""
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
            # Python refuses to write so many digits.
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
