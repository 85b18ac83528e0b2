"""Verify a version in a separate process, so that damaged files can't crash or block the parent.

A native library reads the id maps and trusts their content. A hostile id map can crash its reader, or
make it run forever. Checksums don't protect against this: they only prove that the files are as
written.
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
# The process prints this after it has loaded its libraries. A crash before isn't the version's fault.
_READS = b"reads\n"
# Causes of signals from outside the process.
_FROM_OUTSIDE: dict[int, str] = {
    signal.SIGKILL: "not enough memory, or killed from outside",
    signal.SIGBUS: "a mapped file couldn't be read any more",
}


class _Verdict(msgspec.Struct, frozen=True):
    """The verified files, or the failure. `path` is set if the volume caused the failure."""

    files: Files = {}
    failure: Failure | None = None
    path: str = ""


def verify_apart(
    volume: Path, version: str, wanted: Awaited | None = None, *, seconds: float = _SECONDS
) -> Files:
    """Verify every byte of a version in at most `seconds`, and return the state of its files.

    The process inherits the priority of the calling thread. It ends with the parent, and when `wanted`
    is cancelled. This function returns after the process has ended.

    Raises:
        VolumeError: the volume can't be read.
        PublicationError: the version is invalid, for instance because it crashes its reader.
        UnverifiedError: the verification took too long or was cancelled, or the process couldn't be
            started or was killed.
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
        # A volume that hangs can't be told from a file that makes its reader run forever.
        raise UnverifiedError(version, f"couldn't be verified in {seconds:g} s") from error
    except OSError as error:
        verdict = _unknown(f"the process can't be started: {words.reason(error)}")
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
    """Read the verdict that a process printed, or derive one from its exit status."""
    if status == 0:
        return msgspec.json.decode(output.removeprefix(_READS), type=_Verdict)
    if status > 0:
        # A process that finds a fault prints a verdict and exits with 0. This one didn't get that far:
        # for instance, it couldn't load its libraries.
        return _unknown(f"the process ended with status {status}: see the log")
    # Not every signal has a name.
    named = [own.name for own in signal.Signals if own == -status]
    name = named[0] if named else f"signal {-status}"
    if not failures.kills_itself(status):
        why = _FROM_OUTSIDE.get(-status, "killed from outside")
        return _unknown(f"the process was killed ({name}: {why})")
    if not output.startswith(_READS):
        return _unknown(f"the process was ended by {name} before it read a file: see the log")
    raise InvalidPublicationError(
        directory, f"crashes the process that verifies it ({name}): a file is damaged or malicious"
    )


def _verify(volume: Path, version: str) -> Files:
    directory = layout.version_dir(volume, version)
    for _ in range(_TRIES):
        names = version_files.names_of(directory) if reader.has_version(volume, version) else []
        before = _look(directory, names)
        verification.verify(volume, version)
        if before == (files := _look(directory, names)):
            return files
    raise VolumeError(directory, f"files changed during the verification, {_TRIES} times in a row")


def _look(directory: Path, names: list[str]) -> Files:
    try:
        return version_files.look(directory, names)
    except OSError as error:
        raise VolumeError(directory, error.strerror or str(error)) from error


def main(arguments: list[str]) -> None:
    """Verify a version and print the verdict."""
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
