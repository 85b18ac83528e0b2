"""Whatever becomes of the file of runs: what is acknowledged is there for a restart."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
from contextlib import closing

import pytest

from tests import specs
from trainer.errors import DamagedRunError, StateError
from trainer.runs import file as run_file
from trainer.runs import record
from trainer.runs import store as runs
from trainer.runs.store import DamagedRun, Outcome, RunStore

SPEC = specs.spec()


def add(store, run_id="a", *, request_id=""):
    return store.add(run_id, SPEC, request_id=request_id, now=1.0)


def edit(directory, sql, *values):
    """Change the file as somebody else would."""
    with closing(sqlite3.connect(directory / runs.FILE)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.executescript(sql) if not values else database.execute(sql, values)
        database.commit()


def _delete(directory):
    (directory / runs.FILE).unlink()


def _move_directory(directory):
    directory.rename(directory.with_name("elsewhere"))


def _replace(directory):
    copy = directory / "copy"
    shutil.copy(directory / runs.FILE, copy)
    os.replace(copy, directory / runs.FILE)


def _empty(directory):
    os.truncate(directory / runs.FILE, 0)


def _garble(directory):
    with (directory / runs.FILE).open("r+b") as file:
        file.write(os.urandom(8192))


def _garble_all_but_the_head(directory):
    path = directory / runs.FILE
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (size - 100))


def _drop_table(directory):
    edit(directory, "DROP TABLE runs;")


def _drop_column(directory):
    edit(directory, "ALTER TABLE runs DROP COLUMN outcome;")


def _newer_schema(directory):
    edit(directory, "PRAGMA user_version = 7;")


WHILE_OPEN = {
    _delete: "is gone",
    _move_directory: "is gone",
    _replace: "isn't the file that the service opened",
    _empty: "is empty",
    _garble: "not a database|malformed",
    _drop_table: "has no table 'runs'",
    _drop_column: "has no column 'outcome'",
    _newer_schema: "has schema version 7",
}


@pytest.mark.parametrize(("harm", "said"), WHILE_OPEN.items())
def test_what_no_restart_would_find_is_not_acknowledged(tmp_path, harm, said):
    directory = tmp_path / "state"
    with closing(RunStore(directory)) as store:
        add(store, "a", request_id="r")
        harm(directory)
        for use in (
            lambda: add(store, "b"),
            lambda: add(store, "c", request_id="r"),
            lambda: store.start_next(now=2.0),
            lambda: store.end("a", "FAILED", Outcome(), now=2.0),
            store.check,
        ):
            with pytest.raises(StateError, match=said) as caught:
                use()
            assert caught.value.path == directory / runs.FILE
            # What to do.
            assert any(
                word in str(caught.value)
                for word in ("restore", "put it back", "put that back", "upgrade")
            )


def test_damage_behind_the_head_is_seen_before_a_run_is_acknowledged(tmp_path):
    """A connection has the pages that it read before, and takes them for what the file has."""
    with closing(RunStore(tmp_path)) as store:
        for number in range(12):
            add(store, f"run{number}")
        _garble_all_but_the_head(tmp_path)
        with pytest.raises(StateError, match=r"damaged|malformed"):
            add(store, "b")
    with pytest.raises(StateError, match=r"damaged|malformed"):
        RunStore(tmp_path)


def test_a_file_that_is_put_back_is_used_again(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        (tmp_path / runs.FILE).rename(tmp_path / "aside")
        with pytest.raises(StateError, match="is gone"):
            add(store, "b")
        (tmp_path / "aside").rename(tmp_path / runs.FILE)
        add(store, "c")
    with closing(RunStore(tmp_path)) as store:
        assert [run.id for run in store.page(size=10)] == ["c", "a"]


def test_nothing_but_the_file_holds_what_was_acknowledged(tmp_path):
    """So nothing beside it can be lost: no log of changes that is copied into it later."""
    store = RunStore(tmp_path / "state")
    add(store, "a")
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "state" / runs.FILE, copy)
    store.close()
    with closing(RunStore(copy)) as again:
        assert again.get("a").state == "QUEUED"


def test_a_run_that_can_not_be_read_back_is_taken_out_of_the_queue(tmp_path, monkeypatch):
    with closing(RunStore(tmp_path)) as store:

        def fail(*_):
            raise StateError(tmp_path, "disk I/O error")

        monkeypatch.setattr(store._file, "confirm", fail)
        with pytest.raises(StateError, match="disk I/O error"):
            add(store, "a")
        monkeypatch.undo()
        assert store.start_next(now=2.0) is None
        assert add(store, "b").id == "b"


def test_a_file_that_another_process_has_locked_is_named_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(run_file, "_PATIENCE_SECONDS", 0.05)
    with closing(RunStore(tmp_path)) as store:
        with closing(sqlite3.connect(tmp_path / runs.FILE, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StateError, match="another process has locked it"):
                add(store, "a")
            other.execute("ROLLBACK")
        add(store, "a")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_delete, "is gone"),
        (_empty, "is empty"),
        (_garble, "not a database"),
        (_garble_all_but_the_head, "malformed|damaged"),
        (_drop_table, "has no table 'runs'"),
        (_drop_column, "has no column 'outcome'"),
        (_newer_schema, "has schema version 7"),
        (lambda at: edit(at, "PRAGMA user_version = 0;"), "has schema version 0"),
    ],
)
def test_a_file_that_lost_what_it_had_is_no_new_one(tmp_path, harm, said):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
    harm(tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StateError, match=said) as caught:
        RunStore(tmp_path)
    assert caught.value.path == tmp_path / runs.FILE
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    if said == "has schema version 7":
        return
    # As the message says.
    assert f"remove it and {tmp_path / record.NAME}" in str(caught.value)
    (tmp_path / runs.FILE).unlink(missing_ok=True)
    (tmp_path / record.NAME).unlink()
    with closing(RunStore(tmp_path)) as store:
        assert add(store, "b").id == "b"
    with closing(RunStore(tmp_path)) as store:
        assert [run.id for run in store.page(size=10)] == ["b"]


def test_a_file_of_before_the_record_is_taken_as_it_is(tmp_path):
    """With a log of changes beside it, as releases before wrote it."""
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
    (tmp_path / record.NAME).unlink()
    database = sqlite3.connect(tmp_path / runs.FILE, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("UPDATE runs SET created_at = 5.0")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for path in tmp_path.glob(f"{runs.FILE}*"):
        shutil.copy(path, crashed)
    assert (crashed / f"{runs.FILE}-wal").stat().st_size
    database.close()
    with closing(RunStore(crashed)) as store:
        assert store.get("a").created_at == 5.0
    assert sorted(path.name for path in crashed.iterdir()) == [record.NAME, runs.FILE]


def test_an_older_copy_is_taken_once_the_record_is_removed(tmp_path):
    backup, state = tmp_path / "backup", tmp_path / "state"
    with closing(RunStore(state)) as store:
        add(store, "a")
        shutil.copy(state / runs.FILE, backup)
        add(store, "b")
    shutil.copytree(state, tmp_path / "moved")
    shutil.copy(backup, state / runs.FILE)
    with pytest.raises(StateError, match="has 1 training runs up to number 1, but 2 up to") as caught:
        RunStore(state)
    assert f"remove {state / record.NAME}" in str(caught.value)
    assert (state / runs.FILE).read_bytes() == backup.read_bytes()
    (state / record.NAME).unlink()
    with closing(RunStore(state)) as store:
        assert [run.id for run in store.page(size=10)] == ["a"]
        add(store, "c")
    with closing(RunStore(tmp_path / "moved")) as store:
        assert [run.id for run in store.page(size=10)] == ["b", "a"]


def _delete_all(state, _):
    edit(state, "DELETE FROM runs;")


def _delete_one(state, _):
    edit(state, "DELETE FROM runs WHERE id = 'a';")


def _copy_over(state, tmp_path):
    """Another trainer's, with as many runs."""
    with closing(RunStore(tmp_path / "other")) as store:
        for run_id in ("x", "y", "z"):
            add(store, run_id)
    shutil.copy(tmp_path / "other" / runs.FILE, state / runs.FILE)


def _copy_an_older_over(state, tmp_path):
    shutil.copy(tmp_path / "older", state / runs.FILE)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_delete_all, "has 0 training runs"),
        (_delete_one, "has 1 training runs up to number 2"),
        (_copy_over, "is the file of other training runs"),
        (_copy_an_older_over, "has 1 training runs up to number 1"),
    ],
)
def test_acknowledged_runs_that_are_missing_are_named(tmp_path, harm, said):
    state = tmp_path / "state"
    with closing(RunStore(state)) as store:
        add(store, "a", request_id="r")
        shutil.copy(state / runs.FILE, tmp_path / "older")
        add(store, "b")
        harm(state, tmp_path)
        for use in (lambda: add(store, "c"), lambda: add(store, "c", request_id="r"), store.check):
            with pytest.raises(StateError, match=said) as caught:
                use()
            assert caught.value.path == state / runs.FILE
    with pytest.raises(StateError, match=said):
        RunStore(state)
    # As the message says.
    assert f"remove {state / record.NAME}" in str(caught.value)
    (state / record.NAME).unlink()
    with closing(RunStore(state)) as store:
        assert add(store, "c").id == "c"
    with closing(RunStore(state)) as store:
        assert store.get("c").state == "QUEUED"


def test_runs_of_another_trainer_do_not_start(tmp_path):
    state = tmp_path / "state"
    with closing(RunStore(state)) as store:
        add(store, "a")
        _copy_over(state, tmp_path)
        with pytest.raises(StateError, match="is the file of other training runs"):
            store.start_next(now=2.0)


def test_the_record_of_a_release_before_says_that_there_were_runs_and_nothing_else(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
    edit(tmp_path, "PRAGMA application_id = 0; DELETE FROM runs;")
    (tmp_path / record.NAME).write_bytes(b"")
    with closing(RunStore(tmp_path)) as store:
        add(store, "b")
    edit(tmp_path, "DELETE FROM runs;")
    with pytest.raises(StateError, match="has 0 training runs"):
        RunStore(tmp_path)


def test_a_record_that_is_damaged_is_named(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
    path = tmp_path / record.NAME
    path.write_bytes(path.read_bytes().replace(b'"runs":1', b'"runs":0'))
    with pytest.raises(StateError, match=r"must-have-runs: is damaged.*remove this file"):
        RunStore(tmp_path)
    path.unlink()
    RunStore(tmp_path).close()


def test_a_record_that_is_removed_under_the_service_is_made_again(tmp_path):
    path = tmp_path / record.NAME
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        before = path.read_bytes()
        path.unlink()
        assert store.start_next(now=2.0).id == "a"
        assert path.read_bytes() == before
        path.unlink()
    assert path.read_bytes() == before


def test_a_record_that_can_not_be_written_says_less(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        monkeypatch.setattr(record, "write_durably", fail)
        add(store, "b")
        monkeypatch.undo()
        add(store, "c")
    edit(tmp_path, "DELETE FROM runs WHERE id = 'b';")
    with pytest.raises(StateError, match="has 2 training runs up to number 3, but 3"):
        RunStore(tmp_path)


ODD = {
    "state = 'PAUSED'": "state is 'PAUSED'",
    "state = x'00ff'": "state is bytes",
    "created_at = 'yesterday'": "created_at is 'yesterday'",
    "created_at = 9e999": "created_at is inf",
    "created_at = 1e300": "created_at is 1e[+]300",
    "started_at = x'01'": "started_at is bytes",
    "ended_at = -1": "ended_at is -1",
    "outcome = 'not JSON'": "outcome: JSON is malformed",
    "outcome = '[]'": "outcome: Expected `object`",
    """outcome = '{"done": 123456789012345678901234567890}'""": "outcome: done is 1234",
    """outcome = '{"done": "3"}'""": "outcome: Expected `int`",
    f"outcome = '{'[' * 5000}'": "outcome: is nested too deeply",
    "outcome = cast(x'ff' as text)": "outcome is bytes that are no text",
    "outcome = 5": "outcome: Expected `object`|outcome is 5",
    "spec = 'not JSON'": "spec: JSON is malformed",
    "spec = x'00'": "spec is bytes",
    "request_id = x'00'": "request_id is bytes",
}


def test_rows_that_were_changed_are_named_and_hide_no_other(tmp_path):
    changes = [*ODD]
    with closing(RunStore(tmp_path)) as store:
        first = add(store, "first")
        for number in range(len(changes)):
            add(store, f"odd{number}", request_id=f"request {number}")
        last = add(store, "last")
        edits = [
            f"UPDATE runs SET {change} WHERE id = 'odd{number}';"  # noqa: S608
            for number, change in enumerate(changes)
        ]
        # All at once: each waits for the disk.
        edit(tmp_path, "\n".join(["BEGIN;", *edits, "COMMIT;"]))
        found = store.page(size=100)
        assert (found[0], found[-1]) == (last, first)
        for number, (change, run) in enumerate(zip(changes, reversed(found[1:-1]), strict=True)):
            assert isinstance(run, DamagedRun)
            assert run.id == f"odd{number}"
            assert re.search(ODD[change], run.problem), run.problem
            assert f"{tmp_path / runs.FILE}, row {number + 2}: " in run.problem
            with pytest.raises(DamagedRunError, match=f"row {number + 2}") as caught:
                store.get(run.id)
            assert caught.value.run_id == run.id
            if not change.startswith("request_id"):
                with pytest.raises(DamagedRunError):
                    add(store, "again", request_id=f"request {number}")
        # The queue, the counts, the metrics and a restart go on.
        assert [store.start_next(now=2.0).id for _ in "12"] == ["first", "last"]
        assert store.start_next(now=2.0) is None
        store.end("first", "SUCCEEDED", Outcome(), now=3.0)
        assert store.ended_from(1, size=100)[0][0].id == "first"
        assert store.count()["SUCCEEDED"] == 1
        assert [run.id for run in store.recover(now=4.0)] == ["last"]
    with closing(RunStore(tmp_path)) as store:
        assert len(store.page(size=100)) == len(changes) + 2


def test_a_running_row_that_was_changed_is_ended_by_a_restart(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        store.start_next(now=2.0)
        edit(tmp_path, "UPDATE runs SET outcome = 'x';")
    with closing(RunStore(tmp_path)) as store:
        assert [run.state for run in store.recover(now=3.0)] == ["FAILED"]
        assert "row 1" in store.get("a").outcome.error


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    with closing(socket.socket(socket.AF_UNIX)) as made:
        # Its address may be no longer than 107 bytes.
        made.bind(f"/proc/self/cwd/{os.path.relpath(path)}")


def _folder(path):
    path.mkdir()


def _link_to_a_device(path):
    path.symlink_to("/dev/zero")


def _link_to_nothing(path):
    path.symlink_to("nowhere")


@pytest.mark.parametrize("put", [_fifo, _socket, _folder, _link_to_a_device, _link_to_nothing])
@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_what_is_no_file_beside_it_is_named_and_not_waited_for(tmp_path, monkeypatch, put, ending):
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / f"{runs.FILE}{ending}"
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        put(odd)
        for use in (
            lambda: store.page(size=10),
            lambda: add(store, "b"),
            store.check,
            lambda: store._file.confirm("a", {}),
            lambda: RunStore(tmp_path),
        ):
            with pytest.raises(StateError, match=r"should be a regular file|Is a directory") as caught:
                use()
            assert caught.value.path == odd
        odd.rmdir() if put is _folder else odd.unlink()
        assert [run.id for run in store.page(size=10)] == ["a"]


def _use_wal(directory):
    with closing(sqlite3.connect(directory / runs.FILE)) as other:
        assert other.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)


def test_a_log_of_changes_that_another_process_began_is_ended_before_a_run_is_acknowledged(tmp_path):
    state = tmp_path / "state"
    with closing(RunStore(state)) as store:
        add(store, "a")
        _use_wal(state)
        with pytest.raises(StateError, match="changed its journal mode"):
            store._file.confirm("a", {})
        add(store, "b")
        copy = tmp_path / "copy"
        copy.mkdir()
        shutil.copy(state / runs.FILE, copy)
        assert sorted(path.name for path in state.iterdir()) == [record.NAME, runs.FILE]
    with closing(RunStore(copy)) as again:
        assert [run.id for run in again.page(size=10)] == ["b", "a"]


def test_a_log_of_changes_that_is_in_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(run_file, "_PATIENCE_SECONDS", 0.05)
    with closing(RunStore(tmp_path)) as store:
        with closing(sqlite3.connect(tmp_path / runs.FILE, isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("SELECT * FROM runs").fetchall()
            with pytest.raises(StateError, match="another process has locked it"):
                add(store, "a")
        add(store, "a")


COLUMNS = "id, request_id, state, spec, created_at, started_at, ended_at, outcome"
DECLARED = (
    "id TEXT NOT NULL, request_id TEXT, state TEXT NOT NULL, spec TEXT NOT NULL, "
    "created_at REAL NOT NULL, started_at REAL, ended_at REAL, outcome TEXT NOT NULL"
)
REBUILT = {
    f"CREATE TABLE runs (number, {COLUMNS})": "'number' that is of no type, but should be INTEGER",
    f"CREATE TABLE runs (number INTEGER, {DECLARED})": "'number' that is INTEGER, but should be",
    f"CREATE TABLE runs (number INTEGER PRIMARY KEY, {COLUMNS})": "'id' that is of no type",
    f"CREATE TABLE runs (number INTEGER PRIMARY KEY, {DECLARED})": "'id' that isn't UNIQUE",
    "CREATE VIEW runs AS SELECT * FROM others": "'number' that is INTEGER, but should be",
}


@pytest.mark.parametrize(("made", "said"), REBUILT.items())
def test_a_table_that_was_made_anew_without_its_constraints_is_refused(tmp_path, made, said):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        copied = "" if "VIEW" in made else "INSERT INTO runs SELECT * FROM others;"
        edit(tmp_path, f"ALTER TABLE runs RENAME TO others; {made}; {copied}")
        for use in (lambda: store.start_next(now=2.0), store.check, lambda: RunStore(tmp_path)):
            with pytest.raises(StateError, match=said):
                use()


@pytest.mark.parametrize(
    "trigger",
    [
        "BEFORE UPDATE ON runs WHEN old.id = 'a' BEGIN SELECT raise(IGNORE)",
        "AFTER UPDATE ON runs WHEN old.id = 'a' BEGIN UPDATE runs SET state = 'QUEUED' WHERE id = 'a'",
    ],
)
@pytest.mark.parametrize("outcome", ["{}", "x"])
@pytest.mark.timeout(30)
def test_a_row_that_does_not_change_holds_up_no_other_and_is_named(tmp_path, trigger, outcome):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        add(store, "b")
        edit(tmp_path, f"UPDATE runs SET outcome = '{outcome}' WHERE id = 'a';")  # noqa: S608
        edit(tmp_path, f"CREATE TRIGGER t {trigger}; END;")
        assert store.start_next(now=2.0).id == "b"
        for use in (
            lambda: store.start_next(now=2.0),
            lambda: store.end("a", "FAILED", Outcome(), now=3.0),
        ):
            with pytest.raises((StateError, DamagedRunError), match="row 1: "):
                use()
        edit(tmp_path, "DROP TRIGGER t;")
        if outcome == "{}":
            assert store.start_next(now=4.0).id == "a"


@pytest.mark.parametrize("odd", ["../../evil", "a/b", "a\0b", "", "..", "a" * 65, b"\xff", "ü"])
def test_an_id_that_is_no_name_of_a_log_is_odd(tmp_path, odd):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        add(store, "b")
        edit(tmp_path, "UPDATE runs SET id = ? WHERE id = 'a'", odd)
        assert store.start_next(now=2.0).id == "b"
        damaged = store.page(size=10)[1]
        assert isinstance(damaged, DamagedRun)
        assert damaged.id == ""
        assert "row 1: id is " in damaged.problem


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE runs SET number = 9223372036854775807", "row 9223372036854775807 has the highest"),
        ("UPDATE sqlite_sequence SET seq = 9223372036854775807", "'runs' in the table sqlite_sequence"),
    ],
)
def test_numbers_that_are_used_up_are_no_full_disk(tmp_path, change, said):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        edit(tmp_path, change)
        with pytest.raises(StateError, match=said) as caught:
            add(store, "b")
        assert "make room" not in str(caught.value)
        assert [run.id for run in store.page(size=10)] == ["a"]


def test_a_row_that_the_file_does_not_take_is_no_run_that_is_not_there(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        edit(tmp_path, "CREATE TRIGGER t BEFORE INSERT ON runs BEGIN SELECT raise(IGNORE); END;")
        with pytest.raises(StateError, match="takes no new row: remove the triggers"):
            add(store, "a")


@pytest.mark.parametrize(
    "does",
    [
        "DELETE FROM runs",
        "UPDATE runs SET spec = 'x'",
        "UPDATE runs SET spec = spec || ' '",
        "UPDATE runs SET state = 'CANCELLED'",
        "UPDATE runs SET id = 'other'",
        "UPDATE runs SET request_id = 'other'",
        "UPDATE runs SET outcome = 'x'",
    ],
)
def test_a_row_that_is_not_what_was_written_is_not_acknowledged(tmp_path, does):
    with closing(RunStore(tmp_path)) as store:
        edit(tmp_path, f"CREATE TRIGGER t AFTER INSERT ON runs BEGIN {does}; END;")
        with pytest.raises(
            StateError, match=r"has another row than the one that was written.*triggers"
        ):
            add(store, "a", request_id="r")
        edit(tmp_path, "DROP TRIGGER t;")
        assert store.page(size=10) == []
        assert add(store, "a", request_id="r").id == "a"


@pytest.mark.parametrize(
    "does", ["DELETE FROM runs", "UPDATE runs SET spec = 'x'", "UPDATE runs SET id = ''"]
)
def test_a_row_that_goes_or_is_damaged_as_its_run_starts_holds_up_no_other_and_is_kept(tmp_path, does):
    with closing(RunStore(tmp_path)) as store:
        add(store, "a")
        add(store, "b")
        when = "AFTER UPDATE OF state ON runs WHEN new.id = 'a'"
        edit(tmp_path, f"CREATE TRIGGER t {when} BEGIN {does} WHERE number = new.number; END;")
        assert store.start_next(now=2.0).id == "b"
        with pytest.raises(StateError, match=r"row 1: .*remove the triggers"):
            store.start_next(now=2.0)
        edit(tmp_path, "DROP TRIGGER t;")
        assert store.start_next(now=2.0).id == "a"


def test_a_file_that_can_not_be_written_has_advice(tmp_path):
    with closing(RunStore(tmp_path)) as store:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        assert "lsattr" in str(store._file._store_error(error))
