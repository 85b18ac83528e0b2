"""Appends to the end of a log, and remembers recent ids and the number of events per file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lightfm_retriever.hosting.observing.repeats import logger_of_calls
from trainer.event_log import files as event_files
from trainer.event_log import listing, segments
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Appended, Row
from trainer.event_log.files import LogFile
from trainer.event_log.record import EventRecord
from trainer.event_log.write_ahead import WriteAheadFile

_log = logger_of_calls(__name__)


class RecentIds:
    """Remembers at least the last `size` ids, and at most twice as many.

    Stores 128-bit digests in two sets. When the younger set is full, it replaces the older one. Each id
    takes about 110 bytes, for any length.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._younger: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, event_id: str) -> bool:
        digest = _digest(event_id)
        return digest in self._younger or digest in self._older

    def add(self, event_id: str) -> None:
        """Add an unknown id."""
        if len(self._younger) >= self._size:
            self._older = self._younger
            self._younger = set()
        self._younger.add(_digest(event_id))

    def discard(self, event_id: str) -> None:
        """Forget an id, if it is known."""
        digest = _digest(event_id)
        self._younger.discard(digest)
        self._older.discard(digest)


def _digest(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


class Tail:
    """The end of a log, for its only writer, and for one thread at a time.

    Cuts off a torn block at the end of the last file. Raises as `listing.list_kept` does.

    Attributes:
        number: number of the current write-ahead file.
        wal: the current write-ahead file.
        held: number of events in each file, by the file's number.
        recent: ids of the last events.
    """

    def __init__(self, directory: Path, recent_ids: int, record: EventRecord) -> None:
        self._directory = directory
        self._record = record
        self.held: Counter[int] = Counter()
        self.recent = RecentIds(recent_ids)
        files = listing.list_kept(directory)
        sizes: dict[str, int] = {}
        ids: list[pa.ChunkedArray] = []
        known = 0
        for file in reversed(files):
            if file.kind == "wal":
                table, sizes[file.path.name] = event_files.read_wal(
                    file.path, complete=file != files[-1], at_least=file.valid_bytes
                )
                self.held[file.number] = len(table)
            elif file.kind == "segment":
                self.held[file.number] = segments.count_events(file.path)
                if known >= recent_ids:
                    continue
                table = segments.read_segment(file.path, ["event_id"])
            else:
                continue
            ids.append(table["event_id"])
            known += len(table)
        for column in reversed(ids):
            for event_id in column.to_pylist():
                self.recent.add(event_id)
        names = [file.lasting_name for file in files]
        if files and files[-1].kind == "wal":
            self.number = files[-1].number
            self.wal = WriteAheadFile.open(files[-1].path, size=sizes[files[-1].path.name])
        else:
            self.number = len(files) + 1
            path = event_files.wal_path(directory, self.number)
            self.wal = WriteAheadFile.create(path)
            names.append(path.name)
            sizes[path.name] = self.wal.size
        try:
            record.begin(names, sizes)
        except OSError as error:
            # The older record has fewer files, but all of them exist.
            _log.warning("%s: the record of its files can't be written: %s", directory, error)

    def files(self) -> list[LogFile]:
        """Return all files of the log. Raises as `listing.list_kept` does."""
        self._record.keep()
        files = listing.list_kept(self._directory)
        if not files or files[-1].number != self.number:
            name = event_files.wal_path(self._directory, self.number).name
            raise EventLogError(self._directory, f"{name} is gone: put it back")
        return files

    def add(self, batches: Sequence[Sequence[Row]]) -> list[Appended]:
        """Store the unknown events, each once. Returns the numbers of each batch.

        Raises EventLogError if a file with known events is gone, and OSError. No event is stored then.
        """
        new: dict[str, Row] = {}
        results = []
        for rows in batches:
            before = len(new)
            for row in rows:
                if row[0] not in new and row[0] not in self.recent:
                    new[row[0]] = row
            accepted = len(new) - before
            results.append(Appended(accepted, len(rows) - accepted))
        if any(own.duplicates for own in results):
            self._check_kept()
        if not new:
            # A restart must find the known events, too, because the sender won't send them again.
            self.wal.check_place()
            return results
        self.wal.append(event_files.encode([*new.values()]))
        self._record.grew(self.number, self.wal.size)
        self.held[self.number] += len(new)
        for event_id in new:
            self.recent.add(event_id)
        return results

    def _check_kept(self) -> None:
        for file in self.files():
            # Since the start, the log has answered that these events are stored.
            if file.kind == "lost" and (events := self.held[file.number]):
                again = "restart the service, then the senders can send them again"
                raise EventLogError(file.path, f"gives up {events} events: {again}")

    def seal(self) -> str:
        """Continue in a new file if the disk has room. Returns why the log is unusable, or ""."""
        path = event_files.wal_path(self._directory, self.number + 1)
        try:
            successor = WriteAheadFile.create(path)
        except OSError as error:
            _log.warning("%s: can't be created, so the file before it grows: %s", path, error)
            # If the new file exists after all, the file before it mustn't grow.
            return f"{path.name} can't be removed: restart the service" if path.exists() else ""
        try:
            # Record the file before an event in it is acknowledged.
            self._record.add(path.name, size=successor.size, before=self.wal.size)
        except OSError as error:
            # This only matters if the file is lost. The next change records the file, too.
            _log.warning("%s: can't be recorded as a required file: %s", path, error)
        self.wal.close()
        self.number += 1
        self.wal = successor
        return ""
