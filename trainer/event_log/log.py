"""Stores appended interactions in an event log on the trainer's own disk.

When `append` returns, its events are on the disk, in a write-ahead file (`write_ahead`). A large
write-ahead file becomes a Parquet segment (`files`). Threads that append at the same time share a write
and an fsync.

The log doesn't store an event again if its id is among the recent ids. Later repetitions are stored
again, but `read_interactions` leaves them out, because it knows all ids. So the service needs bounded
memory, and a training run has every event once.

A record next to the directory says which files the log must have (`record`), so that a lost log doesn't
count as an empty one.

When `remove` returns, no file has the removed events (`removal`). The log forgets their ids, too: a
removed event that is appended again is a new event.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from lightfm_retriever.files.durable import make_directory
from lightfm_retriever.hosting.observing.repeats import logger_of_calls
from lightfm_retriever.hosting.process import start_all
from lightfm_retriever.publication.writer import Clock, utc_now
from trainer import exclusive
from trainer.event_log import files as event_files
from trainer.event_log import listing
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Appended, Event, Row, Stats, checked_rows
from trainer.event_log.files import os_errors
from trainer.event_log.reading import read_interactions
from trainer.event_log.record import EventRecord
from trainer.event_log.removal import EventSearch, Removed, Selection
from trainer.event_log.tail import Tail

__all__ = ["Appended", "Event", "EventLog", "Removed", "Selection", "read_interactions"]

_CLOSED = "the event log is closed"
# How many ids to forget at a time, because appends wait meanwhile.
_FORGOTTEN = 10_000

_log = logger_of_calls(__name__)


class EventLog:
    """Writes a log. Threads may share a writer. It is a context manager, which closes the log.

    Args:
        directory: directory of the log, on a local disk. Created if it is missing.
        clock: time for events without a timestamp. Events from the future are refused.
        segment_bytes: size at which a write-ahead file becomes a segment. The segment is about four
            times smaller.
        recent_ids: number of latest events that aren't stored again. Each one takes up to 220 bytes of
            memory.

    Raises:
        EventLogError: the directory can't be used, a file in it is damaged or was lost, or another
            process writes to it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock = utc_now,
        segment_bytes: int = 64 << 20,
        recent_ids: int = 1_000_000,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._segment_bytes = segment_bytes
        # Batches to store, and the future result of each.
        self._queue: list[tuple[list[Row], Future[Appended]]] = []
        # Guards the queue, and lets one thread at a time write to the disk.
        self._turn = threading.Condition()
        self._busy = False
        self._unusable = ""
        with os_errors(directory, "can't be opened"), contextlib.ExitStack() as stack:
            # Check the record first: if the log was removed, creating an empty one would hide that.
            listing.list_kept(directory)
            make_directory(directory)
            try:
                self._lock = exclusive.hold(directory, "_lock")
            except BlockingIOError as error:
                raise EventLogError(directory, "another process writes to this event log") from error
            stack.callback(self._lock.close)
            self._record = EventRecord(directory)
            stack.callback(self._record.close)
            event_files.clean(directory, self._record)
            self._tail = Tail(directory, recent_ids, self._record)
            stack.pop_all()
        self._roller = ThreadPoolExecutor(1, thread_name_prefix="event-log")
        start_all(self._roller, 1)
        self._roller.submit(self._roll)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, batch: Sequence[Event]) -> Appended:
        """Store the new events of a batch. Returns when they are on the disk.

        Raises:
            InvalidEventError: an event isn't valid. No event of the batch is stored.
            EventLogError: the disk is full, for instance. The batch may be sent again.
        """
        rows = checked_rows(batch, now=self._clock().timestamp())
        waiting: Future[Appended] = Future()
        with self._turn:
            self._queue.append((rows, waiting))
            self._turn.wait_for(lambda: waiting.done() or not self._busy)
            # The first thread that may write stores all batches that are queued by then.
            if is_first := not waiting.done():
                self._busy = True
                group, self._queue = self._queue, []
        if is_first:
            try:
                self._commit(group)
            finally:
                self._end_turn()
        if (error := waiting.exception()) is not None:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise EventLogError(
                self._directory, f"can't be written: {reason}; the batch wasn't stored"
            ) from error
        return waiting.result()

    def stats(self) -> Stats:
        """Return the current numbers of events and bytes. Raises EventLogError."""
        with self._own_turn(), os_errors(self._directory, "can't be read"):
            size = 0
            for name in os.listdir(self._directory):
                # A file may be replaced at the same time, and a link may lead nowhere.
                with contextlib.suppress(OSError):
                    size += (self._directory / name).stat().st_size
            # This raises an error if a file is gone.
            self._tail.files()
            return Stats(events=self._tail.held.total(), bytes=size)

    def remove(self, selection: Selection, *, dry_run: bool = False) -> Removed:
        """Remove the selected events from the disk. Returns when no file has them any more.

        With `dry_run`, only finds the events. Events that are appended at the same time may stay.

        Raises EventLogError if the disk is full, a file is damaged or the log is closed, for instance.
        Some events may be removed by then. Removing the same selection again removes the others.
        """
        try:
            # The thread that creates segments does it, so that no file is replaced at the same time.
            return self._roller.submit(self._remove, selection, dry_run=dry_run).result()
        except (CancelledError, RuntimeError) as error:
            if self._unusable != _CLOSED:
                raise
            raise EventLogError(self._directory, f"can't be changed: {_CLOSED}") from error

    def close(self) -> None:
        """Wait for running appends, and let another process write. Can be called again."""
        with self._own_turn():
            if self._unusable == _CLOSED:
                return
            self._unusable = _CLOSED
            self._tail.wal.close()
        self._roller.shutdown(cancel_futures=True)
        self._record.close()
        self._lock.close()

    @contextlib.contextmanager
    def _own_turn(self) -> Iterator[None]:
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)
            self._busy = True
        try:
            yield
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        with self._turn:
            self._busy = False
            self._turn.notify_all()

    def _commit(self, group: list[tuple[list[Row], Future[Appended]]]) -> None:
        """Store the new events of the batches, and set the result of each batch."""
        try:
            if self._unusable:
                raise OSError(self._unusable)
            results = self._tail.add([rows for rows, _ in group])
        except BaseException as error:
            for _, waiting in group:
                waiting.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, waiting), appended in zip(group, results, strict=True):
            waiting.set_result(appended)
        is_new = any(appended.accepted for appended in results)
        if is_new and self._tail.wal.size >= self._segment_bytes:
            self._seal()

    def _seal(self) -> None:
        """Continue in a new write-ahead file. The events are stored already, so this never fails."""
        number = self._tail.number
        self._unusable = self._tail.seal()
        if self._tail.number != number:
            self._roller.submit(self._roll)

    def _roll(self) -> None:
        try:
            event_files.roll(self._directory, self._record)
        except (EventLogError, OSError) as error:
            # The events stay in write-ahead files, which readers read too, until the next attempt.
            _log.warning("%s: can't create a segment: %s", self._directory, error)

    # ---- the methods below run on the thread that creates segments

    def _remove(self, selection: Selection, *, dry_run: bool) -> Removed:
        search = EventSearch(self._directory, selection)
        with os_errors(self._directory, "can't be changed"):
            with self._own_turn():
                self._check_usable()
                if not dry_run:
                    event_files.clean(self._directory, self._record)
                files = self._tail.files()
            for file in files[:-1]:
                search.look(file, last=False)
            if not dry_run and search.is_in(files[-1]):
                self._end_file(files[-1].number)
                # Search the last file again: it may have grown.
                search.look(files[-1], last=False)
            elif dry_run:
                search.look(files[-1], last=True)
            found = search.summary()
            if found.events and not dry_run:
                search.remove(self._note_removed, self._record)
                _log.info("%s: removed %d events", self._directory, found.events)
        return found

    def _note_removed(self, number: int, left: int, ids: list[str]) -> None:
        with self._own_turn():
            self._tail.held[number] = left
        for start in range(0, len(ids), _FORGOTTEN):
            with self._own_turn():
                for event_id in ids[start : start + _FORGOTTEN]:
                    self._tail.recent.discard(event_id)
        # Stop here if the log was closed: many files may be left.
        self._check_usable()

    def _end_file(self, number: int) -> None:
        """Continue in a new write-ahead file if this one is still written."""
        with self._own_turn():
            self._check_usable()
            if self._tail.number == number:
                # A file may only be followed by another one if it is as it was written.
                self._tail.wal.check_place()
                self._seal()
            if self._tail.number == number:
                raise EventLogError(
                    self._directory, "can't be changed: no room is left for another write-ahead file"
                )

    def _check_usable(self) -> None:
        if self._unusable:
            raise EventLogError(self._directory, f"can't be changed: {self._unusable}")
