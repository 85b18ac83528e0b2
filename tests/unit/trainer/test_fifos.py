"""Whatever the trainer reads, a FIFO in its place is refused and nobody waits for it."""

import os
import sqlite3
from contextlib import closing

import pytest

from trainer import exclusive
from trainer.data.databases import sql
from trainer.data.files import file_kinds, tables
from trainer.errors import InputError, TrainerError
from trainer.event_log import files, segments, write_ahead
from trainer.publishing.vector_files import VectorSide
from trainer.runs.store import RunStore

pytestmark = pytest.mark.timeout(30)


def read_array(path):
    ids = path.with_name("ids.txt")
    ids.write_text("a\n")
    VectorSide(path, ids, None)


READERS = {
    "a table": lambda path: tables.read_table(path, required=["user_id"]),
    "a Parquet file": file_kinds.start_of,
    "ids": lambda path: VectorSide(path, path, None),
    "an array": read_array,
    "a segment": segments.read_segment,
    "a segment's footer": segments.count_events,
    "a write-ahead file": lambda path: write_ahead.read_blocks(path, complete=True),
    "the end of a write-ahead file": lambda path: write_ahead.WriteAheadFile.open(path, size=0),
    "a database": lambda path: sql.read_result("SELECT 1", f"sqlite:///{path}"),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_each_reader(tmp_path, reader, suffix):
    path = tmp_path / f"fifo{suffix}"
    os.mkfifo(path)
    with pytest.raises((TrainerError, OSError), match="is a FIFO, but should be a regular file"):
        reader(path)


def test_locks_marks_and_the_runs(tmp_path):
    for name in ("_lock", "_removals", "runs.sqlite"):
        os.mkfifo(tmp_path / name)
    for call in (lambda at: exclusive.hold(at, "_lock"), files.removal_mark, RunStore):
        with pytest.raises((TrainerError, OSError), match="is a FIFO"):
            call(tmp_path)


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_what_is_beside_a_database(tmp_path, ending):
    path = tmp_path / "data.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (a)")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(f"{path}{ending}")
    for name in (path, tmp_path / "link"):
        with pytest.raises(InputError, match="is a FIFO") as caught:
            sql.read_result("SELECT 1", f"sqlite:///{name}")
        assert str(caught.value.path) == f"{path}{ending}"


def test_a_database_that_is_a_file_of_the_kernel_is_not_read_to_its_end(tmp_path):
    """Some have nothing to read for as long as nothing happens, such as /proc/kmsg."""
    (tmp_path / "link").symlink_to("/proc/self/status")
    with pytest.raises(InputError, match="isn't an SQLite database"):
        sql.read_result("SELECT 1", f"sqlite:///{tmp_path / 'link'}")
