"""Verify versions: check that every byte is as published, and that the parts fit together."""

from __future__ import annotations

import hashlib
from io import BufferedReader
from pathlib import Path

from lightfm_retriever.files.regular_files import open_regular
from lightfm_retriever.parallel import for_each
from lightfm_retriever.publication import manifest
from lightfm_retriever.publication.errors import MismatchError, PublicationError, unreadable
from lightfm_retriever.publication.manifest import FileFacts, Manifest
from lightfm_retriever.publication.reader import check_size, directory_of, open_directory
from lightfm_retriever.publication.soundness import check_contents

# Hashing releases the GIL, and a network volume answers several reads at a time.
_READERS = 4
_PART_BYTES = 1 << 18


def verify(volume: Path, version: str) -> Manifest:
    """Check every byte of a version, and that its parts fit together.

    Reading every file also fills the page cache, so that opening the version afterwards is fast. Raises
    the errors of `open_publication`.
    """
    return verify_directory(directory_of(volume, version), version)


def verify_directory(directory: Path, version: str) -> Manifest:
    """Verify a version in any directory, such as one that isn't published yet.

    Raises:
        VolumeError: a file can't be read now, for a reason outside the version.
        InvalidPublicationError: a file is invalid; the error names it and both values.
    """
    facts = manifest.read(directory, version=version)
    # The largest files first, so that no thread is left with one at the end. Of several problems, the
    # first by file name is raised.
    largest_first = sorted(facts.files, key=lambda name: -facts.files[name].size)
    problems: dict[str, Exception] = {}

    def check(name: str) -> None:
        try:
            _check_file(directory / name, facts.files[name])
        except PublicationError as error:
            problems[name] = error

    for_each(check, largest_first, threads=_READERS)
    for name in facts.files:
        if name in problems:
            raise problems[name]
    check_contents(open_directory(directory, version))
    return facts


def _check_file(path: Path, expected: FileFacts) -> None:
    check_size(path, expected.size)
    try:
        with open_regular(path) as file:
            found = _digest(file, expected.size)
    except OSError as error:
        raise unreadable(path, error) from error
    if found != expected.sha256:
        raise MismatchError(path, "SHA-256", expected=expected.sha256, found=found)


def _digest(file: BufferedReader, size: int) -> str:
    """Return the SHA-256 of a file. Of a file that has grown, read little more than `size` bytes."""
    digest = hashlib.sha256()
    part = memoryview(bytearray(_PART_BYTES))
    while size >= 0 and (count := file.readinto(part)):
        digest.update(part[:count])
        size -= count
    return digest.hexdigest()
