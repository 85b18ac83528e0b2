"""A record of which runs their file must have; beside it, so that it outlives it.

    LFRUNS1 CRC {"file": 1804289383, "runs": 12, "last": 13}

It is on the disk after a run was found in the file again and before that is acknowledged. So a crash
leaves a record that says less than there is, and never more. That of a release before is empty, and
says only that there were runs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lightfm_retriever.files.durable import write_durably
from lightfm_retriever.files.regular_files import read_regular
from trainer.errors import StateError

NAME = "must-have-runs"
"""Of other letters than the file's, so that who removes "runs*" keeps it."""
_MAGIC = b"LFRUNS1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What a file of runs must have: so many `runs` at least, up to the number `last`.

    `file` is its own number, which no other file has; 0 where that isn't known.
    """

    file: int = 0
    runs: int = 0
    last: int = 0


class RunRecord:
    """The record in a directory, for its only writer; `kept` is None where there were no runs before.

    Raises StateError when it is damaged, and OSError.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self.kept = _read(self.path)

    @property
    def _file(self) -> int:
        return 0 if self.kept is None else self.kept.file

    def missing(self, database: sqlite3.Connection, *, after_adding: bool = False) -> str:
        """What a file lacks, in words; "" for nothing. After adding a later run there is one more."""
        kept, found = self.kept or Kept(), _kept_of(database)
        if self.is_other(database):
            return "is the file of other training runs, not the one that the trainer wrote to before"
        least = kept.runs + (after_adding and found.last > kept.last)
        if found.last < kept.last or found.runs < least:
            return (
                f"has {found.runs} training runs up to number {found.last}, but {kept.runs} up to "
                f"number {kept.last} were acknowledged: it is an older copy, or rows were removed"
            )
        return ""

    def is_other(self, database: sqlite3.Connection) -> bool:
        """Whether a file's number tells that it isn't the one; that of a release before has none."""
        return _number(database) not in (0, self._file) and self._file != 0

    def begin(self, database: sqlite3.Connection) -> None:
        """Take a file for the one, unless one is known already; OSError and sqlite3.Error."""
        if self._file and _number(database) and self.path.exists():
            return
        if not _number(database):
            number = self._file or 1 + secrets.randbelow(2**31 - 1)
            database.execute(f"PRAGMA application_id = {number}")
        self.note(database)

    def note(self, database: sqlite3.Connection) -> None:
        """Say that a file must have what it has now; OSError when there is no record and can't be."""
        found = _kept_of(database)
        try:
            self._write(found)
        except OSError as error:
            # The one before says less, and nothing that isn't so.
            if not os.path.lexists(self.path):
                raise
            _log.warning("%s: can't be written: %s", self.path, error)
        else:
            self.kept = found

    def keep(self) -> None:
        """Write it again where somebody removed it; never fails."""
        with contextlib.suppress(OSError):
            if self.kept is not None and not os.path.lexists(self.path):
                self._write(self.kept)

    def _write(self, kept: Kept) -> None:
        content = msgspec.json.encode(kept)
        line = b" ".join((_MAGIC, _crc(content), content)) + b"\n"
        write_durably(self.path.with_name(f"{NAME}.tmp"), line, self.path)


def _kept_of(database: sqlite3.Connection) -> Kept:
    runs, last = database.execute("SELECT count(*), coalesce(max(number), 0) FROM runs").fetchone()
    return Kept(_number(database), runs, last)


def _number(database: sqlite3.Connection) -> int:
    [number] = database.execute("PRAGMA application_id").fetchone()
    return int(number)


def _read(path: Path) -> Kept | None:
    try:
        line = read_regular(path)
    except FileNotFoundError:
        return None
    if not line:
        return Kept()
    magic, _, rest = line.rstrip(b"\n").partition(b" ")
    crc, _, content = rest.partition(b" ")
    with contextlib.suppress(msgspec.MsgspecError):
        if magic == _MAGIC and crc == _crc(content):
            return msgspec.json.decode(content, type=Kept)
    raise StateError(
        path,
        "is damaged, so that nobody can say whether all training runs are there: look, and remove this "
        "file to go on with those that are",
    )


def _crc(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
