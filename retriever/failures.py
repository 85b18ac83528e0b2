"""Decide whether a failure to load a version is the fault of the version.

A *passing* failure isn't: the service tries to load the version again. All other failures are final
until the files of the version or the label change.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

import msgspec

from lightfm_retriever.hosting import words
from lightfm_retriever.publication.errors import (
    MissingFileError,
    PublicationError,
    VersionNotFoundError,
    VolumeError,
    says_nothing,
)
from retriever.errors import RetrieverError, UnverifiedError
from retriever.version_files import FilesChangedError

_MAX_REASON = 500
# Signals that native code causes when it reads damaged files. All other signals come from outside the
# version: not enough memory, a mapped file that can't be read any more, or a kill by hand.
_OWN_SIGNALS = frozenset(
    {signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
)


class Failure(msgspec.Struct, frozen=True):
    """Why a version couldn't be loaded.

    Attributes:
        reason: a text for people. It is cut to a maximum, because it is sent to every worker.
        passing: whether the failure isn't the fault of the version.
        costly: whether the attempt cost processes or much time, so that the next one should come late.
    """

    reason: str
    passing: bool = False
    costly: bool = False


def of_error(error: BaseException) -> Failure:
    """Convert an error to a failure.

    A missing version or file counts as passing: the volume may be unmounted for a moment.
    """
    absent = isinstance(error, VersionNotFoundError | MissingFileError) or isinstance(
        error.__cause__, FileNotFoundError | NotADirectoryError
    )
    costly = absent or (isinstance(error, UnverifiedError) and error.costly)
    return Failure(cut(_reason(error)), passing=absent or _is_passing(error), costly=costly)


def _is_passing(error: BaseException) -> bool:
    """Return whether an error isn't the fault of the version that was being verified or opened."""
    match error:
        case VolumeError() | UnverifiedError() | FilesChangedError() | MemoryError():
            return True
        case PublicationError() | RetrieverError() | ModuleNotFoundError():
            return False
        case OSError():
            return says_nothing(error)
        case ImportError():
            # The library is installed, but it couldn't be read or mapped.
            return True
        case RuntimeError():
            # Python raises no other error when the system refuses a thread.
            return str(error).startswith("can't start new thread")
    return False


def of_deaths(worker: int, statuses: Sequence[int]) -> Failure:
    """Return the failure for workers that ended while they prepared a version.

    `worker` ended last; `statuses` are the exit statuses of all of them.
    """
    return Failure(
        f"worker {worker} ended with status {statuses[-1]} while it prepared this version, and so did "
        "another worker before it",
        passing=not all(map(kills_itself, statuses)),
        costly=True,
    )


def kills_itself(status: int) -> bool:
    """Return whether the exit status of a process says that it crashed over a damaged file."""
    return -status in _OWN_SIGNALS


def cut(reason: str) -> str:
    """Cut a reason to a length that fits into the socket of a worker."""
    return reason if len(reason) <= _MAX_REASON else reason[: _MAX_REASON - 3] + "..."


def _reason(error: BaseException) -> str:
    match error:
        case MemoryError():
            return f"not enough memory: {error}".removesuffix(": ")
        case OSError(strerror=str(text)):
            return text if error.filename is None else f"{error.filename}: {text}"
        case PublicationError() | RetrieverError() | ImportError():
            return str(error)
        case RuntimeError() if _is_passing(error):
            return str(error)
    return words.unexpected(error)
