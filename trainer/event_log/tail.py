"""The end of a log: the file that is written, and what is known of all before it."""

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
    """Knows the last `size` ids that were added for certain, and of those before up to as many again.

    It keeps 128-bit digests in two sets; when the younger one is full, it takes the place of the older
    one. So an id costs about 110 bytes whatever its length, twice `size` of them at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._younger: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, event_id: str) -> bool:
        digest = _digest(event_id)
        return digest in self._younger or digest in self._older

    def add(self, event_id: str) -> None:
        """Add an id that isn't known."""
        if len(self._younger) >= self._size:
            self._older = self._younger
            self._younger = set()
        self._younger.add(_digest(event_id))

    def discard(self, event_id: str) -> None:
        """Know an id no more; no error when it isn't known."""
        digest = _digest(event_id)
        self._younger.discard(digest)
        self._older.discard(digest)


def _digest(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


class Tail:
    """For the only writer of a log, and one thread at a time; raises as `listing.list_kept`.

    Attributes:
        number: of the file that is written.
        wal: that file; a torn end is cut off.
        held: how many events each file has, by its number.
        recent: the ids of the last events.
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
            # The one before says less, and nothing that isn't so.
            _log.warning("%s: the record of its files can't be written: %s", directory, error)

    def files(self) -> list[LogFile]:
        """All files of the log; EventLogError and OSError as `listing.list_kept`."""
        self._record.keep()
        files = listing.list_kept(self._directory)
        if not files or files[-1].number != self.number:
            name = event_files.wal_path(self._directory, self.number).name
            raise EventLogError(self._directory, f"{name} is gone: put it back")
        return files

    def add(self, batches: Sequence[Sequence[Row]]) -> list[Appended]:
        """Store the events that aren't known, each once; says of each batch how many those are.

        Raises EventLogError when a file is gone in which known ones are, and OSError; nothing is stored
        then.
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
            # What is known already has to be there for a restart, too.
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
            # Since the start senders were told that its events are stored.
            if file.kind == "lost" and (events := self.held[file.number]):
                again = "start the service again, and they can be sent anew"
                raise EventLogError(file.path, f"gives up {events} events: {again}")

    def seal(self) -> str:
        """Go on in another file, where there is room for one; why nothing can be written, or ""."""
        path = event_files.wal_path(self._directory, self.number + 1)
        try:
            successor = WriteAheadFile.create(path)
        except OSError as error:
            _log.warning("%s: can't be made, so the one before it grows: %s", path, error)
            # A file that is followed by another one mustn't grow.
            return f"{path.name} can't be removed: start the service again" if path.exists() else ""
        try:
            # Before an event in it is acknowledged.
            self._record.add(path.name, size=successor.size, before=self.wal.size)
        except OSError as error:
            # Only who removes the file would notice; the next change notes it too.
            _log.warning("%s: can't be noted as one that must exist: %s", path, error)
        self.wal.close()
        self.number += 1
        self.wal = successor
        return ""
