import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.trainer.event_log.logs import (
    SECONDS,
    assert_refused,
    damage,
    events,
    full,
    open_log,
    read_ids,
    rolled,
    segments,
    settle,
)
from trainer.errors import InputError
from trainer.event_log import files as event_files
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Stats
from trainer.event_log.log import Appended, Event, Selection, read_interactions
from trainer.event_log.reading import stored_events
from trainer.event_log.record import EventRecord
from trainer.event_log.tail import RecentIds

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def test_what_is_appended_is_read_in_the_order_of_arrival(tmp_path):
    with open_log(tmp_path / "log") as log:
        first = [
            Event("1", "b", "y", "view", 2.0, SECONDS - 10),
            Event("2", "a", "y", "buy", -1.5, SECONDS - 20),
        ]
        assert log.append(first) == Appended(2, 0)
        assert log.append([Event("3", "b", "東京")]) == Appended(1, 0)
        # While the writer goes on.
        read = read_interactions(tmp_path / "log")
    assert (read.name, read.user_ids, read.item_ids) == ("log", ["b", "a"], ["y", "東京"])
    assert (read.users.tolist(), read.items.tolist()) == ([0, 1, 0], [0, 0, 1])
    assert (read.users.dtype, read.weights.dtype) == (np.int64, np.float32)
    assert read.weights.tolist() == [2.0, -1.5, 1.0]
    assert read.timestamps.tolist() == [SECONDS - 10, SECONDS - 20, SECONDS]
    assert [read.event_types[event] for event in read.events] == ["view", "buy", ""]


def test_an_event_that_comes_again_is_kept_as_it_was_first_and_not_written_again(tmp_path):
    with open_log(tmp_path) as log:
        assert log.append([*events(1, 2, 1), Event("2", "other", "i")]) == Appended(2, 2)
        before = log.stats()
        for again in (events(1, 2), []):
            assert log.append(again) == Appended(0, len(again))
        assert log.stats() == before
    assert read_interactions(tmp_path).user_ids == ["user 1", "user 2"]


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=12),
    st.sampled_from([1, 150, 400, 1 << 20]),
    st.integers(1, 40),
    st.sets(st.integers(0, 12)),
)
def test_any_batches_with_restarts_in_between_are_read_once_each(
    tmp_path_factory, batches, segment_bytes, recent_ids, restarts
):
    directory = tmp_path_factory.mktemp("log")
    options = {"segment_bytes": segment_bytes, "recent_ids": recent_ids}
    log = open_log(directory, **options)
    for number, batch in enumerate(batches):
        appended = log.append(events(*batch))
        assert appended.accepted + appended.duplicates == len(batch)
        known = {event_id for own in batches[:number] for event_id in own}
        if len(known) <= recent_ids:
            assert appended.accepted == len({*batch} - known)
        if number in restarts:
            log.close()
            log = open_log(directory, **options)
    expected = [*dict.fromkeys(str(event_id) for batch in batches for event_id in batch)]
    assert log.stats().events >= len(expected)
    log.close()
    assert read_ids(directory) == expected


def test_many_small_batches_become_few_segments_of_plain_parquet(tmp_path):
    with open_log(tmp_path, segment_bytes=5_000) as log:
        for event_id in range(200):
            log.append(events(event_id))
        settle(log)
    assert 1 < len(segments(tmp_path)) < 5
    # The write-ahead file, and the lock.
    assert len(os.listdir(tmp_path)) == len(segments(tmp_path)) + 2
    assert read_ids(tmp_path) == [*map(str, range(200))]
    row = pa.parquet.read_table(segments(tmp_path)[0]).to_pylist()[1]
    assert row == asdict(Event("1", "user 1", "i", timestamp=SECONDS))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    with open_log(tmp_path) as log:
        assert log.stats() == Stats(events=200, bytes=size)
    assert stored_events(tmp_path) == 200


def test_a_second_writer_is_told_so_and_a_closed_log_takes_nothing(tmp_path):
    with open_log(tmp_path) as log:
        for _ in range(2):
            with pytest.raises(EventLogError, match=f"{tmp_path}: another process writes to this"):
                open_log(tmp_path)
            (tmp_path / "_lock").unlink(missing_ok=True)
        log.append(events(1))
    log.close()
    with pytest.raises(EventLogError, match=f"{tmp_path}: can't be written: the event log is closed"):
        log.append(events(1))
    with pytest.raises(EventLogError, match="can't be changed: the event log is closed"):
        settle(log)
    with open_log(tmp_path) as log:
        log.append(events(2))
    assert read_ids(tmp_path) == ["1", "2"]


def test_where_there_is_no_log_or_nothing_in_it_the_directory_is_named(tmp_path):
    none = tmp_path / "none"
    for said in ("there is no event log here", "no interactions were appended yet"):
        with pytest.raises(InputError, match=f"{none}: {said}"):
            read_interactions(none)
        assert stored_events(none) == 0
        open_log(none).close()
    (tmp_path / "file").touch()
    with pytest.raises(EventLogError, match=f"{tmp_path}/file.*: can't be opened: Not a directory"):
        open_log(tmp_path / "file" / "log")


def test_threads_that_append_at_the_same_time_share_an_fsync(tmp_path, monkeypatch):
    log = open_log(tmp_path)
    syncs, began, go_on = [], threading.Event(), threading.Event()

    def slow(descriptor):
        syncs.append(descriptor)
        began.set()
        assert go_on.wait(10)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(8) as pool:
        appending = [pool.submit(log.append, events(0, "same"))]
        assert began.wait(10)
        appending += [pool.submit(log.append, events(number, "same")) for number in range(1, 8)]
        while len(log._queue) < 7:
            pass
        assert not any(one.done() for one in appending)
        go_on.set()
    assert len(syncs) == 2
    log.close()
    assert [one.result() for one in appending] == [Appended(2, 0), *[Appended(1, 1)] * 7]
    assert sorted(read_ids(tmp_path)) == [*map(str, range(8)), "same"]


@pytest.mark.parametrize(
    ("failing", "said", "rows"),
    [
        ("files.write_segment", "can't create a segment", [1, 1, 1]),
        # The last one grows.
        ("tail.WriteAheadFile.create", "so the file before it grows", [3]),
    ],
)
def test_without_room_for_a_file_it_is_made_later(tmp_path, monkeypatch, caplog, failing, said, rows):
    with open_log(tmp_path, segment_bytes=1) as log:
        settle(log)
        with monkeypatch.context() as patch:
            patch.setattr(f"trainer.event_log.{failing}", full)
            assert [log.append(events(number)) for number in (1, 2)] == [Appended(1, 0)] * 2
            settle(log)
            assert said in caplog.text
            assert segments(tmp_path) == []
            assert read_ids(tmp_path) == ["1", "2"]
        log.append(events(3))
        settle(log)
    assert [pa.parquet.read_metadata(path).num_rows for path in segments(tmp_path)] == rows
    assert read_ids(tmp_path) == ["1", "2", "3"]


def test_beside_a_file_that_was_left_half_made_nothing_is_written(tmp_path, monkeypatch):
    def half(path):
        path.touch()
        full()

    with open_log(tmp_path, segment_bytes=1) as log:
        settle(log)
        monkeypatch.setattr("trainer.event_log.tail.WriteAheadFile.create", half)
        assert log.append(events(1)) == Appended(1, 0)
        for change in (lambda: log.append(events(2)), lambda: log.remove(Selection(event_ids=["1"]))):
            with pytest.raises(EventLogError, match="_wal-00000002 can't be removed: restart the"):
                change()


def test_a_segment_is_on_the_disk_before_its_write_ahead_file_goes(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(event_files, "roll", lambda *_: None)
        with open_log(tmp_path, segment_bytes=1) as log:
            log.append(events(1))
    calls = []

    def call(name, original, what, *more):
        path = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else Path(what)
        calls.append((name, path.name))
        return original(what, *more)

    for name in ("fsync", "rename", "unlink"):
        monkeypatch.setattr(os, name, partial(call, name, getattr(os, name)))
    event_files.roll(tmp_path, EventRecord(tmp_path))
    assert calls == [
        ("fsync", "_segment-00000001.tmp"),
        ("rename", "_segment-00000001.tmp"),
        ("fsync", tmp_path.name),
        ("fsync", f"must-have-{tmp_path.name}.tmp"),
        ("rename", f"must-have-{tmp_path.name}.tmp"),
        ("fsync", tmp_path.parent.name),
        ("unlink", "_wal-00000001"),
        ("fsync", tmp_path.name),
    ]


@pytest.mark.parametrize("at", [0, 60, -20, -1])
def test_a_damaged_segment_is_named_and_can_be_given_up(tmp_path, at):
    rolled(tmp_path, [1, 2], [3], [4])
    path = segments(tmp_path)[1]
    damage(path, at)
    for use in (read_interactions, open_log):
        with pytest.raises(EventLogError, match=f"(?s){path}: is damaged .*rename it to segment-0+2"):
            use(tmp_path)
    path.rename(tmp_path / "segment-00000002.lost")
    assert read_ids(tmp_path) == ["1", "2", "4"]
    with open_log(tmp_path) as log:
        assert log.append(events(7)) == Appended(1, 0)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_missing_file_is_noticed(tmp_path, number):
    rolled(tmp_path, [1], [2], [3])
    [path] = tmp_path.glob(f"*-0000000{number}*")
    path.unlink()
    assert_refused(tmp_path, f"part {number} of the event log is missing")
    (tmp_path / f"segment-0000000{number}.lost").touch()
    with open_log(tmp_path) as log:
        log.append(events(4))
    assert read_ids(tmp_path) == [event for event in "1234" if event != str(number) or number == 4]


def test_a_file_that_does_not_belong_there_is_named(tmp_path):
    rolled(tmp_path, [1])
    (tmp_path / "more.parquet").touch()
    assert_refused(tmp_path, r"more\.parquet: isn't a file of the event log")
    (tmp_path / "more.parquet").rename(tmp_path / "_more.parquet")
    (tmp_path / "segment-00000001-00000000.parquet").touch()
    assert_refused(tmp_path, "is the same segment as segment-00000001")


def test_what_a_crash_leaves_is_removed(tmp_path):
    rolled(tmp_path, [1], [2])
    names = sorted(os.listdir(tmp_path))
    # As if it had been killed after the rename, and before, and while it made another file.
    (tmp_path / "_wal-00000002").write_bytes((tmp_path / "_wal-00000003").read_bytes())
    (tmp_path / "_segment-00000003.tmp").write_bytes(b"PAR1half")
    (tmp_path / "_wal-00000004.tmp").write_bytes(b"LFEV")
    for opened in (False, True):
        if opened:
            open_log(tmp_path).close()
            assert sorted(os.listdir(tmp_path)) == names
        assert read_ids(tmp_path) == ["1", "2"]


def test_the_window_of_recent_ids_is_bounded_and_has_the_last_ones():
    recent = RecentIds(10)
    for number in range(95):
        recent.add(str(number))
        known = [one for one in range(number + 1) if str(one) in recent]
        assert {*range(max(0, number - 9), number + 1)} <= {*known}
        assert len(known) <= 20


def test_events_whose_file_is_gone_are_not_said_to_be_there(tmp_path):
    with open_log(tmp_path, segment_bytes=1) as log:
        log.append(events(1, 2))
        settle(log)
        assert log.append(events(1)).duplicates == 1
        [segment] = segments(tmp_path)
        away = segment.rename(tmp_path / "_away")
        with pytest.raises(EventLogError, match=r"missing|is in the place of"):
            log.append(events(1, 2))
        # An operator says that it is lost for good; what it had was acknowledged, though.
        lost = tmp_path / "segment-00000001.lost"
        lost.touch()
        with pytest.raises(EventLogError, match=r"segment-00000001\.lost: gives up 2 events"):
            log.append(events(1, 2))
        lost.unlink()
        away.rename(segment)
        assert log.append(events(1)).duplicates == 1
        segment.rename(lost)
    with open_log(tmp_path) as log:
        assert log.append(events(1, 2)).accepted == 2
