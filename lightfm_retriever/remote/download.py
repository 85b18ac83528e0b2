"""Download the files of a version from a store to a folder: in parallel, with retries, resumable.

Each file is downloaded in pieces. The pieces that have arrived are recorded next to the file. So a
download that was interrupted, by the store or by the end of the process, continues where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lightfm_retriever.files.regular_files import open_descriptor, open_regular, read_regular
from lightfm_retriever.parallel import for_each
from lightfm_retriever.publication.errors import MismatchError
from lightfm_retriever.publication.manifest import FileFacts, Manifest
from lightfm_retriever.remote.errors import ObjectMissingError, RefusedError, StoreError
from lightfm_retriever.remote.store import PIECE_BYTES, Store
from lightfm_retriever.remote.versions import key_of

AT_ONCE = 8
_READERS = 4
"""Requests at a time."""

# In addition to the retries of the store's client within one request.
_ATTEMPTS = 3

FILES, NOTES = "files", "notes"
"""Folders of an incomplete version: its files, and the records of the pieces that have arrived."""


@dataclass(frozen=True)
class Fetched:
    """The bytes of a fetched version that were downloaded, and the bytes linked in the cache."""

    downloaded: int
    linked: int


class Arrival:
    """Observes the download of a version, and can cancel it. Several threads call its methods.

    Attributes:
        wanted: called now and then. If it returns False, the download ends.
    """

    wanted: Callable[[], bool] = staticmethod(lambda: True)

    def begun(self, facts: Manifest, needed: int) -> None:
        """Take in that the download begins; `needed` bytes aren't in the cache."""

    def more(self, count: int) -> None:
        """Take in that `count` more bytes have arrived."""

    def ended(self, fetched: Fetched) -> None:
        """Take in that the download has ended."""


UNWATCHED = Arrival()


@dataclass
class _File:
    """A file that is being downloaded: `done` are the pieces that have arrived, recorded in `notes`."""

    key: str
    path: Path
    facts: FileFacts
    notes: Path
    done: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pieces(self) -> int:
        return -(-self.facts.size // PIECE_BYTES)

    def bounds(self, piece: int) -> tuple[int, int]:
        start = piece * PIECE_BYTES
        return start, min(start + PIECE_BYTES, self.facts.size)

    def forget(self) -> None:
        self.notes.unlink(missing_ok=True)
        self.done.clear()


@dataclass(frozen=True)
class Download:
    """Downloads files from a store. It asks `arrival` before each piece is downloaded or checked."""

    store: Store
    arrival: Arrival

    def bring(self, version: str, facts: Mapping[str, FileFacts], arriving: Path) -> None:
        """Download files of a version to a folder, and check their sizes and SHA-256.

        The folder must have the folders FILES and NOTES. An interrupted download continues.

        Raises:
            MismatchError: a file has a wrong SHA-256 even after a second download.
            StoreError: the download failed. The downloaded part stays.
            OSError: the folder can't be written.
        """
        files = [
            _File(key_of(version, name), arriving / FILES / name, own, arriving / NOTES / name)
            for name, own in facts.items()
        ]
        for file in files:
            self._begin(file)
        for again in (False, True):
            for_each(self._fetch, _tasks(files), threads=AT_ONCE)
            wrong = self._wrong(files)
            if wrong and again:
                file, found = wrong[0]
                where, expected = self.store.where(file.key), file.facts.sha256
                raise MismatchError(where, "SHA-256", expected=expected, found=found)
            files = [file for file, _ in wrong]
            for file in files:
                # After a power cut, the record may list pieces that were lost, or data may be damaged.
                file.forget()

    def _begin(self, file: _File) -> None:
        size = file.facts.size
        if file.path.exists() and file.path.stat().st_size == size and file.notes.exists():
            numbers = read_regular(file.notes).decode("ascii", "replace").split()
            known = {str(piece) for piece in range(file.pieces)}
            file.done = {int(number) for number in numbers if number in known}
            self.arrival.more(sum(end - start for start, end in map(file.bounds, file.done)))
            return
        file.forget()
        # Don't reuse an old file: it may be of any kind, or be linked in other versions.
        file.path.unlink(missing_ok=True)
        with file.path.open("xb") as made:
            if size:
                # Fail now if the disk is too full, not after minutes.
                os.posix_fallocate(made.fileno(), 0, size)

    def _fetch(self, task: tuple[_File, int]) -> None:
        file, piece = task
        start, end = file.bounds(piece)
        data = self._read(file.key, start, end)
        with os.fdopen(open_descriptor(file.path, os.O_RDWR), "r+b", buffering=0) as out:
            out.seek(start)
            while data:
                data = data[out.write(data) :]
        with file.lock:
            file.done.add(piece)
            notes = open_descriptor(file.notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            with os.fdopen(notes, "a") as noted:
                noted.write(f"{piece}\n")
        self.arrival.more(end - start)

    def _read(self, key: str, start: int, end: int) -> memoryview:
        for attempt in range(_ATTEMPTS):
            self._check_wanted(key)
            try:
                return self.store.read_range(key, start, end)
            except (ObjectMissingError, RefusedError):
                raise
            except StoreError:
                if attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _wrong(self, files: list[_File]) -> list[tuple[_File, str]]:
        """Return the files with a wrong SHA-256, and the SHA-256 that they have."""
        wrong: list[tuple[_File, str]] = []

        def check(file: _File) -> None:
            found = hashlib.sha256()
            with open_regular(file.path) as opened:
                while data := opened.read(PIECE_BYTES):
                    self._check_wanted(file.key)
                    found.update(data)
            if (digest := found.hexdigest()) != file.facts.sha256:
                wrong.append((file, digest))

        for_each(check, files, threads=_READERS)
        return wrong

    def _check_wanted(self, key: str) -> None:
        if not self.arrival.wanted():
            raise StoreError(
                self.store.where(key), "the download was cancelled: another version is wanted"
            )


def _tasks(files: list[_File]) -> Iterator[tuple[_File, int]]:
    # The largest files first, so that no thread is left with one at the end.
    for file in sorted(files, key=lambda file: -file.facts.size):
        yield from ((file, piece) for piece in range(file.pieces) if piece not in file.done)
