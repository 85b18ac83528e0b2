"""A process that appends to an event log on request, for tests that kill it."""

import os
import random
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.forking import serve
from trainer.event_log.errors import EventLogError
from trainer.event_log.log import Event, EventLog, Selection

CALLS = ("pwrite", "write", "fsync", "ftruncate", "rename", "unlink")
"""The system calls that a log is written with."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a child does.

    Attributes:
        volume: directory of the log.
        acknowledged: a file that gets the id of each event, one a line, once `append` has returned.
        name: what the ids of the child's events begin with; they go on as "-THREAD-NUMBER".
        batches: how many each thread appends; None for no end.
        threads: that append.
        segment_bytes: of the log.
        die_at: the system call, counted from 1, at which it kills itself, having written half.
        file_limit: the most bytes that a file may have.
        remove: users whose events it removes after that.
    """

    volume: str
    acknowledged: str
    name: str
    batches: int | None = None
    threads: int = 1
    segment_bytes: int = 2000
    die_at: int | None = None
    file_limit: int | None = None
    remove: Sequence[str] = ()


def event(event_id: str) -> Event:
    """The event of an id; it has a user of its own, by which it is known again."""
    return Event(event_id, f"user {event_id}", f"item {len(event_id)}")


def append(request: Request, _: int) -> None:
    acknowledged = os.open(request.acknowledged, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    acknowledge = os.write
    if request.die_at is not None:
        _die_at(request.die_at)
    with EventLog(Path(request.volume), segment_bytes=request.segment_bytes) as log:
        # It doesn't outlive a test that fails.
        parent = os.getppid()

        def work(thread: int) -> None:
            choose = random.Random(f"{request.name} {thread}")  # noqa: S311
            batches = count = 0
            while batches != request.batches and os.getppid() == parent:
                size = choose.choice([1, 2, 30])
                ids = [f"{request.name}-{thread}-{count + number}" for number in range(size)]
                log.append([event(event_id) for event_id in ids])
                acknowledge(acknowledged, "".join(f"{event_id}\n" for event_id in ids).encode())
                batches += 1
                count += size

        with ThreadPoolExecutor(request.threads) as pool:
            # Raises what one of them raised.
            list(pool.map(work, range(request.threads)))
        if request.remove:
            log.remove(Selection(user_ids=request.remove))


def _die_at(last: int) -> None:
    """Have this process kill itself at a system call. Half of what was to be written is, then."""
    count = 0
    lock = threading.Lock()

    def dying(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            with lock:
                count += 1
                if count == last:
                    if name == "pwrite":
                        descriptor, data, at = arguments
                        original(descriptor, data[: len(data) // 2], at)
                    os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, dying(name, getattr(os, name)))


if __name__ == "__main__":
    serve(Request, append, EventLogError)
