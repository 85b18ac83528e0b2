"""Verifies a version in a process of its own, so that what it holds can't kill or hang the parent.

Id maps are read by a native library that trusts them: a hostile one crashes whoever looks at its ids,
or keeps it for ever. The checksums of a version vouch only for what its writer wrote.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.process import ONE_THREAD, Awaited, die_with, signals_held_back
from lightfm_retriever.publication import layout, reader, verification
from lightfm_retriever.publication.errors import InvalidPublicationError, PublicationError, VolumeError
from retriever import failures, version_files
from retriever.errors import UnverifiedError
from retriever.failures import Failure
from retriever.version_files import Files

# Longer than it takes to read a version over a slow network.
_SECONDS = 3600.0
_TRIES = 3
# What the process says when its libraries are loaded: a crash before says nothing of the version.
_READS = b"reads\n"
# Why a process is killed that doesn't do so itself.
_FROM_OUTSIDE: dict[int, str] = {
    signal.SIGKILL: "somebody did, or there wasn't enough memory",
    signal.SIGBUS: "a file that it had mapped couldn't be read any more",
}


class _Verdict(msgspec.Struct, frozen=True):
    """The files, or what was wrong; `path` is set where that was the volume's fault."""

    files: Files = {}
    failure: Failure | None = None
    path: str = ""


def verify_apart(
    volume: Path, version: str, wanted: Awaited | None = None, *, seconds: float = _SECONDS
) -> Files:
    """Check every byte of a version in `seconds` at most; returns how its files were then.

    The process has the priority of the thread that calls this. It ends with this process, and when it
    isn't wanted any more; this returns when it is gone.

    Raises:
        VolumeError: the volume can't be read.
        PublicationError: what is wrong with the version; that it kills who reads it, for instance.
        UnverifiedError: it took too long or isn't wanted any more, or the process couldn't be started
            or was killed.
    """
    command = [sys.executable, "-m", "retriever.parent.reloading.verify_apart"]
    try:
        with signals_held_back():
            process = subprocess.Popen(
                [*command, str(volume), version, str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env={**ONE_THREAD, **os.environ},
            )
        with (Awaited() if wanted is None else wanted).kills(process):
            output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        # A volume that hangs looks the same as a file that keeps its reader for ever.
        raise UnverifiedError(version, f"couldn't be verified in {seconds:g} s") from error
    except OSError as error:
        verdict = _unknown(f"no process can be started: {words.reason(error)}")
    else:
        verdict = _verdict(process.returncode, output, layout.version_dir(volume, version))
    failure = verdict.failure
    if failure is None:
        return verdict.files
    if verdict.path:
        raise VolumeError(Path(verdict.path), failure.reason)
    if failure.passing:
        reason = f"couldn't be verified: {failure.reason}"
        raise UnverifiedError(version, reason, costly=failure.costly)
    raise PublicationError(failure.reason)


def _unknown(reason: str) -> _Verdict:
    return _Verdict(failure=Failure(reason, passing=True))


def _verdict(status: int, output: bytes, directory: Path) -> _Verdict:
    """What a process said before it ended, or what its end says."""
    if status == 0:
        return msgspec.json.decode(output.removeprefix(_READS), type=_Verdict)
    if status > 0:
        # What is wrong with a version is a verdict. This process didn't get that far: it couldn't load
        # its libraries, for instance.
        return _unknown(f"the process ended with status {status}, see the log")
    # Some signals have no name.
    named = [own.name for own in signal.Signals if own == -status]
    name = named[0] if named else f"signal {-status}"
    if not failures.kills_itself(status):
        why = _FROM_OUTSIDE.get(-status, "somebody did")
        return _unknown(f"the process was killed ({name}: {why})")
    if not output.startswith(_READS):
        return _unknown(f"the process ended by {name} before it read anything, see the log")
    raise InvalidPublicationError(
        directory, f"kills the process that verifies it ({name}): a file is damaged or made to do so"
    )


def _verify(volume: Path, version: str) -> Files:
    directory = layout.version_dir(volume, version)
    for _ in range(_TRIES):
        names = version_files.names_of(directory) if reader.has_version(volume, version) else []
        before = _look(directory, names)
        verification.verify(volume, version)
        if before == (files := _look(directory, names)):
            return files
    raise VolumeError(directory, f"files changed while they were read: {_TRIES} times")


def _look(directory: Path, names: list[str]) -> Files:
    try:
        return version_files.look(directory, names)
    except OSError as error:
        raise VolumeError(directory, error.strerror or str(error)) from error


def main(arguments: list[str]) -> None:
    """Verify, and print what was wrong."""
    die_with(int(arguments[2]))
    sys.stdout.buffer.write(_READS)
    sys.stdout.buffer.flush()
    try:
        verdict = _Verdict(files=_verify(Path(arguments[0]), arguments[1]))
    except VolumeError as error:
        verdict = _Verdict(failure=Failure(error.reason), path=str(error.path))
    except Exception as error:
        verdict = _Verdict(failure=failures.of_error(error))
    sys.stdout.buffer.write(msgspec.json.encode(verdict))


if __name__ == "__main__":
    main(sys.argv[1:])
