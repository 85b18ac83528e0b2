"""A process that publishes on request, for tests that kill it.

A request's fields are those of `Request`. A child publishes and promotes in turn. When it has killed
itself, `{"at": ...}` tells the operation that this was before.
"""

import itertools
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.removal import delete_version
from tests import publications
from tests.integration.forking import serve


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a child does.

    Attributes:
        volume: where it publishes.
        seeds: of the publications, one after the other, all at noon.
        kill_at: the file system operation, counted from 1, before which it kills itself.
        file_limit: the most bytes that a file may have.
        delete: a version to delete instead of publishing any.
    """

    volume: str
    seeds: Sequence[int] = ()
    kill_at: int | None = None
    file_limit: int | None = None
    delete: str | None = None


def publish(request: Request, pipe: int) -> None:
    volume = Path(request.volume)
    if request.kill_at is not None:
        _kill_before(request.kill_at, pipe)
    if request.delete is not None:
        delete_version(volume, request.delete)
    for seed in request.seeds:
        promote(volume, publications.publish(volume, seed=seed, clock=lambda: publications.NOON))


def _kill_before(kill_at: int, pipe: int) -> None:
    """Python tells of every file system operation but fsync, which comes here by itself.

    Nothing waits for the disk: what a killed process wrote isn't lost.
    """
    operations = itertools.count(1)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event.split(".")[0] in ("open", "os", "shutil", "fcntl") and next(operations) == kill_at:
            os.write(pipe, json.dumps({"at": f"{event} {arguments}"}).encode())
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = lambda descriptor: count("os.fsync", (descriptor,))
    sys.addaudithook(count)


if __name__ == "__main__":
    serve(Request, publish, PublicationError)
