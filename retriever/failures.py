"""What a failure to load a version says about the version.

A failure that says nothing about its bytes *passes*: the version is tried again. All others are final
until the version or the label changes.
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
# What a process does to itself that runs native code over bytes which aren't what they should be. All
# other signals come from outside: a lack of memory, a map of a file that can't be read, or somebody.
_OWN_SIGNALS = frozenset(
    {signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
)


class Failure(msgspec.Struct, frozen=True):
    """Why a version couldn't be loaded.

    Attributes:
        reason: for people; cut where it is endless, since it goes to every worker.
        passing: whether it says nothing about the version.
        costly: whether trying cost processes or much time, so that the next attempt may wait.
    """

    reason: str
    passing: bool = False
    costly: bool = False


def of_error(error: BaseException) -> Failure:
    """The failure that an error is.

    A volume that was unmounted for a moment looks as if a version or a file of it weren't there, and
    like before once it is back.
    """
    absent = isinstance(error, VersionNotFoundError | MissingFileError) or isinstance(
        error.__cause__, FileNotFoundError | NotADirectoryError
    )
    costly = absent or (isinstance(error, UnverifiedError) and error.costly)
    return Failure(cut(_reason(error)), passing=absent or _is_passing(error), costly=costly)


def _is_passing(error: BaseException) -> bool:
    """Whether an error says nothing about the version that was being verified or opened."""
    match error:
        case VolumeError() | UnverifiedError() | FilesChangedError() | MemoryError():
            return True
        case PublicationError() | RetrieverError() | ModuleNotFoundError():
            return False
        case OSError():
            return says_nothing(error)
        case ImportError():
            # Of a library that is installed: it couldn't be read or mapped.
            return True
        case RuntimeError():
            # All that Python says when the system gives it no thread.
            return str(error).startswith("can't start new thread")
    return False


def of_deaths(worker: int, statuses: Sequence[int]) -> Failure:
    """The failure that workers ended, `worker` last, while they prepared a version; their statuses."""
    return Failure(
        f"worker {worker} ended with status {statuses[-1]} while it prepared this version, as another "
        "one did before",
        passing=not all(map(kills_itself, statuses)),
        costly=True,
    )


def kills_itself(status: int) -> bool:
    """Whether a process's exit status says that what it read made it crash."""
    return -status in _OWN_SIGNALS


def cut(reason: str) -> str:
    """A reason that a worker's socket has room for."""
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
