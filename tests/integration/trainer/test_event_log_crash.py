"""Whatever becomes of its writer, an acknowledged event is in the log, and no event is there twice."""

import os
import random
import shutil
import signal
import threading
import time
from collections import defaultdict

import pytest

from tests.integration.disks import fill
from tests.integration.forking import Forker
from tests.integration.trainer.appending import event
from tests.unit.trainer.event_log.logs import on_disk, read_ids, settle
from trainer.event_log.errors import EventLogError
from trainer.event_log.log import Appended, EventLog, Selection

KILLS = 15
PAGE = 4096


@pytest.fixture(scope="module")
def appender():
    with Forker.of("tests.integration.trainer.appending") as running:
        yield running


@pytest.fixture
def acknowledged(tmp_path):
    """The file that the appender notes acknowledged ids in."""
    return tmp_path / "acknowledged"


def noted(acknowledged):
    return acknowledged.read_text().split() if acknowledged.exists() else []


def assert_sound(directory, acknowledged):
    """Each acknowledged event is there once, and those of each thread are in order, without a gap."""
    ids = read_ids(directory)
    assert len(ids) == len(set(ids))
    assert set(noted(acknowledged)) <= set(ids)
    numbers = defaultdict(list)
    for event_id in ids:
        thread, _, number = event_id.rpartition("-")
        numbers[thread].append(int(number))
    assert all(found == [*range(len(found))] for found in numbers.values())
    return ids


def assert_replay_changes_nothing(directory, ids):
    with EventLog(directory, segment_bytes=2000) as log:
        before = log.stats()
        assert before.events == len(ids)
        for start in range(0, len(ids), 1000):
            batch = [event(event_id) for event_id in ids[start : start + 1000]]
            assert log.append(batch) == Appended(0, len(batch))
        assert log.stats().events == before.events
    assert read_ids(directory) == ids


def test_killed_at_random_instants_nothing_acknowledged_is_lost_or_doubled(
    appender, tmp_path, acknowledged
):
    log = tmp_path / "log"
    instants = random.Random(1)  # noqa: S311
    for kill in range(KILLS):
        before = len(noted(acknowledged))
        pid = appender.start(log, acknowledged=str(acknowledged), name=f"{kill}", threads=3)
        while len(noted(acknowledged)) == before:
            time.sleep(0.001)
        time.sleep(instants.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)
        assert appender.wait()["status"] == -signal.SIGKILL
        assert_sound(log, acknowledged)
    ids = assert_sound(log, acknowledged)
    assert {event_id.partition("-")[0] for event_id in ids} == {str(kill) for kill in range(KILLS)}
    assert len([*log.glob("segment-*.parquet")]) > 5
    assert_replay_changes_nothing(log, ids)


def test_killed_at_every_system_call_in_turn_nothing_acknowledged_is_lost_or_doubled(
    appender, tmp_path, acknowledged
):
    """The same directory goes on, so that what clears up after a crash is killed as well."""
    log = tmp_path / "log"
    for call in range(1, 1000):
        outcome = appender.run(
            log, acknowledged=str(acknowledged), name=f"{call}", batches=2, die_at=call, segment_bytes=1
        )
        assert_sound(log, acknowledged)
        if outcome["status"] == 0:
            break
        assert outcome["status"] == -signal.SIGKILL, outcome
    # For each batch at least: its write, and three calls for the next write-ahead file.
    assert call > 2 * 5
    assert [name for name in os.listdir(log) if name.endswith(".tmp")] == []
    assert_replay_changes_nothing(log, assert_sound(log, acknowledged))


def test_killed_at_every_system_call_of_a_removal_it_loses_nothing_else_and_can_be_done_again(
    appender, tmp_path, acknowledged
):
    whole = tmp_path / "whole"
    ids = [f"{number}" for number in range(10)]
    with EventLog(whole, segment_bytes=1) as log:
        for start in (0, 3, 6):
            log.append([event(event_id) for event_id in ids[start : start + 3]])
        settle(log)
    with EventLog(whole, segment_bytes=1 << 20) as log:
        log.append([event(ids[9])])
    users = [f"user {number}" for number in (0, 4, 5, 9)]
    left = [*"123678"]
    for call in range(1, 1000):
        log = tmp_path / f"{call}"
        shutil.copytree(whole, log)
        outcome = appender.run(
            log, acknowledged=str(acknowledged), name="a", batches=0, die_at=call, remove=users
        )
        found = read_ids(log)
        assert [event_id for event_id in found if event_id in left] == left
        assert set(found) <= set(ids)
        if outcome["status"] == 0:
            break
        assert outcome["status"] == -signal.SIGKILL, outcome
        with EventLog(log) as again:
            assert again.stats().events == len(found)
            assert again.remove(Selection(user_ids=users)).events == len(found) - len(left)
        assert read_ids(log) == on_disk(log) == left
        assert [name for name in os.listdir(log) if name.endswith((".tmp", ".new"))] == []
    assert read_ids(log) == on_disk(log) == left
    # For each of four files: its new content, its name and the old one's end.
    assert call > 4 * 4


def test_read_while_events_are_removed_it_has_all_others(tmp_path):
    """The reader lists files that are gone when it opens them."""
    log = tmp_path / "log"
    kept = [f"kept {number}" for number in range(20)]
    with EventLog(log, segment_bytes=1) as writer:
        for number, event_id in enumerate(kept):
            writer.append([event(event_id), event(f"gone {number}")])
        settle(writer)
        done = threading.Event()

        def remove():
            for number in range(20):
                writer.remove(Selection(event_ids=[f"gone {number}"]))
            done.set()

        thread = threading.Thread(target=remove)
        thread.start()
        reads = 0
        while not done.is_set():
            assert [one for one in read_ids(log) if one.startswith("kept")] == kept
            reads += 1
        thread.join()
    assert reads > 1
    assert read_ids(log) == kept


def test_read_while_it_is_written_it_has_all_that_was_acknowledged_and_a_prefix_of_the_rest(
    appender, tmp_path, acknowledged
):
    log = tmp_path / "log"
    pid = appender.start(log, acknowledged=str(acknowledged), name="a", segment_bytes=500)
    lengths = []
    while len(lengths) < 40 or len([*log.glob("segment-*.parquet")]) < 20:
        before = noted(acknowledged)
        ids = read_ids(log)
        assert ids == [f"a-0-{number}" for number in range(len(ids))]
        assert len(ids) >= len(before)
        lengths.append(len(ids))
    os.kill(pid, signal.SIGKILL)
    assert appender.wait()["status"] == -signal.SIGKILL
    assert len(set(lengths)) > 5


def test_a_file_that_may_not_grow_refuses_what_does_not_fit(appender, tmp_path, acknowledged):
    log = tmp_path / "log"
    for limit in (10, 50, 300, 1000, 5000):
        outcome = appender.run(
            log,
            acknowledged=str(acknowledged),
            name=f"{limit}",
            file_limit=limit,
            segment_bytes=1 << 20,
        )
        assert (outcome["status"], outcome["error"]) == (1, "EventLogError")
        assert str(log) in outcome["message"]
        assert "File too large" in outcome["message"]
        assert_sound(log, acknowledged)
    ids = assert_sound(log, acknowledged)
    assert ids == noted(acknowledged)
    assert_replay_changes_nothing(log, ids)


def append_until_refused(log, name):
    """The ids that were acknowledged, and the error that came then."""
    kept = []
    for number in range(100_000):
        batch = [event(f"{name}-{number}-{position}") for position in range(10)]
        try:
            log.append(batch)
        except EventLogError as error:
            return kept, error
        kept += [each.event_id for each in batch]
    raise AssertionError("the disk never ran full")


def test_a_full_disk_is_named_and_appending_goes_on_when_there_is_room(small_disk):
    disk = small_disk()
    directory = disk / "log"
    fill(disk, leave=100_000)
    with EventLog(directory, segment_bytes=20_000) as log:
        kept, error = append_until_refused(log, "first")
        assert str(error).startswith(f"{directory}: can't be written: No space left on device")
        assert len(kept) > 500
        assert read_ids(directory) == kept
        for pages in (0, 1, 2, 3, 5):
            settle(log)
            fill(disk, leave=pages * PAGE)
            more, error = append_until_refused(log, f"{pages}")
            assert "No space left on device" in str(error)
            kept += more
            assert read_ids(directory) == kept
        assert log.stats().events == len(kept)
        # What was refused can be sent again.
        settle(log)
        (disk / "filler").unlink()
        refused = [event(f"5-{len(more) // 10}-{position}") for position in range(10)]
        assert log.append(refused) == Appended(10, 0)
        kept += [each.event_id for each in refused]
        fill(disk, leave=0)
    with EventLog(directory, segment_bytes=20_000) as log:
        assert log.append([event(event_id) for event_id in kept]) == Appended(0, len(kept))
        (disk / "filler").unlink()
        assert log.append([event("last")]) == Appended(1, 0)
    assert read_ids(directory) == [*kept, "last"]


def test_a_read_only_disk_is_named(small_disk):
    directory = small_disk() / "log"
    with EventLog(directory) as log:
        log.append([event("1")])
    small_disk("remount", "ro")
    with pytest.raises(EventLogError, match=f"{directory}.*can't be opened: Read-only file system"):
        EventLog(directory)
    assert read_ids(directory) == ["1"]


def test_on_a_full_disk_a_removal_loses_nothing_and_is_done_when_there_is_room(small_disk):
    disk = small_disk()
    directory = disk / "log"
    ids = [f"{number}" for number in range(3000)]
    with EventLog(directory, segment_bytes=1 << 20) as log:
        log.append([event(event_id) for event_id in ids])
        fill(disk, leave=0)
        with pytest.raises(EventLogError, match="no room is left for another write-ahead file"):
            log.remove(Selection(user_ids=["user 7"]))
        assert read_ids(directory) == ids
        # For the write-ahead file and the mark, and not for the segment.
        (disk / "filler").unlink()
        fill(disk, leave=4 * PAGE)
        with pytest.raises(EventLogError, match=r"0 of 1 events were removed.*No space left"):
            log.remove(Selection(user_ids=["user 7"]))
        assert read_ids(directory) == ids
        (disk / "filler").unlink()
        assert log.remove(Selection(user_ids=["user 7"])).events == 1
        assert log.append([event("last")]) == Appended(1, 0)
    assert read_ids(directory) == [*(one for one in ids if one != "7"), "last"]
