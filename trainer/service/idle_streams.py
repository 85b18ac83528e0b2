"""Ends streams of requests that say nothing for too long: each holds a thread."""

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
    """Watches streams from one thread; `seconds`: how long the next request may be waited for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        # By number: since when a stream's next request is waited for, and its call.
        self._waiting: dict[int, tuple[float, grpc.ServicerContext]] = {}
        # Now: one whose start lacks memory later may never return.
        threading.Thread(target=self._watch, name="idle streams", daemon=True).start()

    def requests(
        self, requests: Iterator[_Request], context: grpc.ServicerContext
    ) -> Iterator[_Request]:
        """The requests of a stream, until it ends; it is cancelled when none comes for too long."""
        number = next(self._numbers)
        while True:
            with self._changed:
                self._waiting[number] = time.monotonic(), context
                self._changed.notify_all()
            try:
                request = next(requests)
            except (StopIteration, grpc.RpcError):
                # It has ended, or the caller has left, or was made to.
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
