"""A process that publishes on request, for tests that kill it.

Each line of standard input is a request; its fields are those of `Request`. For each one a child is
forked, which publishes and promotes in turn. Standard output gets `{"pid": ...}` once it runs, and when
it has ended `{"status": ..., "at": ..., "error": ...}`: its exit status, negative for a signal; the
operation that it was killed before; the error that it ended with.

Forking from a process that has imported everything takes a millisecond, starting one a fifth of a
second. This one has a single thread, or forking would not be safe.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.removal import delete_version
from lightfm_retriever.publication.writer import utc_now
from tests import publications


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a child does.

    Attributes:
        volume: where it publishes.
        seeds: of the publications, one after the other; None for no end of different ones.
        seed: the first one then.
        at_noon: whether all are published in the same second.
        kill_at: the file system operation, counted from 1, before which it kills itself.
        file_limit: the most bytes that a file may have.
        delete: a version to delete instead of publishing any.
    """

    volume: str
    seeds: list[int] | None = None
    seed: int = 0
    at_noon: bool = False
    kill_at: int | None = None
    file_limit: int | None = None
    delete: str | None = None


def main() -> None:
    for line in sys.stdin:
        request = Request(**json.loads(line))
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            os._exit(_publish(request, writer))
        os.close(writer)
        _answer(pid=child)
        with os.fdopen(reader) as pipe:
            told = json.loads(pipe.read() or "{}")
        _, status = os.waitpid(child, 0)
        _answer(status=os.waitstatus_to_exitcode(status), **told)


def _answer(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def _publish(request: Request, pipe: int) -> int:
    volume = Path(request.volume)
    clock = (lambda: publications.NOON) if request.at_noon else utc_now
    if request.kill_at is not None:
        _kill_before(request.kill_at, pipe)
    if request.file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.file_limit, resource.RLIM_INFINITY))
    try:
        if request.delete is not None:
            delete_version(volume, request.delete)
            return 0
        for seed in itertools.count(request.seed) if request.seeds is None else request.seeds:
            promote(volume, publications.publish(volume, seed=seed, clock=clock))
    except PublicationError as error:
        os.write(pipe, json.dumps({"error": type(error).__name__, "message": str(error)}).encode())
        return 1
    return 0


def _kill_before(kill_at: int, pipe: int) -> None:
    """Python tells of every file system operation but fsync, which comes here by itself."""
    operations = itertools.count(1)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event.split(".")[0] in ("open", "os", "shutil", "fcntl") and next(operations) == kill_at:
            os.write(pipe, json.dumps({"at": f"{event} {arguments}"}).encode())
            os.kill(os.getpid(), signal.SIGKILL)

    fsync = os.fsync

    def counted_fsync(descriptor: int) -> None:
        count("os.fsync", (descriptor,))
        fsync(descriptor)

    os.fsync = counted_fsync
    sys.addaudithook(count)


if __name__ == "__main__":
    main()
