"""Formats of log lines: text for people, or one JSON object a line.

This module needs the standard library only. A package for JSON logs would bring other names for the
same ten fields, and each process would have to load it, even the light parent.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from lightfm_retriever.hosting.observing import request_ids, spans
from lightfm_retriever.hosting.observing.spans import Attribute, Attributes

# Characters that could end a line or control a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[\w./:;,@%+\[\]-]+")


@dataclass(frozen=True)
class Said:
    """The content of a line: `created` in seconds since the epoch, fields by name, and a traceback."""

    created: float
    level: str
    logger: str
    message: str
    fields: Attributes = field(default_factory=dict)
    error: str = ""


# Formats a line, without the line break.
LineFormat: TypeAlias = Callable[[Said], str]


@dataclass(frozen=True)
class ConsoleFormat:
    """Format lines for people. A traceback follows in indented lines."""

    role: str

    def __call__(self, said: Said) -> str:
        """See LineFormat."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(said.created))
        parts = [f"{when} {said.level} {self.role} [{os.getpid()}] {_escaped(said.message)}"]
        parts += [f"{name}={_quoted(value)}" for name, value in said.fields.items()]
        lines = [" ".join(parts)]
        if said.error:
            # Indented, so that no text of the traceback looks like a log line.
            lines += map(_escaped, said.error.split("\n"))
        return "\n  ".join(lines)


@dataclass(frozen=True)
class JsonFormat:
    """Format lines as JSON objects in ASCII, so that no content can end the line.

    `version` returns the served version; "" if it is unknown.
    """

    role: str
    version: Callable[[], str]

    def __call__(self, said: Said) -> str:
        """See LineFormat."""
        when = datetime.fromtimestamp(said.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {
            "time": when.replace("+00:00", "Z"),
            "level": said.level,
            "message": said.message,
            "logger": said.logger,
            "role": self.role,
            "pid": os.getpid(),
        }
        if version := self.version():
            told["version"] = version
        told.update(said.fields)
        if said.error:
            told["error"] = said.error
        line = json.dumps(told)
        if "\\ud" in line:
            # It may contain half a character (a lone surrogate), which not every reader accepts.
            line = json.dumps({name: _unicode(value) for name, value in told.items()})
        return line


class Formatter(logging.Formatter):
    """Format log records, with the ids of the call during which they were logged."""

    def __init__(self, lines: LineFormat) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        error = record.exc_text or ""
        if record.exc_info and not error:
            error = self.formatException(record.exc_info)
        if record.stack_info:
            error = f"{error}\n{record.stack_info}".strip("\n")
        fields = ids_of_call(request_ids.current())
        said = (record.created, record.levelname, record.name, record.getMessage())
        return self._lines(Said(*said, fields, error))


def ids_of_call(request_id: str) -> dict[str, Attribute]:
    """Return the fields that identify a call, if there is one."""
    fields: dict[str, Attribute] = {"request_id": request_id} if request_id else {}
    if (ids := spans.ids()) is not None:
        fields["trace_id"], fields["span_id"] = ids
    return fields


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _quoted(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(_unicode(text))


def _unicode(value: Any) -> Any:
    """Escape the lone surrogates in a text, which stand for bytes that aren't UTF-8."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value
