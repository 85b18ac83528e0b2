"""Cancels request streams that send nothing for too long: each one occupies a thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import TypeVar

import grpc

from lightfm_retriever.hosting.observing.repeats import logger_of_calls

_Request = TypeVar("_Request")

_SHORTEST_LOOK = 0.01

_log = logger_of_calls(__name__)


class IdleStreams:
    """Watches all streams from one thread; cancels a stream after `seconds` without a request."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        # For each stream by number: since when it has been waiting for a request, and its call.
        self._waiting: dict[int, tuple[float, grpc.ServicerContext]] = {}
        # Start the thread now. If memory is short later, starting it may block forever.
        threading.Thread(target=self._watch, name="idle streams", daemon=True).start()

    def requests(
        self, requests: Iterator[_Request], context: grpc.ServicerContext
    ) -> Iterator[_Request]:
        """Yield a stream's requests until it ends. Cancels the stream if none comes for too long."""
        number = next(self._numbers)
        while True:
            with self._changed:
                self._waiting[number] = time.monotonic(), context
                self._changed.notify_all()
            try:
                request = next(requests)
            except (StopIteration, grpc.RpcError):
                # The stream ended, the caller left, or the watcher cancelled the call.
                return
            finally:
                with self._changed:
                    self._waiting.pop(number, None)
            yield request

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                now = time.monotonic()
                waiting = [*self._waiting.items()]
                idle = [number for number, (since, _) in waiting if now - since >= self._seconds]
                contexts = [self._waiting.pop(number)[1] for number in idle]
                first = min((since for since, _ in self._waiting.values()), default=now)
            for context in contexts:
                _log.warning(
                    "a stream from %s sent nothing for %g s: cancelled", context.peer(), self._seconds
                )
                context.cancel()
            time.sleep(max(_SHORTEST_LOOK, first + self._seconds - now))
