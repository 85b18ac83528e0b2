"""`remove-events` on the log of a service that is stopped."""

import json
import shutil
from argparse import Namespace

import pytest

from trainer.__main__ import main
from trainer.cli.removal_command import show
from trainer.event_log.log import Event, EventLog, Removed, read_interactions


@pytest.fixture
def log(tmp_path):
    """Three events of two users, one of a clock that is wrong and one of a weight that is."""
    directory = tmp_path / "volume.trainer" / "events"
    ann = Event("1", "ann", "x", "view", 1.0, 1767225600.0)
    heavy = Event("2", "ann", "y", "", 1e8, 1767225601.0)
    with EventLog(directory) as log:
        log.append([ann, heavy, Event("3", "bob", "x", "buy", 2.0, 31536007.0)])
    return directory


@pytest.fixture
def call(capsys, tmp_path):
    """Run the command; returns its status, and what it printed where."""

    def call(*arguments, where=("--volume", tmp_path / "volume")):
        status = main(["remove-events", *map(str, (*where, *arguments))])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_a_user_is_removed_beside_the_volume_or_where_the_state_is(call, log):
    told = "events were removed: of 1 users, with {} items, weights {}, {}\n"
    times = "2026-01-01T00:00:00Z to 2026-01-01T00:00:01Z"
    assert call("--user", "ann") == (0, "2 " + told.format(2, "1 to 1e+08", times), "")
    assert read_interactions(log).user_ids == ["bob"]
    status, shown, _ = call("--user", "bob", where=["--state", log.parent])
    assert (status, shown.partition(":")[0]) == (0, "1 events were removed")
    assert call("--user", "bob") == (0, "0 events were removed\n", "")


def test_a_dry_run_shows_what_looks_wrong_and_removes_nothing(call, log):
    status, shown, _ = call("--to", "2000-01-01", "--dry-run")
    time = "1971-01-01T00:00:07Z"
    assert status == 0
    assert shown.splitlines() == [
        f"1 events would be removed: of 1 users, with 1 items, weights 2 to 2, {time} to {time}",
        f"  '3': user 'bob', item 'x', 'buy' weight 2, {time}",
    ]
    assert "'2': user 'ann', item 'y', weight 1e+08" in call("--min-weight", "1000", "--dry-run")[1]
    assert call("--user", "nobody", "--dry-run")[1] == "0 events would be removed\n"
    assert len(read_interactions(log)) == 3


def test_what_is_removed_may_be_of_no_year_that_there_is(capsys):
    for time in (3e11, float("inf"), float("nan")):
        ones = dict.fromkeys(("events", "users", "items", "min_weight", "max_weight"), 1)
        show(Removed(**ones, oldest=time, newest=time), Namespace(json=False, dry_run=False))
        assert f"to {time:g} s after 1970" in capsys.readouterr().out


def test_what_is_more_than_can_be_shown_or_searched_is_told(call, log):
    with EventLog(log) as opened:
        opened.append([Event(f"many {number}", "cy", "x") for number in range(1012)])
    assert call("--user", "cy", "--dry-run")[1].endswith("  ... and 1,002 more\n")
    (log / "segment-00000002.lost").write_bytes(b"damaged")
    _, _, errors = call("--user", "ann")
    assert errors.startswith(
        f"warning: {log}/segment-00000002.lost was given up, so its 7 bytes weren't searched"
    )


def test_the_result_is_json_for_machines(call, log):
    found = json.loads(call("--item", "x", "--user", "ann", "--json", "--dry-run")[1])
    assert (found["events"], found["dry_run"], found["oldest"]) == (1, True, 1767225600.0)
    assert found["examples"][0]["event_id"] == "1"
    assert json.loads(call("--event-id", "1", "--event-id", "3", "--json")[1])["events"] == 2
    assert read_interactions(log).item_ids == ["y"]


def test_a_log_that_is_in_use_lost_or_not_there_is_named(call, log, tmp_path):
    with EventLog(log):
        said = f"error: {log}: another process writes to this event log\n"
        assert call("--user", "ann") == (1, "", said)
    missing = tmp_path / "none"
    said = f"error: {missing}/events: there is no event log here\n"
    assert call("--user", "ann", where=["--state", missing]) == (1, "", said)
    assert not missing.exists()
    # One that was lost isn't taken for an empty one.
    shutil.rmtree(log)
    left = sorted(log.parent.rglob("*"))
    assert "part 1 of the event log is missing" in call("--user", "ann")[2]
    assert sorted(log.parent.rglob("*")) == left


def test_flags_that_can_not_be_meant_are_refused(call, log, capsys):
    never = ("--from", "2026-01-02", "--to", "2026-01-01")
    same = ("--from", "2026-01-01", "--to", "1767225600")
    before = "T00:00:00Z, but should be before --to, which is 2026-01-01T00:00:00Z"
    for given, said in (
        (
            (),
            "nothing is selected: give --event-id, --user, --item, --from, --to, --min-weight or --max",
        ),
        (never, f"--from is 2026-01-02{before}"),
        (same, f"--from is 2026-01-01{before}"),
        (("--user", ""), "--user has an empty id, which no event has"),
    ):
        status, _, errors = call(*given)
        assert (status, said in errors) == (2, True)
    # As seconds since 1970 each of these would select all that there is.
    for time in ("20260115", "46022"):
        status, _, errors = call("--from", time)
        assert (status, f"--from is '{time}': it would be 1970-" in errors) == (2, True)
    assert len(read_interactions(log)) == 3
