"""Changes versions under load: promotes a version and rolls back, again and again."""

import contextlib
import threading
import time
from collections.abc import Iterator

from lightfm_retriever.publication import labels
from lightfm_retriever.publication.errors import PublicationError
from retriever.client import CallError
from tests import publications
from tests.load.target import LoadError, Target

# Time limit for a change. A service under load looks at its label every second.
MOST_SECONDS = 30.0
# Pause between two changes of versions.
_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


@contextlib.contextmanager
def switching(target: Target, label: str, first: str, other: str) -> Iterator[list[float]]:
    """Promote another version and roll back, again and again. Yields the seconds of each change.

    At the end, the label names its earlier version. Raises LoadError if the service doesn't follow.
    """
    volume = target.volume
    took: list[float] = []
    problems: list[Exception] = []
    stop = threading.Event()

    def move() -> None:
        try:
            while not stop.wait(_PAUSE_SECONDS):
                began = time.monotonic()
                labels.promote(volume, other, label=label)
                _wait_until_all_serve(target, other)
                took.append(time.monotonic() - began)
                stop.wait(_PAUSE_SECONDS)
                began = time.monotonic()
                publications.roll_back(volume, label=label)
                _wait_until_all_serve(target, first)
                took.append(time.monotonic() - began)
        except (LoadError, CallError, PublicationError) as error:
            problems.append(error)

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()
        if labels.read_label_or_none(volume, label) == other:
            publications.roll_back(volume, label=label)
    if problems:
        raise problems[0]


def _wait_until_all_serve(target: Target, version: str) -> None:
    end = time.monotonic() + MOST_SECONDS
    while True:
        status = target.client.status()
        if {worker.version for worker in status.workers} == {version}:
            return
        if time.monotonic() > end:
            raise LoadError(
                f"{MOST_SECONDS:.0f} s after its label moved to {version}, {target.address} serves "
                f"{status.version}: does it serve --volume and follow --label? "
                f"Its last reload: {status.last_reload.reason or 'no failure'}"
            )
        time.sleep(_LOOK_SECONDS)
