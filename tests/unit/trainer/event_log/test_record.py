"""What a log had is there, or its loss is said: the record of the files that it must have."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.errors import InputError
from trainer.event_log import record as event_record
from trainer.event_log import write_ahead
from trainer.event_log.errors import EventLogError
from trainer.event_log.log import Event, EventLog, Selection, read_interactions, stored_events
from trainer.event_log.reading import find_interactions

NOW = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk", "looks_at_each_append")


@pytest.fixture(scope="module")
def looks_at_each_append():
    """For tests that append more often than is looked at and noted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_ahead, "_LOOK_SECONDS", 0.0)
        patch.setattr(event_record, "_NOTE_SECONDS", 0.0)
        yield


def open_log(directory, **options):
    return EventLog(directory, clock=lambda: NOW, **options)


def events(*ids):
    return [Event(event_id, f"user {event_id}", "i") for event_id in map(str, ids)]


def read_ids(directory):
    try:
        read = read_interactions(directory)
    except InputError:
        return []
    return [read.user_ids[user].removeprefix("user ") for user in read.users]


def made(directory, count=1, **options):
    """A log of events 1 to `count`, each appended by itself."""
    with open_log(directory, **options) as log:
        for number in range(1, count + 1):
            log.append(events(number))
            log._roller.submit(lambda: None).result()
    return directory


@pytest.fixture
def log(tmp_path):
    return made(tmp_path / "events")


@pytest.fixture
def segments(tmp_path):
    return made(tmp_path / "events", 3, segment_bytes=1)


def assert_refused(directory, said):
    for use in (open_log, read_interactions, find_interactions, stored_events):
        with pytest.raises(EventLogError, match=said):
            use(directory)


def record_of(directory):
    return directory.with_name(f"must-have-{directory.name}")


def harm_delete(directory):
    (directory / "_wal-00000001").unlink()


def harm_empty_directory(directory):
    for path in directory.iterdir():
        path.unlink()


@pytest.mark.parametrize("harm", [harm_delete, harm_empty_directory, shutil.rmtree])
def test_a_log_that_vanished_is_no_new_one_and_can_be_given_up(log, harm):
    harm(log)
    assert_refused(log, r"part 1 of the event log is missing: _wal-00000001.*must-have-events")
    # As the message says.
    record_of(log).unlink()
    with open_log(log) as again:
        again.append(events(5))
    assert read_ids(log) == ["5"]


def test_a_part_can_be_given_up_by_an_empty_file_too(log):
    harm_delete(log)
    (log / "segment-00000001.lost").touch()
    assert made(log) == log
    assert read_ids(log) == ["1"]


@pytest.mark.parametrize("left", [0, 10, 20, 40, -1])
def test_a_write_ahead_file_that_was_cut_is_noticed(log, left):
    path = log / "_wal-00000001"
    os.truncate(path, left if left >= 0 else path.stat().st_size - 1)
    assert_refused(log, "it was cut|is damaged")


def test_a_write_ahead_file_whose_end_was_overwritten_is_noticed(log):
    path = log / "_wal-00000001"
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    assert_refused(log, r"is damaged \(\d+ bytes of it are valid, but \d+ were\)")


def test_older_copies_are_noticed(tmp_path):
    directory = made(tmp_path / "events", 2, segment_bytes=1)
    copy = shutil.copytree(directory, tmp_path / "copy")
    with open_log(directory, segment_bytes=1) as log:
        log.append(events(3))
        log._roller.submit(lambda: None).result()
        log.remove(Selection(event_ids=["1"]))
    shutil.rmtree(directory)
    shutil.copytree(copy, directory)
    assert_refused(directory, "must-have-events")
    # One segment alone: what was removed would be back.
    record_of(directory).unlink()
    open_log(directory).close()
    [old] = directory.glob("segment-00000001-*")
    with open_log(directory) as log:
        log.remove(Selection(event_ids=["1"]))
    [new] = directory.glob("segment-00000001-*")
    new.unlink()
    shutil.copy(copy / old.name, directory)
    assert_refused(directory, f"{old.name} is in the place of {new.name}")


@pytest.mark.parametrize("segment_bytes", [1, 1 << 20])
def test_a_log_of_before_a_moved_one_and_one_that_was_put_back_are_taken(tmp_path, segment_bytes):
    directory = made(tmp_path / "events", 3, segment_bytes=segment_bytes)
    record_of(directory).unlink()
    assert read_ids(directory) == ["1", "2", "3"]
    open_log(directory).close()
    assert record_of(directory).exists()
    for name in ("with the record", "alone"):
        state = tmp_path / name
        shutil.copytree(directory, state / "events")
        if name == "with the record":
            shutil.copy(record_of(directory), state)
        with open_log(state / "events") as log:
            assert log.append(events(3, 4)).accepted == 1
        assert read_ids(state / "events") == ["1", "2", "3", "4"]


def test_what_is_noted_of_the_last_file_stays_when_the_record_is_written_anew(tmp_path):
    directory = made(tmp_path / "events", 2, segment_bytes=1)
    with open_log(directory) as log:
        log.append(events(3))
        size = event_record.read(directory).bytes["_wal-00000003"]
        assert size == (directory / "_wal-00000003").stat().st_size
        log.remove(Selection(event_ids=["1"]))
        assert event_record.read(directory).bytes["_wal-00000003"] == size


def noted(directory, size):
    """Wait until the record of a log says how large its file is."""
    patience = time.monotonic() + 30
    while event_record.read(directory).bytes["_wal-00000001"] != size:
        assert time.monotonic() < patience, "the last append is never noted"
        time.sleep(0.01)


def test_the_last_of_appends_that_come_quickly_is_noted_too(tmp_path, monkeypatch):
    monkeypatch.setattr(event_record, "_NOTE_SECONDS", 0.1)
    directory = tmp_path / "events"
    wal = directory / "_wal-00000001"
    with open_log(directory) as log:
        for turn in range(2):
            log.append(events(turn, "a"))
            first = wal.stat().st_size
            for own in range(3):
                log.append(events(f"{turn} {own}"))
            noted(directory, wal.stat().st_size)
        # As a kill leaves it.
        shutil.copytree(directory, tmp_path / "state" / "events")
        shutil.copy(record_of(directory), tmp_path / "state")
    os.truncate(tmp_path / "state" / "events" / wal.name, first)
    assert_refused(tmp_path / "state" / "events", "it was cut|is damaged")


def test_an_append_is_noted_at_once_where_no_thread_can_be_had(tmp_path, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(event_record, "_NOTE_SECONDS", 3600.0)
    directory = tmp_path / "events"
    with open_log(directory) as log:
        log.append(events(1))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none_left)
            log.append(events(2))
        assert event_record.read(directory).bytes == {
            "_wal-00000001": (directory / "_wal-00000001").stat().st_size
        }


@pytest.mark.parametrize("content", [b"", b"LFMUST1 00000000 {}\n", b"other\n", bytes(range(128, 178))])
def test_a_damaged_record_is_named(log, content):
    record_of(log).write_bytes(content)
    assert_refused(log, "must-have-events: is damaged.*remove this file")
    record_of(log).unlink()
    assert read_ids(log) == ["1"]


def test_a_torn_last_line_of_the_record_counts_for_nothing(log):
    path = record_of(log)
    head, tail = path.read_bytes().split(b"\n", 1)
    for cut in range(len(tail)):
        path.write_bytes(head + b"\n" + tail[:cut])
        assert read_ids(log) == ["1"]
    path.write_bytes(head + b"\n" + tail.replace(b"0", b"9"))
    assert read_ids(log) == ["1"]


def test_a_record_that_says_less_than_there_is_is_no_problem(tmp_path):
    directory, older = tmp_path / "events", []
    with open_log(directory, segment_bytes=1) as log:
        for number in range(4):
            older.append(record_of(directory).read_bytes())
            log.append(events(number))
            log._roller.submit(lambda: None).result()
    for content in older:
        record_of(directory).write_bytes(content)
        assert read_ids(directory) == ["0", "1", "2", "3"]
        open_log(directory).close()


def test_a_record_that_can_not_be_written_refuses_nothing(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    directory = made(tmp_path / "events", 2, segment_bytes=1)
    with open_log(directory, segment_bytes=1) as log:
        with monkeypatch.context() as patch:
            patch.setattr(event_record.EventRecord, "_write", full)
            log.append(events(3))
            log._roller.submit(lambda: None).result()
            with pytest.raises(EventLogError, match=r"0 of 1 events were removed.*No space left"):
                log.remove(Selection(event_ids=["1"]))
            assert read_ids(directory) == ["1", "2", "3"]
        assert "can't be noted" in caplog.text
        assert log.append(events(4)).accepted == 1
        log._roller.submit(lambda: None).result()
        assert log.remove(Selection(event_ids=["1"])).events == 1
        with monkeypatch.context() as patch:
            patch.setattr(event_record.EventRecord, "_write", full)
            log.append(events(5))
    with monkeypatch.context() as patch:
        patch.setattr(event_record.EventRecord, "_write", full)
        open_log(directory).close()
    assert read_ids(directory) == ["2", "3", "4", "5"]


def _remove(path):
    path.unlink()


def _replace(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def _cut(path):
    os.truncate(path, 25)


@pytest.mark.parametrize("harm", [_remove, _replace, _cut])
def test_nothing_is_acknowledged_in_a_file_that_a_restart_would_not_find(tmp_path, harm):
    directory = tmp_path / "events"
    with open_log(directory) as log:
        log.append(events(1))
        harm(directory / "_wal-00000001")
        for _ in range(2):
            with pytest.raises(
                EventLogError,
                match=r"_wal-00000001 (is gone: put it|was replaced: put the|has 25 .*: restore the)",
            ):
                log.append(events(2))
    if harm is _replace:
        assert read_ids(directory) == ["1"]
    else:
        assert_refused(directory, "must-have-events")


def test_a_write_ahead_file_that_is_put_back_is_used_again(tmp_path):
    directory = tmp_path / "events"
    with open_log(directory) as log:
        log.append(events(1))
        (directory / "_wal-00000001").rename(tmp_path / "aside")
        with pytest.raises(EventLogError, match="is gone: put it back"):
            log.append(events(2))
        with pytest.raises(EventLogError, match="is missing"):
            log.stats()
        (tmp_path / "aside").rename(directory / "_wal-00000001")
        assert log.append(events(2)).accepted == 1
    assert read_ids(directory) == ["1", "2"]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.just("remove"), st.integers(0, 30)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("copy"), st.just(0)),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_STEPS, st.sampled_from([1, 200, 1 << 20]), st.data())
def test_whatever_file_is_lost_cut_or_older_all_is_there_or_the_loss_is_said(
    tmp_path_factory, steps, segment_bytes, data
):
    root = tmp_path_factory.mktemp("logs")
    directory, copies, kept, last = root / "events", [], [], 0
    log = open_log(directory, segment_bytes=segment_bytes)
    for step, number in steps:
        if step == "append":
            new = [*range(last, last + number)]
            log.append(events(*new))
            kept, last = kept + new, last + number
        elif step == "remove":
            log.remove(Selection(event_ids=[str(number)]))
            kept = [one for one in kept if one != number]
        elif step == "restart":
            log.close()
            log = open_log(directory, segment_bytes=segment_bytes)
        else:
            log._roller.submit(lambda: None).result()
            copies.append(shutil.copytree(directory, root / f"copy{len(copies)}"))
    log._roller.submit(lambda: None).result()
    # As a kill leaves it.
    state = root / "state"
    shutil.copytree(directory, state / "events")
    shutil.copy(record_of(directory), state)
    log.close()
    directory = state / "events"
    assert read_ids(directory) == [*map(str, kept)]
    paths = sorted(
        path for path in directory.iterdir() if path.name != "_lock" and path.name[1:8] != "removal"
    )
    path = data.draw(st.sampled_from(paths))
    harm = data.draw(st.sampled_from(["remove", "cut", "older"]))
    if harm == "cut":
        os.truncate(path, data.draw(st.integers(0, max(0, path.stat().st_size - 1))))
    else:
        path.unlink()
        if harm == "older" and copies:
            old = data.draw(st.sampled_from(copies))
            for one in old.glob(f"*{path.name.split('-')[1]}*"):
                shutil.copy(one, directory)
    for use in (read_ids, lambda at: open_log(at).close() or read_ids(at)):
        with contextlib.suppress(EventLogError):
            assert use(directory) == [*map(str, kept)]


@pytest.mark.parametrize("harm", [harm_empty_directory, shutil.rmtree])
@pytest.mark.parametrize("make_again", [True, False])
def test_what_is_gone_under_an_open_log_is_told_with_and_without_the_record(
    log, monkeypatch, harm, make_again
):
    with open_log(log) as opened:
        harm(log)
        if not make_again:
            monkeypatch.setattr(opened._record, "keep", lambda: None)
        record_of(log).unlink()
        for use in (
            lambda: opened.append(events(1)),
            opened.stats,
            lambda: opened.remove(Selection(event_ids=["1"]), dry_run=True),
            lambda: opened.remove(Selection(event_ids=["1"])),
        ):
            with pytest.raises(
                EventLogError, match=r"missing: _wal-00000001|_wal-00000001 is gone|No such"
            ):
                use()


def test_a_record_that_is_removed_under_an_open_log_is_made_again(log):
    path = record_of(log)
    with open_log(log) as opened:
        for use in (lambda: opened.append(events(2)), opened.stats):
            path.unlink()
            use()
            assert path.exists()
        path.unlink()
    harm_delete(log)
    assert_refused(log, "part 1 of the event log is missing")


def test_a_copy_in_place_of_the_record_does_not_stay(log):
    path, copy = record_of(log), record_of(log).with_name("copy")
    with open_log(log) as opened:
        shutil.copy(path, copy)
        opened.append(events(2))
        os.replace(copy, path)
    assert event_record.read(log).bytes["_wal-00000001"] == (log / "_wal-00000001").stat().st_size
