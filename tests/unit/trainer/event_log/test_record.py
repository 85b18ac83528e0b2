"""What a log had is there, or its loss is said: the record of the files that it must have."""

import contextlib
import os
import shutil
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer_service import wait_until
from tests.unit.trainer.event_log.logs import (
    assert_refused,
    events,
    full,
    open_log,
    read_ids,
    rolled,
    settle,
)
from trainer.event_log import files as event_files
from trainer.event_log import record as event_record
from trainer.event_log import write_ahead
from trainer.event_log.errors import EventLogError
from trainer.event_log.log import Selection
from trainer.event_log.reading import stored_events

WAL = "_wal-00000001"

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk", "looks_at_each_append")


@pytest.fixture(scope="module")
def looks_at_each_append():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_ahead, "_LOOK_SECONDS", 0.0)
        patch.setattr(event_record, "_NOTE_SECONDS", 0.0)
        yield


def made(directory, count, *, segment_bytes=1):
    rolled(directory, *([number] for number in range(1, count + 1)), segment_bytes=segment_bytes)
    return directory


@pytest.fixture
def log(tmp_path):
    return made(tmp_path / "events", 1, segment_bytes=1 << 20)


def record_of(directory):
    return directory.with_name(f"must-have-{directory.name}")


def size_noted(directory, name=WAL):
    return event_record.read(directory).bytes[name]


def as_a_kill_leaves_it(directory, state):
    shutil.copytree(directory, state / directory.name)
    shutil.copy(record_of(directory), state)
    return state / directory.name


def empty(directory):
    for path in directory.iterdir():
        path.unlink()


def overwrite(directory, end=b""):
    """Write the file anew, with another end or as it is."""
    content = (directory / WAL).read_bytes()
    (directory / WAL).unlink()
    (directory / WAL).write_bytes(content[: len(content) - len(end)] + end)


GONE = r"part 1 of the event log is missing: _wal-00000001.*remove .*must-have-events"
LESS = r"is damaged \(\d+ bytes of it are valid, but \d+ were before\).*segment-00000001.lost"
CUT = "it was cut|is damaged"
HARMS = {
    "deleted": (lambda at: (at / WAL).unlink(), GONE),
    "emptied": (empty, GONE),
    "removed": (shutil.rmtree, GONE),
    "overwritten": (lambda at: overwrite(at, b"abc"), LESS),
    "cut short": (lambda at: os.truncate(at / WAL, size_noted(at) - 1), CUT),
}


@pytest.mark.parametrize(("harm", "said"), HARMS.values(), ids=HARMS)
def test_a_log_that_lost_something_is_no_new_one_and_can_be_given_up(log, harm, said):
    harm(log)
    assert_refused(log, said)
    if said is GONE:
        # As the message says.
        record_of(log).unlink()
    else:
        (log / WAL).rename(log / "segment-00000001.lost")
    rolled(log, [5])
    assert read_ids(log) == ["5"]


def test_older_copies_are_noticed(tmp_path):
    directory = made(tmp_path / "events", 2)
    copy = shutil.copytree(directory, tmp_path / "copy")
    with open_log(directory, segment_bytes=1) as log:
        log.append(events(3))
        settle(log)
        log.remove(Selection(event_ids=["1"]))
    shutil.rmtree(directory)
    shutil.copytree(copy, directory)
    assert_refused(directory, "must-have-events")
    # One segment alone: what was removed would be back.
    record_of(directory).unlink()
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
    moved = as_a_kill_leaves_it(directory, tmp_path / "with the record")
    alone = shutil.copytree(directory, tmp_path / "alone" / "events")
    for own in (moved, alone):
        with open_log(own) as log:
            assert log.append(events(3, 4)).accepted == 1
        assert read_ids(own) == ["1", "2", "3", "4"]


def test_what_is_noted_of_the_last_file_stays_when_the_record_is_written_anew(tmp_path):
    directory, last = made(tmp_path / "events", 2), "_wal-00000003"
    with open_log(directory) as log:
        log.append(events(3))
        for _ in range(2):
            assert size_noted(directory, last) == (directory / last).stat().st_size
            log.remove(Selection(event_ids=["1"]))


def test_the_last_of_appends_that_come_quickly_is_noted_too(tmp_path, monkeypatch):
    monkeypatch.setattr(event_record, "_NOTE_SECONDS", 0.1)
    directory = tmp_path / "events"
    with open_log(directory) as log:
        for turn in range(2):
            log.append(events(turn, "a"))
            first = (directory / WAL).stat().st_size
            for own in range(3):
                log.append(events(f"{turn} {own}"))
            wait_until(lambda: size_noted(directory) == (directory / WAL).stat().st_size)
        state = as_a_kill_leaves_it(directory, tmp_path / "state")
    os.truncate(state / WAL, first)
    assert_refused(state, CUT)


def test_an_append_is_noted_at_once_where_no_thread_can_be_had(log, monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(event_record, "_NOTE_SECONDS", 3600.0)
    with open_log(log) as opened:
        opened.append(events(1))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none_left)
            opened.append(events(2))
        assert size_noted(log) == (log / WAL).stat().st_size


def test_a_damaged_record_is_named_and_a_torn_last_line_of_it_counts_for_nothing(log):
    path = record_of(log)
    head, tail = path.read_bytes().split(b"\n", 1)
    for torn in (*(tail[:left] for left in range(len(tail))), tail.replace(b"0", b"9")):
        path.write_bytes(head + b"\n" + torn)
        assert read_ids(log) == ["1"]
    for content in (b"", b"LFMUST1 00000000 {}\n", b"other\n", bytes(range(128, 178))):
        path.write_bytes(content)
        assert_refused(log, "must-have-events: is damaged.*remove this file")
    path.unlink()
    assert read_ids(log) == ["1"]


def test_a_record_that_says_less_than_there_is_is_no_problem(tmp_path):
    directory, older = tmp_path / "events", []
    with open_log(directory, segment_bytes=1) as log:
        for number in range(4):
            older.append(record_of(directory).read_bytes())
            log.append(events(number))
            settle(log)
    for content in older:
        record_of(directory).write_bytes(content)
        assert read_ids(directory) == ["0", "1", "2", "3"]
        open_log(directory).close()


def test_a_file_that_becomes_a_segment_before_the_next_one_is_noted_is_not_taken_for_cut(
    tmp_path, monkeypatch
):
    """The thread that makes segments sees that a file is followed before the record says so."""
    directory, add = tmp_path / "events", event_record.EventRecord.add

    def late(self, *arguments, **options):
        event_files.roll(directory, self)
        add(self, *arguments, **options)

    with open_log(directory, segment_bytes=1) as log:
        settle(log)
        monkeypatch.setattr(event_record.EventRecord, "add", late)
        log.append(events(*range(500)))
        settle(log)
    assert stored_events(directory) == 500


def test_a_record_that_can_not_be_written_refuses_nothing(tmp_path, monkeypatch, caplog):
    directory = made(tmp_path / "events", 2)
    with open_log(directory, segment_bytes=1) as log:
        with monkeypatch.context() as patch:
            patch.setattr(event_record.EventRecord, "_write", full)
            log.append(events(3))
            settle(log)
            with pytest.raises(EventLogError, match=r"0 of 1 events were removed.*No space left"):
                log.remove(Selection(event_ids=["1"]))
            assert read_ids(directory) == ["1", "2", "3"]
        assert "can't be recorded" in caplog.text
        assert log.append(events(4)).accepted == 1
        settle(log)
        assert log.remove(Selection(event_ids=["1"])).events == 1
        monkeypatch.setattr(event_record.EventRecord, "_write", full)
        log.append(events(5))
    open_log(directory).close()
    assert read_ids(directory) == ["2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("harm", "said", "refusal"),
    [
        (lambda at: (at / WAL).rename(at / "_aside"), "is gone: put it", GONE),
        (lambda at: os.truncate(at / WAL, 25), "has 25 .*: restore the", CUT),
        (overwrite, "was replaced: put the", None),
    ],
)
def test_nothing_is_acknowledged_in_a_file_that_a_restart_would_not_find(log, harm, said, refusal):
    with open_log(log) as opened:
        harm(log)
        for _ in range(2):
            with pytest.raises(EventLogError, match=f"{WAL} {said}"):
                opened.append(events(2))
        if refusal is not None:
            assert_refused(log, refusal)
        if (aside := log / "_aside").exists():
            aside.rename(log / WAL)
            assert opened.append(events(2)).accepted == 1
            assert read_ids(log) == ["1", "2"]


_STEP = (
    st.tuples(st.just("append"), st.integers(1, 4))
    | st.tuples(st.just("remove"), st.integers(0, 30))
    | st.tuples(st.sampled_from(["restart", "copy"]), st.just(0))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, min_size=1, max_size=12), st.sampled_from([1, 200, 1 << 20]), st.data())
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
            settle(log)
            copies.append(shutil.copytree(directory, root / f"copy{len(copies)}"))
    settle(log)
    state = as_a_kill_leaves_it(directory, root / "state")
    log.close()
    assert read_ids(state) == [*map(str, kept)]
    paths = [path for path in state.iterdir() if path.name not in ("_lock", "_removals")]
    path = data.draw(st.sampled_from(sorted(paths)))
    harm = data.draw(st.sampled_from(["remove", "cut", "older"]))
    if harm == "cut":
        os.truncate(path, data.draw(st.integers(0, max(0, path.stat().st_size - 1))))
    else:
        path.unlink()
        if harm == "older" and copies:
            old = data.draw(st.sampled_from(copies))
            for one in old.glob(f"*{path.name.split('-')[1]}*"):
                shutil.copy(one, state)
    for use in (read_ids, lambda at: open_log(at).close() or read_ids(at)):
        with contextlib.suppress(EventLogError):
            assert use(state) == [*map(str, kept)]


@pytest.mark.parametrize("harm", [empty, shutil.rmtree])
@pytest.mark.parametrize("make_again", [True, False])
def test_what_is_gone_under_an_open_log_is_told_with_and_without_the_record(
    log, monkeypatch, harm, make_again
):
    with open_log(log) as opened:
        harm(log)
        if not make_again:
            monkeypatch.setattr(event_record.EventRecord, "keep", lambda _: None)
        record_of(log).unlink()
        for use in (
            lambda: opened.append(events(1)),
            opened.stats,
            lambda: opened.remove(Selection(event_ids=["1"]), dry_run=True),
            lambda: opened.remove(Selection(event_ids=["1"])),
        ):
            with pytest.raises(EventLogError, match=r"missing: _wal-0+1|_wal-0+1 is gone|No such"):
                use()


def test_a_record_that_is_removed_under_an_open_log_is_made_again(log):
    path = record_of(log)
    with open_log(log) as opened:
        for use in (lambda: opened.append(events(2)), opened.stats, opened.close):
            path.unlink()
            use()
            assert path.exists()
    # A copy in its place doesn't stay.
    copy = path.with_name("copy")
    with open_log(log) as opened:
        shutil.copy(path, copy)
        opened.append(events(3))
        os.replace(copy, path)
    assert size_noted(log) == (log / WAL).stat().st_size
    (log / WAL).unlink()
    assert_refused(log, "part 1 of the event log is missing")
