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

from publication import layout, reader
from publication.errors import InvalidPublicationError, PublicationError, VolumeError
from retriever.control import PARENTS_SIGNALS
from retriever.lifetime import die_with

# Longer than it takes to read a version over a slow network.
_SECONDS = 3600.0


class _Verdict(msgspec.Struct, frozen=True):
    """What was wrong; `path` is set where it was the volume's fault."""

    problem: str = ""
    path: str = ""


def verify_apart(volume: Path, version: str, *, seconds: float = _SECONDS) -> None:
    """Check every byte of a version, as `reader.verify` does.

    Raises:
        VolumeError: the volume can't be read.
        PublicationError: what is wrong with the version; that it kills who reads it, for instance.
        OSError: no process can be started.
    """
    command = [sys.executable, "-m", "retriever.verification", str(volume), version, str(os.getpid())]
    directory = layout.version_dir(volume, version)
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidPublicationError(directory, f"isn't verified after {seconds:g} s") from error
    if ended.returncode < 0:
        raise InvalidPublicationError(
            directory,
            f"kills the process that verifies it ({signal.Signals(-ended.returncode).name}): "
            "a file is damaged or made to do so",
        )
    if ended.returncode:
        raise InvalidPublicationError(
            directory, f"can't be verified: the process ended with status {ended.returncode}"
        )
    verdict = msgspec.json.decode(ended.stdout, type=_Verdict)
    if verdict.path:
        raise VolumeError(Path(verdict.path), verdict.problem)
    if verdict.problem:
        raise PublicationError(verdict.problem)


def main(arguments: list[str]) -> None:
    """Verify, and print what was wrong."""
    die_with(int(arguments[2]))
    for number in PARENTS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    verdict = _Verdict()
    try:
        reader.verify(Path(arguments[0]), arguments[1])
    except VolumeError as error:
        verdict = _Verdict(error.reason, str(error.path))
    except PublicationError as error:
        verdict = _Verdict(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(verdict))


if __name__ == "__main__":
    main(sys.argv[1:])
