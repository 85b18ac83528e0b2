"""Event logs for tests: what is in them, and what is done to them."""

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from trainer.errors import InputError
from trainer.event_log import reading
from trainer.event_log.errors import EventLogError
from trainer.event_log.files import list_files
from trainer.event_log.log import Appended, Event, EventLog, Selection
from trainer.event_log.reading import find_interactions, read_interactions, stored_events

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = NOW.timestamp()


def open_log(directory: Path, **options: Any) -> EventLog:
    return EventLog(directory, clock=lambda: NOW, **options)


def events(*ids: object) -> list[Event]:
    return [Event(event_id, f"user {event_id}", "i") for event_id in map(str, ids)]


def settle(log: EventLog) -> None:
    """Wait until what could become a segment has."""
    log.remove(Selection(event_ids=["none"]), dry_run=True)


def rolled(
    directory: Path, *batches: list[object], segment_bytes: int = 1, **options: Any
) -> list[Appended]:
    with open_log(directory, segment_bytes=segment_bytes, **options) as log:
        appended = [log.append(events(*batch)) for batch in batches]
        settle(log)
    return appended


def read_ids(directory: Path) -> list[str]:
    try:
        found = read_interactions(directory).event_ids
    except InputError:
        return []
    return [] if found is None else found.to_pylist()


def on_disk(directory: Path) -> list[str]:
    """The ids in all files, of each as often as it is there."""
    tables = [reading.read_file(file, last=True) for file in list_files(directory)]
    return [event_id for table in tables for event_id in table["event_id"].to_pylist()]


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("segment-*.parquet"))


def damage(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def assert_refused(directory: Path, said: str) -> None:
    for use in (open_log, read_interactions, find_interactions, stored_events):
        with pytest.raises(EventLogError, match=said):
            use(directory)
