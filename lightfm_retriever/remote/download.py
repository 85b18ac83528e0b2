"""Files of a version from a store into a folder: in parallel, tried again, and resumed.

Each file is cut into pieces. What has arrived is noted beside the file, so that a download that was cut
short, by the store or by the end of the process, goes on where it was.
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
from lightfm_retriever.publication.manifest import FileFacts
from lightfm_retriever.remote.errors import ObjectMissingError, RefusedError, StoreError
from lightfm_retriever.remote.store import PIECE_BYTES, Store

AT_ONCE = 8
_READERS = 4
"""Requests at a time."""

# On top of what the store's client tries by itself within one request.
_ATTEMPTS = 3


@dataclass
class _File:
    """A file on its way: `done` are the pieces that are there, `notes` the file that tells of them."""

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


def download(
    store: Store,
    prefix: str,
    files: Mapping[str, FileFacts],
    folder: Path,
    notes: Path,
    *,
    wanted: Callable[[], bool] = lambda: True,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> None:
    """Bring files into a folder, each with the size and SHA-256 that it should have.

    Args:
        store: where they are.
        prefix: of their keys, with its slash.
        files: facts by name.
        folder: where they go; what an interrupted download left there is gone on with.
        notes: a folder for the notes on what has arrived; empty when all has.
        wanted: asked before each piece, also of those that are checked; when it says no, this ends.
        on_bytes: told of bytes that have arrived, on several threads.

    Raises:
        MismatchError: a file was downloaded twice and hasn't the SHA-256.
        StoreError: the store doesn't give it; what has arrived stays.
        OSError: the folder can't be written.
    """
    own = [_begin(prefix, name, facts, folder, notes, on_bytes) for name, facts in files.items()]
    for again in (False, True):
        _fetch(store, own, wanted, on_bytes)
        wrong = _wrong(store, own, wanted)
        if wrong and again:
            file, found = wrong[0]
            raise MismatchError(
                store.where(file.key), "SHA-256", expected=file.facts.sha256, found=found
            )
        for file, _ in wrong:
            # The notes may tell of what a power cut took, or what is beneath them was spoilt.
            _forget(file)
        own = [file for file, _ in wrong]
        if not own:
            return


def _begin(
    prefix: str,
    name: str,
    facts: FileFacts,
    folder: Path,
    notes: Path,
    on_bytes: Callable[[int], None],
) -> _File:
    file = _File(prefix + name, folder / name, facts, notes / name)
    if file.path.exists() and file.path.stat().st_size == facts.size and file.notes.exists():
        numbers = read_regular(file.notes).decode("ascii", "replace").split()
        known = {str(piece) for piece in range(file.pieces)}
        file.done = {int(number) for number in numbers if number in known}
        on_bytes(sum(end - start for start, end in map(file.bounds, file.done)))
        return file
    _forget(file)
    # Not what was left there: it may be of any kind, and have other names in other versions.
    file.path.unlink(missing_ok=True)
    with file.path.open("xb") as made:
        if facts.size:
            # A disk that is too full says so now, not after minutes.
            os.posix_fallocate(made.fileno(), 0, facts.size)
    return file


def _forget(file: _File) -> None:
    file.notes.unlink(missing_ok=True)
    file.done.clear()


def _fetch(
    store: Store, files: list[_File], wanted: Callable[[], bool], on_bytes: Callable[[int], None]
) -> None:
    def fetch(task: tuple[_File, int]) -> None:
        file, piece = task
        start, end = file.bounds(piece)
        data = _read(store, file.key, (start, end), wanted)
        with os.fdopen(open_descriptor(file.path, os.O_RDWR), "r+b", buffering=0) as out:
            out.seek(start)
            while data:
                data = data[out.write(data) :]
        with file.lock:
            file.done.add(piece)
            notes = open_descriptor(file.notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            with os.fdopen(notes, "a") as noted:
                noted.write(f"{piece}\n")
        on_bytes(end - start)

    for_each(fetch, _tasks(files), threads=AT_ONCE)


def _tasks(files: list[_File]) -> Iterator[tuple[_File, int]]:
    # The largest first, so that none is left over for the end.
    for file in sorted(files, key=lambda file: -file.facts.size):
        yield from ((file, piece) for piece in range(file.pieces) if piece not in file.done)


def _check_wanted(store: Store, key: str, wanted: Callable[[], bool]) -> None:
    if not wanted():
        raise StoreError(store.where(key), "isn't wanted any more: another version is")


def _read(store: Store, key: str, bounds: tuple[int, int], wanted: Callable[[], bool]) -> memoryview:
    for attempt in range(_ATTEMPTS):
        _check_wanted(store, key, wanted)
        try:
            return store.read_range(key, *bounds)
        except (ObjectMissingError, RefusedError):
            raise
        except StoreError:
            if attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _wrong(store: Store, files: list[_File], wanted: Callable[[], bool]) -> list[tuple[_File, str]]:
    """Those that haven't the SHA-256 that they should have, and what they have."""

    wrong: list[tuple[_File, str]] = []

    def check(file: _File) -> None:
        found = hashlib.sha256()
        with open_regular(file.path) as opened:
            while data := opened.read(PIECE_BYTES):
                _check_wanted(store, file.key, wanted)
                found.update(data)
        if (digest := found.hexdigest()) != file.facts.sha256:
            wrong.append((file, digest))

    for_each(check, files, threads=_READERS)
    return wrong
