"""Check the arguments of a client, and turn them into values that protobuf can send. Needs no gRPC.

Protobuf's own errors name neither the argument nor the expected value. It also sends some wrong values
as something else, such as a text as a list of its characters.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

from lightfm_retriever.hosting.errors import ArgumentError

MOST_ENTRIES = 1_000_000
"""The longest list: far longer than any service takes, and short enough to count."""

_INT32 = 2**31
_MOST_DIGITS = 512
# gRPC has no shorter timeouts.
_LEAST_SECONDS = 0.001
_TIMEOUT = f"a number of seconds of {_LEAST_SECONDS} or more, such as 0.5"
# gRPC can't hold longer timeouts; this one is three years.
_LONGEST_SECONDS = 1e8

_Value = TypeVar("_Value")
_Result = TypeVar("_Result")
_Parameters = ParamSpec("_Parameters")


def text(argument: str, value: Any, expected: str) -> str:
    """Check a text that is to be sent. Raises ArgumentError."""
    if not isinstance(value, str):
        raise ArgumentError(argument, value, expected)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ArgumentError(argument, value, "text that UTF-8 can hold") from error
    return value


def identifier(argument: str, value: Any) -> str:
    """Convert an external id to text: a whole number becomes its digits. Raises ArgumentError."""
    if isinstance(value, str):
        return text(argument, value, "")
    expected = "an id: text such as '3', or a whole number such as 3"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentError(argument, value, expected)
    number = int(value)
    if abs(number) >= 10**_MOST_DIGITS:
        raise ArgumentError(argument, value, f"an id of at most {_MOST_DIGITS} digits")
    return str(number)


def several(argument: str, values: Any, expected: str) -> Iterator[tuple[str, Any]]:
    """Yield each entry of a list of any kind, with its name for errors. Raises ArgumentError.

    Args:
        argument: the name of the list.
        values: a list, tuple, set, array or column of values, or an iterator.
        expected: a description of the list, with an example.
    """
    odd = isinstance(values, str | bytes | bytearray | memoryview | Mapping)
    # Iterating over a table would yield the names of its columns.
    if odd or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        raise ArgumentError(argument, values, expected)
    for place, value in enumerate(islice(values, MOST_ENTRIES + 1)):
        if place == MOST_ENTRIES:
            raise ArgumentError(argument, values, f"a list of at most {MOST_ENTRIES} entries")
        yield f"{argument}[{place}]", value


def identifiers(argument: str, values: Any, expected: str) -> tuple[str, ...]:
    """Convert external ids to texts. Raises ArgumentError."""
    return tuple(identifier(name, value) for name, value in several(argument, values, expected))


def texts(argument: str, values: Any, expected: str, *, each: str) -> tuple[str, ...]:
    """Check texts; `each` describes the expected text. Raises ArgumentError."""
    return tuple(text(name, value, each) for name, value in several(argument, values, expected))


def flag(argument: str, value: Any) -> bool:
    """Convert a switch to True or False. Raises ArgumentError."""
    # NumPy's booleans have a type of their own, and other libraries use 0 and 1.
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    if isinstance(value, Integral) and int(value) in (0, 1):
        return bool(value)
    raise ArgumentError(argument, value, "True or False")


def whole(argument: str, value: Any, expected: str) -> int:
    """Check a whole number of 32 bits. The service checks its range. Raises ArgumentError."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not (is_whole and -_INT32 <= int(value) < _INT32):
        raise ArgumentError(argument, value, expected)
    return int(value)


def number(argument: str, value: Any, expected: str) -> float:
    """Check a number. The service checks its range. Raises ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentError(argument, value, expected)
    try:
        return float(value)
    except OverflowError as error:
        raise ArgumentError(argument, value, expected) from error


def seconds(argument: str, value: Any) -> float:
    """Check a timeout in seconds. Raises ArgumentError."""
    made = number(argument, value, _TIMEOUT)
    if not (math.isfinite(made) and made >= _LEAST_SECONDS):
        raise ArgumentError(argument, value, _TIMEOUT)
    return min(made, _LONGEST_SECONDS)


def one_of(argument: str, value: Any, kinds: type[_Value] | tuple[type, ...], expected: str) -> _Value:
    """Check that a value is of one of these kinds. Raises ArgumentError."""
    if not isinstance(value, kinds):
        raise ArgumentError(argument, value, expected)
    return value  # type: ignore[return-value]


def named(
    options: Iterable[str] = (),
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Make a function raise ArgumentError for unknown, missing and repeated arguments.

    Args:
        options: the allowed names in its **options.
    """

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        parameters = list(inspect.signature(function).parameters.values())
        takes_any = any(one.kind is one.VAR_POSITIONAL for one in parameters)
        by_place = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
        by_name = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
        known = [name for name in (*by_place, *options, *by_name) if name != "self"]
        needed = {one.name for one in parameters if one.default is one.empty} & {*by_place, *by_name}
        owner, _, name = function.__qualname__.rpartition(".")
        shown = f"{owner if name == '__init__' else name}()"

        @wraps(function)
        def checked(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            for option in kwargs:
                if option not in known:
                    near = get_close_matches(option, known, n=1)
                    names = ", ".join(known)
                    hint = f"did you mean {near[0]!r}?" if near else f"it has {names}"
                    text = f"{shown} has no option {option!r}; {hint}"
                    raise ArgumentError(option, None, f"one of {names}", text=text)
            if len(args) > len(by_place) and not takes_any:
                alone = ", ".join(name for name in by_place if name != "self") or "nothing"
                text = f"{shown} takes {alone} without a name, and all else as NAME=VALUE"
                raise ArgumentError(shown, args[-1], f"given {alone} without a name", text=text)
            for place, argument in enumerate(by_place):
                if place < len(args) and argument in kwargs:
                    text = f"{argument} is given twice to {shown}"
                    raise ArgumentError(argument, args[place], "given once", text=text)
                if place >= len(args) and argument not in kwargs and argument in needed:
                    text = f"{shown} needs {argument}, which is missing"
                    raise ArgumentError(argument, None, "given", text=text)
            return function(*args, **kwargs)

        return checked

    return decorate


def named_fields(kind: type[_Value]) -> type[_Value]:
    """Make a dataclass raise ArgumentError for unknown and missing fields, as `named` does."""
    kind.__init__ = named()(kind.__init__)  # type: ignore[method-assign]
    return kind
