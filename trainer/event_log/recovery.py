"""What a log's writer knows of it when it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from trainer.event_log import files as event_files
from trainer.event_log import listing, segments
from trainer.event_log.held import Held
from trainer.event_log.recent_ids import RecentIds
from trainer.event_log.write_ahead import WriteAheadFile


@dataclass(frozen=True)
class Recovered:
    """Attributes:
    number, wal: the last write-ahead file, to go on with.
    held: what each file holds, by its number.
    recent: the ids of the last events.
    sizes: how many bytes of each write-ahead file are valid, by its name.
    names: of all files.
    """

    number: int
    wal: WriteAheadFile
    held: dict[int, Held]
    recent: RecentIds
    sizes: dict[str, int]
    names: list[str]


def recover(directory: Path, recent_ids: int) -> Recovered:
    """Read what the log holds, and open the last write-ahead file, without its torn end.

    Raises:
        EventLogError: a file is damaged, missing or doesn't belong there.
        OSError: a file can't be read or made.
    """
    files = listing.list_kept(directory)
    sizes: dict[str, int] = {}
    held: dict[int, Held] = {}
    ids: list[pa.ChunkedArray] = []
    known = size = 0
    for file in reversed(files):
        if file.kind == "wal":
            table, end = event_files.read_wal(
                file.path, complete=file != files[-1], at_least=file.valid_bytes
            )
            sizes[file.path.name] = end
            size = end if file == files[-1] else size
            held[file.number] = Held.of(table)
        elif file.kind == "segment":
            held[file.number] = Held(*segments.measure_segment(file.path))
            if known >= recent_ids:
                continue
            table = segments.read_segment(file.path, ["event_id"])
        else:
            continue
        ids.append(table["event_id"])
        known += len(table)
    recent = RecentIds(recent_ids)
    for column in reversed(ids):
        for event_id in column.to_pylist():
            recent.add(event_id)
    names = [file.lasting_name for file in files]
    if files and files[-1].kind == "wal":
        wal = WriteAheadFile.open(files[-1].path, size=size)
        return Recovered(files[-1].number, wal, held, recent, sizes, names)
    number = len(files) + 1
    path = event_files.wal_path(directory, number)
    wal = WriteAheadFile.create(path)
    return Recovered(number, wal, held, recent, {**sizes, path.name: wal.size}, [*names, path.name])
