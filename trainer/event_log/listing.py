"""Compares the files of an event log with the record of the files that it must have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainer.event_log import files as event_files
from trainer.event_log import record as event_record
from trainer.event_log.errors import EventLogError
from trainer.event_log.files import LogFile
from trainer.event_log.record import Record


def list_kept(directory: Path) -> list[LogFile]:
    """Return the files of a log as `event_files.list_files` does; none for a log that never existed.

    Raises EventLogError if a file is missing, replaced, cut, or not part of a log, and OSError.
    """
    record = event_record.read(directory)
    while True:
        files = event_files.list_files(directory) if directory.exists() else []
        if record is None:
            return files
        problem = _problem(directory, record, files)
        if problem is None:
            return [replace(file, valid_bytes=record.bytes.get(file.path.name, 0)) for file in files]
        # The writer may have changed the files and the record in the meantime.
        again = event_record.read(directory)
        if again is None or again.files == record.files:
            raise problem
        record = again


def _problem(directory: Path, record: Record, files: Sequence[LogFile]) -> EventLogError | None:
    """Return the error of the first lost file; None if no file was lost."""
    for number, name in enumerate(record.files, 1):
        if number > len(files):
            return _lost(directory, f"part {number} of the event log is missing: {name}")
        file = files[number - 1]
        # After a crash during a removal, the record may not name the new version yet.
        if file.kind == "lost" or file.is_successor:
            continue
        if file.path.name == name:
            # A segment may have the recorded bytes of the write-ahead file that it replaced.
            least = record.bytes.get(name, 0) if file.kind == "wal" else 0
            try:
                size = file.path.stat().st_size if least else 0
            except FileNotFoundError:
                # The file has become a segment in the meantime.
                continue
            if size < least:
                return _lost(
                    directory, f"{name} has {size} bytes, but had at least {least}: it was cut"
                )
        elif file.kind == "wal" or not name.startswith("_"):
            # A segment may replace a write-ahead file, but another segment only if the record names it.
            return _lost(
                directory, f"{file.path.name} is in the place of {name}, which is newer or was lost"
            )
    return None


def _lost(directory: Path, what: str) -> EventLogError:
    return EventLogError(
        directory,
        f"{what}; restore it, or remove {event_record.path_of(directory)}, the record of all files, to "
        "continue with the files in the directory",
    )
