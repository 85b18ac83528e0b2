"""Limit log lines that calls cause to one a minute, so that no caller can fill a disk with them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_SECONDS = 60.0
# Loggers of gRPC that log a single call, mostly with a traceback.
_OF_GRPC = ("grpc._server", "grpc._common", "grpc._utilities", "grpc._cython.cygrpc")


class Repeats(logging.Filter):
    """Pass each line once a minute, with the number of times that it was held back before.

    Lines are the same if they have the same text before arguments are filled in, and the same type of
    error.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        # By line: when it may be logged again, and how often it was held back.
        self._known: dict[tuple[str, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        key = (str(record.msg), record.exc_info[0] if record.exc_info else None)
        now = self._clock()
        with self._lock:
            again_at, held_back = self._known.get(key, (now, 0))
            if now < again_at:
                self._known[key] = again_at, held_back + 1
                return False
            self._known[key] = now + _SECONDS, 0
        if held_back:
            record.msg = f"{record.getMessage()} (and {held_back} times before, not logged)"
            record.args = ()
        return True


def logger_of_calls(name: str) -> logging.Logger:
    """Return a logger for lines that calls cause."""
    logger = logging.getLogger(name)
    if not any(isinstance(own, Repeats) for own in logger.filters):
        logger.addFilter(Repeats())
    return logger


def quieten_grpc() -> None:
    """Limit gRPC's own lines about calls in the same way."""
    for name in _OF_GRPC:
        logger_of_calls(name)
