"""Configures the log of a process."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from lightfm_retriever.hosting.observing import repeats
from lightfm_retriever.hosting.observing.log_format import (
    ConsoleFormat,
    Formatter,
    JsonFormat,
    LineFormat,
)
from lightfm_retriever.hosting.options import Option

FORMATS = ("console", "json")
LEVELS = ("debug", "info", "warning", "error")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """Settings of the log. The console format is for people, JSON for machines."""

    format: Annotated[str, Option("format of the log", offered=FORMATS, flag="log_format")] = "console"
    level: Annotated[str, Option("lowest level to log", offered=LEVELS, flag="log_level")] = "info"
    access: Annotated[bool, Option("log a line for each call", flag="access_log")] = False


@dataclass
class _Process:
    role: str = ""
    lines: LineFormat = field(default_factory=lambda: ConsoleFormat(""))
    version: Callable[[], str] = str


_process = _Process()


def configure(role: str, settings: LogSettings) -> None:
    """Log to standard error from now on, with time, level, role and process id."""
    _process.role = role
    if settings.format == "json":
        _process.lines = JsonFormat(role, lambda: _process.version())
        _say_everything_in_json()
    else:
        _process.lines = ConsoleFormat(role)
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(_process.lines))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    # faiss first logs each library that it can't load, and then the one that it loads.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    repeats.quieten_grpc()


def say_version(version: Callable[[], str]) -> None:
    """Add the served version to JSON lines; "" while there is none."""
    _process.version = version


def role() -> str:
    """Return the role of this process, as given to `configure`."""
    return _process.role


def line_format() -> LineFormat:
    """Return the format of lines that `configure` chose."""
    return _process.lines


def _say_everything_in_json() -> None:
    """Log what Python itself would print to standard error."""
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda *error: _log.critical("unexpected error: stopping", exc_info=error)

    def of_thread(thrown: threading.ExceptHookArgs) -> None:
        if thrown.exc_type is SystemExit:
            return
        name = "" if thrown.thread is None else thrown.thread.name
        error = thrown.exc_value or thrown.exc_type()
        _log.error("unexpected error in thread %s", name, exc_info=error)

    threading.excepthook = of_thread
