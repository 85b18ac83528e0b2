"""The files of an event log, held against the record of those that it must have."""

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
    """The files of a log as `event_files.list_files` has them; of a directory that never was, none.

    Raises EventLogError when one is missing, was replaced or cut, or doesn't belong there, and OSError.
    """
    record = event_record.read(directory)
    while True:
        files = event_files.list_files(directory) if directory.exists() else []
        if record is None:
            return files
        problem = _problem(directory, record, files)
        if problem is None:
            return [replace(file, valid_bytes=record.bytes.get(file.path.name, 0)) for file in files]
        # Its writer may have changed both meanwhile.
        again = event_record.read(directory)
        if again is None or again.files == record.files:
            raise problem
        record = again


def _problem(directory: Path, record: Record, files: Sequence[LogFile]) -> EventLogError | None:
    """What was lost, None when nothing was."""
    for number, name in enumerate(record.files, 1):
        if number > len(files):
            return _lost(directory, f"part {number} of the event log is missing: {name}")
        file = files[number - 1]
        # A removal that a crash has interrupted may not have come to the record.
        if file.kind == "lost" or file.is_successor:
            continue
        if file.path.name == name:
            # A segment may have got what was to be said of the file that it was made of.
            least = record.bytes.get(name, 0) if file.kind == "wal" else 0
            try:
                size = file.path.stat().st_size if least else 0
            except FileNotFoundError:
                # It has become a segment meanwhile.
                continue
            if size < least:
                return _lost(
                    directory, f"{name} has {size} bytes, but had at least {least}: it was cut"
                )
        elif file.kind == "wal" or not name.startswith("_"):
            # A segment takes the place of a write-ahead file, and of another segment after it is noted.
            return _lost(
                directory, f"{file.path.name} is in the place of {name}, which is newer or was lost"
            )
    return None


def _lost(directory: Path, what: str) -> EventLogError:
    return EventLogError(
        directory,
        f"{what}; restore it, or remove {event_record.path_of(directory)}, which says what there was, "
        "to go on with what is there",
    )
