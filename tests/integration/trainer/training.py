"""A process that trains on request, for tests that kill it.

Each line of standard input is a request; its fields are those of `Request`. For each one a child is
forked, which runs the trainer's own pipeline. Standard output gets `{"pid": ...}` once it runs,
`{"publishing": ...}` when it has trained its last model and is about to build the indexes, and when it
has ended `{"status": ..., "error": ...}`: its exit status, negative for a signal, and the error that it
ended with.

Forking from a process that has imported everything takes a millisecond, starting one half a second.
This one has a single thread and has never trained anything itself, or forking would not be safe.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.volume import FolderVolume
from tests import datasets, specs
from trainer.pipeline import Places, train_and_publish
from trainer.progress import Advance, Silent
from trainer.promotion.checks import promote_if_passed
from trainer.promotion.gates import Gates
from trainer.spec import DataSpec


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a child does.

    Attributes:
        volume: where it publishes.
        seeds: of the data of each training, one after the other.
        backend: of the indexes.
        file_limit: the most bytes that a file may have.
    """

    volume: str
    seeds: list[int]
    backend: str = "annoy"
    file_limit: int | None = None


class Telling(Silent):
    """Tells when the publishing begins."""

    told = False

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Advance]:
        if name.startswith("Index") and not self.told:
            self.told = True
            _answer(publishing=name)
        with super().step(name, total) as advance:
            yield advance


def main() -> None:
    for line in sys.stdin:
        request = Request(**json.loads(line))
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            os._exit(_train(request, writer))
        os.close(writer)
        with os.fdopen(reader) as pipe:
            told = json.loads(pipe.read() or "{}")
        _, status = os.waitpid(child, 0)
        _answer(status=os.waitstatus_to_exitcode(status), **told)


def _answer(**fields: Any) -> None:
    # Parent and child write to the same pipe: a line at once, or they might mix.
    os.write(1, json.dumps(fields).encode() + b"\n")


def _train(request: Request, pipe: int) -> int:
    if request.file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.file_limit, resource.RLIM_INFINITY))
    try:
        _answer(pid=os.getpid())
        volume = FolderVolume(Path(request.volume))
        for number, seed in enumerate(request.seeds, start=1):
            result = train_and_publish(
                specs.spec(
                    data=DataSpec(interactions="in memory", split="first-10"),
                    backend=request.backend,
                    gates=Gates(allow_different_data=True),
                ),
                Places(volume, volume.folder, volume.folder),
                source=datasets.source(seed=seed, items=datasets.genres()),
                reporter=Telling() if number == len(request.seeds) else Silent(),
            )
            promote_if_passed(volume, result, label="current")
    except PublicationError as error:
        os.write(pipe, json.dumps({"error": type(error).__name__, "message": str(error)}).encode())
        return 1
    return 0


if __name__ == "__main__":
    main()
