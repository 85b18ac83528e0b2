"""Standard output and error of a program, also when they can't be written.

A reader that closed the pipe (`| head`) ends the program quietly, as it ends other Unix tools. A full
disk is an error in words. A character that the encoding lacks is escaped. Ctrl-C prints no traceback. A
command that prints JSON also prints its errors as JSON, on standard error.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, cast

CLOSED_PIPE = 141
"""The exit status after a reader closed the pipe. Shells report it for a program that SIGPIPE ended."""

INTERRUPTED = 130
"""The exit status after Ctrl-C. Shells report it for a program that SIGINT ended."""

MISTAKE = 2
"""The exit status after a mistake in the command line, the same as argparse's."""

FAILED = 1
"""The exit status of a command that failed."""

# gRPC's core logs a line of its own for each header that it can't parse, and for each failed handshake.
# Any caller could make it write 7 MB in a second. Failures of our own calls also raise an error.
_VERBOSITY = "GRPC_VERBOSITY"


def run(command: Callable[[], int], *, as_json: bool = False) -> int:
    """Run a program's command with guarded standard streams; returns the exit status.

    It is the command's own status, unless its output can't be written or Ctrl-C ends it. SystemExit,
    which argparse raises after a help page, passes. `as_json` prints errors as JSON.

    Import gRPC only later. It then logs nothing by itself, unless GRPC_VERBOSITY is set.
    """
    # An empty variable counts as unset, as our own variables do.
    os.environ[_VERBOSITY] = os.environ.get(_VERBOSITY) or "NONE"
    with _guarded() as output:
        try:
            try:
                return command()
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
                if output is not None and output.failure is not None:
                    # The command may have caught the error, as argparse does.
                    raise _Unwritable from output.failure
        except _Unwritable as error:
            cause = cast("OSError", error.__cause__)
            if cause.errno == errno.EPIPE:
                return CLOSED_PIPE
            text = f"the output can't be written: {cause.strerror or cause}"
            return tell_error(text, FAILED, as_json=as_json)
        except KeyboardInterrupt:
            if as_json:
                return tell_error("interrupted", INTERRUPTED, as_json=True)
            print("interrupted", file=sys.stderr)
            return INTERRUPTED


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Say whether a command line has --json, before the rest of it is read."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def tell_error(text: str, status: int, *, as_json: bool, hint: str = "", **facts: str) -> int:
    """Print an error, and a line that says where to read more; returns the exit status.

    As JSON it is one line, {"error": {"message": ..., "status": ...}}, with the known facts.
    """
    if as_json:
        known = {name: fact for name, fact in facts.items() if fact}
        content = {"error": {"message": text, "status": status, **known}}
        # A path may have bytes that no encoding can write.
        print(json.dumps(content, ensure_ascii=True), file=sys.stderr)
        return status
    print(f"error: {text}", file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
    return status


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print a value as JSON. Characters that the encoding lacks become JSON's escapes."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    print(json.dumps(value, indent=indent, ensure_ascii=not unicode))


class _Unwritable(Exception):  # noqa: N818 - it never leaves this module
    """Standard output can't be written, because of an OSError. argparse hides OSErrors."""


class _Output(io.FileIO):
    """The file descriptor of standard output. It keeps its first error.

    Later output goes nowhere, so that no buffer fails again when the interpreter ends.
    """

    def __init__(self, descriptor: int, failure: OSError | None = None) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._closed_from_the_start = failure
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        if self.failure is not None:
            return len(data)
        try:
            if self._closed_from_the_start is not None:
                raise self._closed_from_the_start
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise _Unwritable from error


class _Errors(io.FileIO):
    """The file descriptor of standard error. Nothing can report its errors, so it ignores them."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


@contextmanager
def _guarded() -> Iterator[_Output | None]:
    """Replace the process's own standard streams. A test's captured streams stay."""
    before = sys.stdout, sys.stderr
    output = None
    if sys.stdout is sys.__stdout__:
        closed = _occupy(1) if sys.stdout is None else None
        output = _Output(1, closed)
        sys.stdout = _text(output, before[0])
    if sys.stderr is sys.__stderr__:
        if sys.stderr is None:
            _occupy(2)
        sys.stderr = _text(_Errors(2, "wb", closefd=False), before[1], line_buffering=True)
    if sys.stdin is None:
        # Otherwise the first opened file or socket would become the input.
        _occupy(0)
    try:
        yield output
    finally:
        if before[0] is not None and before[1] is not None:
            sys.stdout, sys.stderr = before


def _occupy(descriptor: int) -> OSError:
    """Open /dev/null in place of a closed stream; returns the error of writing to the stream.

    Otherwise the first file or socket that the program opens would have its number, and get the output.
    """
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    return OSError(errno.EBADF, "it is closed")


def _text(raw: io.FileIO, like: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    given = cast("io.TextIOWrapper | None", like)
    unbuffered = given is not None and given.write_through
    return io.TextIOWrapper(
        # Python does the same with -u: a buffer below would delay text that is written through.
        cast("io.BufferedWriter", raw) if unbuffered else io.BufferedWriter(raw),
        encoding="utf-8" if given is None else given.encoding,
        errors="backslashreplace",
        newline="\n",
        line_buffering=line_buffering if given is None else given.line_buffering,
        write_through=unbuffered,
    )
