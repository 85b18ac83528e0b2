"""Records which runs the file of runs must have. The record is a file next to it.

    LFRUNS1 CRC {"file": 1804289383, "runs": 12, "last": 13}

The store writes the record after it has read a new run back, and before it acknowledges the run. After
a crash, the record may therefore lack runs of the file, but the file has all runs of the record.
The record of an earlier release is empty, and only says that there were runs.
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
"""The name doesn't begin with "runs", so that `rm runs*` keeps the record."""
_MAGIC = b"LFRUNS1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The runs that a file must have.

    Attributes:
        file: random number of the file; 0 if unknown.
        runs: minimum number of runs.
        last: number of the last run.
    """

    file: int = 0
    runs: int = 0
    last: int = 0


class RunRecord:
    """The record of a state directory, for its only writer; `kept` is None before the first run.

    Raises StateError for a damaged record, and OSError.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self.kept = _read(self.path)

    @property
    def _file(self) -> int:
        return 0 if self.kept is None else self.kept.file

    def missing(self, database: sqlite3.Connection, *, after_adding: bool = False) -> str:
        """Describe the runs that the file lacks; "" for none. `after_adding` expects one more run."""
        kept, found = self.kept or Kept(), _kept_of(database)
        if self.is_other(database):
            return "is the file of other training runs, not the one that this trainer wrote"
        least = kept.runs + (after_adding and found.last > kept.last)
        if found.last < kept.last or found.runs < least:
            return (
                f"has {found.runs} training runs up to number {found.last}, but {kept.runs} up to "
                f"number {kept.last} were acknowledged: it is an older copy, or rows were removed"
            )
        return ""

    def is_other(self, database: sqlite3.Connection) -> bool:
        """Return whether the file has another number. A file of an earlier release has no number."""
        return _number(database) not in (0, self._file) and self._file != 0

    def begin(self, database: sqlite3.Connection) -> None:
        """Record a file, unless one is recorded already. Raises OSError, sqlite3.Error."""
        if self._file and _number(database) and self.path.exists():
            return
        if not _number(database):
            number = self._file or 1 + secrets.randbelow(2**31 - 1)
            database.execute(f"PRAGMA application_id = {number}")
        self.note(database)

    def note(self, database: sqlite3.Connection) -> None:
        """Record the file's runs. Raises OSError if there is no record and none can be written."""
        found = _kept_of(database)
        try:
            self._write(found)
        except OSError as error:
            # The older record lists fewer runs, but all of them exist.
            if not os.path.lexists(self.path):
                raise
            _log.warning("%s: can't be written: %s", self.path, error)
        else:
            self.kept = found

    def keep(self) -> None:
        """Write the record again if it was removed. Never fails."""
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
        "is damaged, so the trainer can't tell whether training runs were lost: check the runs, and "
        "remove this file to continue with them",
    )


def _crc(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
