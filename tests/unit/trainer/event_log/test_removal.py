"""Events are removed from the disk, whatever file they are in, and nothing else is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.files import durable
from tests.unit.trainer.event_log.logs import (
    SECONDS,
    damage,
    full,
    on_disk,
    open_log,
    read_ids,
    segments,
    settle,
)
from trainer.errors import InputError
from trainer.event_log import files as event_files
from trainer.event_log import removal
from trainer.event_log import segments as event_segments
from trainer.event_log.errors import EventLogError, InvalidSelectionError
from trainer.event_log.log import Appended, Event, Selection, read_interactions
from trainer.event_log.reading import stored_events

OF_A = Selection(user_ids=["a"])
LEFT = ["b0", "b1", "b2"]

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def event(event_id, user="u", item="i", weight=1.0, ago=0.0):
    return Event(str(event_id), user, item, "view", weight, SECONDS - ago)


@pytest.fixture
def log(tmp_path):
    with open_log(tmp_path, segment_bytes=1) as log:
        for number in range(2):
            log.append([event(f"a{number}", "a"), event(f"b{number}", "b")])
        settle(log)
    with open_log(tmp_path) as log:
        log.append([event("a2", "a", item="only-a-knows"), event("b2", "b", item="only-b-knows")])
        assert len(segments(tmp_path)) == 2
        yield log


def test_all_events_of_a_user_are_gone_from_every_file(tmp_path, log):
    assert [log.remove(OF_A).events for _ in "12"] == [3, 0]
    log.close()
    assert read_ids(tmp_path) == on_disk(tmp_path) == LEFT
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    # Long enough to be there by chance in no file.
    assert b"only-a-knows" not in content
    assert b"only-b-knows" in content


@pytest.mark.parametrize(
    ("selected", "left"),
    [
        ({"event_ids": ["1", "4", "none"]}, "23"),
        ({"user_ids": ["a", "c"]}, "2"),
        ({"user_ids": ["a"], "item_ids": ["x"]}, "234"),
        ({"happened_from": SECONDS - 20}, "14"),
        ({"happened_before": SECONDS - 20}, "23"),
        ({"min_weight": 2.0, "max_weight": 2.0}, "134"),
        ({"user_ids": ["a"], "event_ids": ["2"]}, "1234"),
    ],
)
def test_an_event_goes_that_meets_all_that_is_given(tmp_path, selected, left):
    rows = [("a", "x", 1.0, 30), ("b", "x", 2.0, 20), ("a", "y", 3.0, 10), ("c", "z", 1e9, 40)]
    with open_log(tmp_path) as log:
        log.append([event(number, *row) for number, row in enumerate(rows, 1)])
        only = log.remove(Selection(**selected), dry_run=True)
        assert read_ids(tmp_path) == [*"1234"]
        assert log.remove(Selection(**selected)) == only
        assert only.events == 4 - len(left)
        assert read_ids(tmp_path) == [*left]


def test_what_would_be_removed_is_shown_with_examples(tmp_path):
    made = [
        event(number, f"u{number % 3}", f"i{number}", 2.0**number, ago=number) for number in range(30)
    ]
    with open_log(tmp_path, segment_bytes=1000) as log:
        for one in made:
            log.append([one])
        found = log.remove(Selection(item_ids=[one.item_id for one in made[4:]]), dry_run=True)
        assert (found.events, found.users, found.items) == (26, 3, 26)
        assert (found.oldest, found.newest) == (SECONDS - 29, SECONDS - 4)
        assert (found.min_weight, found.max_weight) == (16.0, 2.0**29)
        assert found.examples == made[4:14]
        assert log.remove(Selection(user_ids=["nobody"]), dry_run=True) == removal.Removed()


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        # Sent again without a time, it has another one: it mustn't come to light.
        (Selection(happened_before=SECONDS - 500), ["0", "1", "2", "3"]),
        # A copy alone leaves the event that was first.
        (Selection(user_ids=["second"]), ["e", "0", "1", "2", "3"]),
    ],
)
def test_a_copy_that_came_too_late_to_be_recognised_goes_with_its_event(tmp_path, selection, left):
    with open_log(tmp_path, recent_ids=1, segment_bytes=1) as log:
        log.append([event("e", "first", ago=1000)])
        for number in range(4):
            log.append([event(number, "other", ago=1)])
        assert log.append([event("e", "second", ago=0)]) == Appended(1, 0)
        assert log.remove(selection).events == 6 - len(left)
        assert on_disk(tmp_path) == left


def test_a_log_whose_every_event_was_removed_says_so(tmp_path, log, monkeypatch):
    # Its ids are forgotten in turns.
    monkeypatch.setattr("trainer.event_log.log._FORGOTTEN", 4)
    everything = Selection(happened_from=0.0)
    assert log.remove(everything).events == 6
    with pytest.raises(InputError, match="no interactions were appended yet, or all were removed"):
        read_interactions(tmp_path)
    assert stored_events(tmp_path) == log.stats().events == log.remove(everything).events == 0
    assert log.append([event("a0", "a"), event("b2", "b")]) == Appended(2, 0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.integers(1, 5)), max_size=4)
        | st.fixed_dictionaries({"user_ids": st.lists(st.sampled_from("abc"), min_size=1, max_size=2)})
        | st.fixed_dictionaries({"happened_before": st.sampled_from([SECONDS - 3, SECONDS - 1])})
        | st.just("restart"),
        max_size=12,
    ),
    st.sampled_from([1, 300, 1 << 20]),
)
def test_any_appends_and_removals_leave_what_a_list_would_have(tmp_path_factory, steps, segment_bytes):
    directory = tmp_path_factory.mktemp("log")
    log = open_log(directory, segment_bytes=segment_bytes)
    expected = {}
    for step in steps:
        if step == "restart":
            log.close()
            log = open_log(directory, segment_bytes=segment_bytes)
        elif isinstance(step, dict):
            users, before = step.get("user_ids", ()), step.get("happened_before", 0)
            left = {
                event_id: one
                for event_id, one in expected.items()
                if one.user_id not in users and one.timestamp >= before
            }
            assert log.remove(Selection(**step)).events == len(expected) - len(left)
            expected = left
        else:
            batch = [event(number, user, ago=ago) for number, user, ago in step]
            for one in batch:
                expected.setdefault(one.event_id, one)
            log.append(batch)
        assert log.stats().events == len(expected)
    log.close()
    assert read_ids(directory) == on_disk(directory) == [*expected]


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({}, "event_ids", "nothing is selected"),
        ({"user_ids": ["a", ""]}, "user_ids", "has an empty id"),
        ({"user_ids": ["a", "é" * 257]}, "user_ids[1]", "has 514 bytes of UTF-8, .* at most 512"),
        (
            {"user_ids": ["a"] * 9_000, "item_ids": ["b"] * 1_001},
            "item_ids",
            "brings the request to 10001 ids",
        ),
        ({"happened_from": 2.0, "happened_before": 2.0}, "happened_from", "is 2.0, .* be below"),
        ({"min_weight": 2.0, "max_weight": 1.0}, "min_weight", "is 2.0, .* be below max_weight"),
        ({"max_weight": float("inf")}, "max_weight", "is inf, which isn't finite"),
    ],
)
def test_a_selection_that_can_not_be_meant_is_refused(fields, field, reason):
    with pytest.raises(InvalidSelectionError, match=reason) as caught:
        Selection(**fields)
    assert caught.value.field == field


def test_readers_find_a_file_that_lost_events_or_became_a_segment_since_they_listed_it(
    tmp_path, log, monkeypatch
):
    before = event_files.list_files(tmp_path)
    log.remove(OF_A)
    monkeypatch.setattr("trainer.event_log.listing.list_kept", lambda _: before)
    assert read_ids(tmp_path) == LEFT
    assert stored_events(tmp_path) == 3


def test_a_reader_between_two_steps_of_a_removal_sees_the_new_file(tmp_path, log, monkeypatch):
    """The old one is there at first, and then neither has its final name."""
    names, counts = [], []

    def look(_):
        names.append(sorted(path.suffix for path in tmp_path.glob("*segment-00000001*")))
        counts.append(len(read_ids(tmp_path)))

    for module in (event_files, durable):
        monkeypatch.setattr(module, "fsync_directory", look)
    log.remove(Selection(event_ids=["a0"]))
    assert [".new", ".parquet"] in names
    assert [".new"] in names
    assert {*counts} == {5, 6}
    assert counts == sorted(counts, reverse=True)


def test_what_a_crash_in_a_removal_leaves_is_ended_at_the_next_start(tmp_path, log, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("trainer.event_log.files._succeed", lambda _: None)
        log.remove(OF_A)
    log.close()
    assert read_ids(tmp_path) == LEFT
    open_log(tmp_path).close()
    assert (on_disk(tmp_path), [*tmp_path.glob("*.new")]) == (LEFT, [])


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_on_a_full_disk_what_is_not_removed_stays_and_it_can_be_done_again(
    tmp_path, log, monkeypatch, writes
):
    original, left = durable.write_durably, iter(range(writes))

    def write(*arguments):
        return full() if next(left, None) is None else original(*arguments)

    gone = max(0, writes - 1)
    with monkeypatch.context() as patch:
        for module in (event_segments, event_files):
            patch.setattr(module, "write_durably", write)
        with pytest.raises(EventLogError, match=rf"{gone} of 3 events were removed.*No space left"):
            log.remove(OF_A)
        assert len(read_ids(tmp_path)) == log.stats().events == 6 - gone
    assert log.remove(OF_A).events == 3 - gone
    log.close()
    assert read_ids(tmp_path) == on_disk(tmp_path) == LEFT


def test_what_keeps_events_from_being_removed_is_named(tmp_path, log, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("trainer.event_log.tail.WriteAheadFile.create", full)
        with pytest.raises(EventLogError, match="no room is left for another write-ahead file"):
            log.remove(OF_A)
    assert len(read_ids(tmp_path)) == 6
    (tmp_path / "_removals").mkdir()
    with pytest.raises(EventLogError, match=rf"0 of 3 events were removed.*{tmp_path}/_removals"):
        log.remove(OF_A)


def test_appends_go_on_while_events_are_removed(tmp_path, log, monkeypatch):
    appended, original = [], event_files.replace

    def slow(*arguments):
        if not appended:
            appended.append(log.append([event("a9", "a"), event("b9", "b")]))
        return original(*arguments)

    monkeypatch.setattr(event_files, "replace", slow)
    assert log.remove(OF_A).events == 3
    assert appended == [Appended(2, 0)]
    assert log.stats().events == 5
    assert read_ids(tmp_path) == [*LEFT, "a9", "b9"]


def test_a_damaged_file_is_named_before_anything_is_removed(tmp_path, log):
    path = segments(tmp_path)[0]
    damage(path, 20)
    with pytest.raises(EventLogError, match=f"{path}: is damaged"):
        log.remove(OF_A)
    log.close()
    lost = path.rename(tmp_path / "segment-00000001.lost")
    assert read_ids(tmp_path) == ["a1", "b1", "a2", "b2"]
    with open_log(tmp_path) as again:
        removed = again.remove(OF_A)
    assert removed.events == 2
    said = f"{lost} was given up, so its {lost.stat().st_size} bytes weren't searched"
    assert said in removed.warnings[0]
