"""Whatever becomes of the file of runs: what is acknowledged is there for a restart."""

import os
import re
import shutil
import sqlite3
from contextlib import closing, contextmanager

import pytest

from tests.unit.trainer.runs.stores import add, end, ids_of, start
from trainer.errors import DamagedRunError, StateError
from trainer.runs import file as run_file
from trainer.runs import record
from trainer.runs.file import RunFile
from trainer.runs.store import FILE, DamagedRun, RunStore

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def store(tmp_path):
    with closing(RunStore(tmp_path)) as opened:
        yield opened


def edit(directory, sql, *values):
    with closing(sqlite3.connect(directory / FILE)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.executescript(sql) if not values else database.execute(sql, values)
        database.commit()


def refused(path, said, *uses):
    for use in uses:
        with pytest.raises(StateError, match=said) as caught:
            use()
        assert caught.value.path == path
    return str(caught.value)


def ids(directory):
    with closing(RunStore(directory)) as store:
        return ids_of(store)


@contextmanager
def trigger(directory, does):
    edit(directory, f"CREATE TRIGGER t {does}; END;")
    yield
    edit(directory, "DROP TRIGGER t;")


def _copy(directory, *names):
    copy = directory / "copy"
    copy.mkdir()
    for name in names:
        shutil.copy(directory / name, copy)
    return copy


def _replace(directory):
    copy = directory / "copy"
    shutil.copy(directory / FILE, copy)
    os.replace(copy, directory / FILE)


def _garble(directory, *, start=0):
    path = directory / FILE
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * (size - start))


def _copy_over(state):
    with closing(RunStore(state.with_name("other"))) as store:
        for run_id in ("x", "y", "z"):
            add(store, run_id)
    shutil.copy(state.with_name("other") / FILE, state / FILE)


def _copy_older(state):
    """In place, as `cp` does. What it has as queued may have ended since."""
    shutil.copy(state.with_name("older"), state / FILE)


# What is done to a file, what is said, and what is left once that is removed which the message says.
HARMS = {
    "deleted": (lambda at: (at / FILE).unlink(), "is gone", []),
    "moved": (lambda at: at.rename(at.with_name("elsewhere")), "is gone", []),
    "replaced": (_replace, "isn't the file that the service opened", ["b", "a"]),
    "emptied": (lambda at: os.truncate(at / FILE, 0), "is empty", []),
    "garbled": (_garble, "not a database|malformed", []),
    "no table": (lambda at: edit(at, "DROP TABLE runs;"), "has no table 'runs'", []),
    "no column": (lambda at: edit(at, "ALTER TABLE runs DROP COLUMN outcome;"), "no column 'outc", []),
    "newer": (lambda at: edit(at, "PRAGMA user_version = 7;"), "n 7, but this trainer knows 1: up", []),
    "older": (lambda at: edit(at, "PRAGMA user_version = 0;"), "has schema version 0", []),
    "no rows": (lambda at: edit(at, "DELETE FROM runs;"), "has 0 training runs", []),
    "a row less": (lambda at: edit(at, "DELETE FROM runs WHERE id = 'a';"), "has 1 .* number 2", ["b"]),
    "another's": (_copy_over, "is the file of other training runs", ["z", "y", "x"]),
    "older copy": (_copy_older, "has 1 training runs up to number 1, but 2 up to number 2", ["a"]),
}
LACKING = ("no rows", "a row less", "another's", "older copy")


@pytest.mark.parametrize("name", HARMS)
def test_what_no_restart_would_find_is_not_acknowledged_and_no_new_file(tmp_path, name):
    (harm, said, left), state = HARMS[name], tmp_path / "state"
    with closing(RunStore(state)) as store:
        add(store, "a", request_id="r")
        shutil.copy(state / FILE, tmp_path / "older")
        add(store, "b")
        harm(state)
        # And what to do.
        refused(
            state / FILE,
            f"(?s)(?=.*(restore|put it back|put that file back|upgrade)).*({said})",
            lambda: add(store, "c"),
            lambda: add(store, "c", request_id="r"),
            lambda: start(store),
            lambda: store.get("a"),
            lambda: ids_of(store),
            store.check,
            *([] if name in LACKING else [lambda: end(store)]),
        )
    if name not in ("moved", "replaced"):
        files = {path: path.read_bytes() for path in state.iterdir()}
        message = refused(state / FILE, said, lambda: RunStore(state))
        assert {path: path.read_bytes() for path in state.iterdir()} == files
        if name == "newer":
            return
        # As the message says.
        assert f"remove {'' if name in LACKING else 'this file and '}{state / record.NAME}" in message
        (state / record.NAME).unlink()
        if name not in LACKING:
            (state / FILE).unlink(missing_ok=True)
    with closing(RunStore(state)) as store:
        assert add(store, "c").id == "c"
    assert ids(state) == ["c", *left]


def test_damage_behind_the_head_is_seen_before_a_run_is_acknowledged(tmp_path, store):
    """A connection has the pages that it read before, and takes them for what the file has."""
    for number in range(12):
        add(store, f"run{number}")
    _garble(tmp_path, start=100)
    refused(tmp_path / FILE, "damaged|malformed", lambda: add(store, "b"), lambda: RunStore(tmp_path))


@pytest.mark.parametrize("names", [[FILE], [FILE, record.NAME]])
def test_nothing_but_the_file_holds_what_was_acknowledged(tmp_path, store, names, monkeypatch):
    add(store, "a")
    copy = _copy(tmp_path, *names)
    assert ids(copy) == ["a"]
    monkeypatch.setattr(sqlite3, "connect", sqlite3.dbapi2.connect)
    # Committing waits for the disk; with 2, a power cut may bring the last journal back.
    with closing(RunFile(copy)) as file:
        assert file.database.execute("PRAGMA synchronous").fetchone()[0] == 3


def test_a_run_that_can_not_be_read_back_is_taken_out_of_the_queue(tmp_path, store, monkeypatch):
    def fail(*_):
        raise StateError(tmp_path, "disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(RunFile, "confirm", fail)
        with pytest.raises(StateError, match="disk I/O error"):
            add(store, "a")
    assert start(store) is None
    assert add(store, "b").id == "b"


@pytest.mark.parametrize(
    "locks", [["BEGIN EXCLUSIVE"], ["PRAGMA journal_mode = WAL", "SELECT * FROM runs"]]
)
def test_a_file_that_another_process_has_locked_is_named_soon(tmp_path, store, monkeypatch, locks):
    monkeypatch.setattr(run_file, "_PATIENCE_SECONDS", 0.05)
    with closing(RunStore(tmp_path)) as again:
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            for sql in locks:
                other.execute(sql).fetchall()
            refused(tmp_path / FILE, "another process has locked it", lambda: add(again, "a"))
        add(again, "a")


def test_a_log_of_changes_that_another_process_began_is_ended_before_a_run_is_acknowledged(
    tmp_path, store
):
    add(store, "a")
    with closing(RunFile(tmp_path)) as file:
        with closing(sqlite3.connect(tmp_path / FILE)) as other:
            assert other.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        refused(tmp_path / FILE, "changed its journal mode", lambda: file.confirm("a", {}))
    add(store, "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == [record.NAME, FILE]
    copy = _copy(tmp_path, FILE)
    assert ids(copy) == ["b", "a"]


def test_a_file_of_before_the_record_is_taken_as_it_is(tmp_path, store):
    add(store, "a")
    store.close()
    (tmp_path / record.NAME).unlink()
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE runs SET created_at = 5.0")
        crashed = _copy(tmp_path, *(path.name for path in tmp_path.iterdir()))
    assert (crashed / f"{FILE}-wal").stat().st_size
    with closing(RunStore(crashed)) as again:
        assert again.get("a").created_at == 5.0
    assert sorted(path.name for path in crashed.iterdir()) == [record.NAME, FILE]


def test_the_record_of_a_release_before_says_that_there_were_runs_and_nothing_else(tmp_path, store):
    add(store, "a")
    edit(tmp_path, "PRAGMA application_id = 0; DELETE FROM runs;")
    (tmp_path / record.NAME).write_bytes(b"")
    with closing(RunStore(tmp_path)) as store:
        add(store, "b")
    edit(tmp_path, "DELETE FROM runs;")
    refused(tmp_path / FILE, "has 0 training runs", lambda: RunStore(tmp_path))


def test_a_record_is_made_again_that_is_removed_under_the_service_and_a_damaged_one_named(
    tmp_path, store
):
    path = tmp_path / record.NAME
    add(store, "a")
    before = path.read_bytes()
    for use in (lambda: start(store), store.close):
        path.unlink()
        use()
        assert path.read_bytes() == before
    path.write_bytes(before.replace(b'"runs":1', b'"runs":0'))
    refused(path, r"must-have-runs: is damaged.*remove this file", lambda: RunStore(tmp_path))
    path.unlink()
    assert ids(tmp_path) == ["a"]


def test_a_record_that_can_not_be_written_says_less(tmp_path, store, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    add(store, "a")
    with monkeypatch.context() as patch:
        patch.setattr(record, "write_durably", fail)
        add(store, "b")
    add(store, "c")
    edit(tmp_path, "DELETE FROM runs WHERE id = 'b';")
    refused(tmp_path / FILE, "has 2 training runs up to number 3, but 3", lambda: RunStore(tmp_path))


ODD = {
    "state = 'PAUSED'": "state is 'PAUSED'",
    "state = x'00ff'": "state is bytes",
    "created_at = 'yesterday'": "created_at is 'yesterday'",
    "created_at = 9e999": "created_at is inf",
    "ended_at = -1": "ended_at is -1",
    "outcome = 'not JSON'": "outcome: JSON is malformed",
    """outcome = '{"done": 123456789012345678901234567890}'""": "outcome: done is 1234",
    f"outcome = '{'[' * 5000}'": "outcome: is nested too deeply",
    "outcome = cast(x'ff' as text)": "outcome is bytes that aren't text",
    "outcome = 5": "outcome: Expected `object`|outcome is 5",
    "spec = 'not JSON'": "spec: JSON is malformed",
    "request_id = x'00'": "request_id is bytes",
}


def test_rows_that_were_changed_are_named_and_hide_no_other(tmp_path, store):
    first = add(store, "first")
    edits = []
    for number, change in enumerate(ODD):
        add(store, f"odd{number}", request_id=f"request {number}")
        edits.append(f"UPDATE runs SET {change} WHERE id = 'odd{number}';")  # noqa: S608
    last = add(store, "last")
    # All at once: each waits for the disk.
    edit(tmp_path, "\n".join(["BEGIN;", *edits, "COMMIT;"]))
    found = store.page(size=100)
    assert (found[0], found[-1]) == (last, first)
    for number, (change, run) in enumerate(zip(ODD, reversed(found[1:-1]), strict=True)):
        assert isinstance(run, DamagedRun)
        assert run.id == f"odd{number}"
        assert re.search(ODD[change], run.problem), run.problem
        assert f"{tmp_path / FILE}, row {number + 2}: " in run.problem
        with pytest.raises(DamagedRunError, match=f"run '{run.id}': .* row {number + 2}"):
            store.get(run.id)
        if not change.startswith("request_id"):
            with pytest.raises(DamagedRunError):
                add(store, "again", request_id=f"request {number}")
    # The queue, the counts, the metrics and a restart go on.
    assert [start(store) for _ in "123"] == ["first", "last", None]
    end(store, "first", "SUCCEEDED")
    assert store.ended_from(1, size=100)[0][0].id == "first"
    assert store.count()["SUCCEEDED"] == 1
    assert [run.id for run in store.recover(now=4.0)] == ["last"]
    # One that was changed as it ran is ended by a restart, too.
    edit(tmp_path, "UPDATE runs SET state = 'RUNNING', outcome = 'x' WHERE id = 'last';")
    with closing(RunStore(tmp_path)) as again:
        assert len(again.page(size=100)) == len(ODD) + 2
        assert [run.state for run in again.recover(now=3.0)] == ["FAILED"]
        assert f"row {len(ODD) + 2}" in again.get("last").outcome.error


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_beside_it_is_named_and_not_waited_for(tmp_path, store, put):
    add(store, "a")
    odd = tmp_path / f"{FILE}-journal"
    put(odd)
    uses = (lambda: ids_of(store), lambda: add(store, "b"), lambda: RunStore(tmp_path), store.check)
    refused(odd, "should be a regular file", *uses)
    odd.unlink()
    assert ids_of(store) == ["a"]


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
def test_a_table_that_was_made_anew_without_its_constraints_is_refused(tmp_path, store, made, said):
    add(store, "a")
    copied = "" if "VIEW" in made else "INSERT INTO runs SELECT * FROM others;"
    edit(tmp_path, f"ALTER TABLE runs RENAME TO others; {made}; {copied}")
    refused(tmp_path / FILE, said, lambda: start(store), store.check, lambda: RunStore(tmp_path))


@pytest.mark.parametrize("outcome", ["{}", "x"])
@pytest.mark.parametrize(
    "does",
    [
        "SELECT raise(IGNORE)",
        "UPDATE runs SET state = 'QUEUED' WHERE number = new.number",
        "UPDATE runs SET spec = 'x' WHERE number = new.number",
        "DELETE FROM runs WHERE number = new.number",
    ],
)
@pytest.mark.timeout(30)
def test_a_row_that_does_not_change_as_it_should_holds_up_no_other_and_is_kept(
    tmp_path, store, does, outcome
):
    add(store, "a")
    add(store, "b")
    edit(tmp_path, f"UPDATE runs SET outcome = '{outcome}' WHERE id = 'a';")  # noqa: S608
    when = "BEFORE" if "IGNORE" in does else "AFTER"
    with trigger(tmp_path, f"{when} UPDATE ON runs WHEN new.id = 'a' BEGIN {does}"):
        assert start(store) == "b"
        if "spec" not in does or outcome == "{}":
            with pytest.raises(StateError, match=r"row 1: .*remove the triggers"):
                start(store)
        if "DELETE" not in does:
            with pytest.raises(DamagedRunError, match="row 1"):
                end(store)
    if outcome == "{}":
        assert start(store) == "a"


def test_an_id_that_is_no_name_of_a_log_is_odd(tmp_path, store):
    add(store, "a")
    for row, odd in enumerate(("../../evil", "a\0b", "", "a" * 65, b"\xff", "ü"), 2):
        add(store, "b")
        edit(tmp_path, "UPDATE runs SET id = ? WHERE id = 'b'", odd)
        damaged = store.page(size=1)[0]
        assert isinstance(damaged, DamagedRun)
        assert damaged.id == ""
        assert f"row {row}: id is " in damaged.problem
    assert [start(store), start(store)] == ["a", None]


def test_numbers_that_are_used_up_are_no_full_disk(tmp_path, store):
    add(store, "a")
    most = 2**63 - 1
    for change, said in (
        (f"sqlite_sequence SET seq = {most}", "'runs' in the table sqlite_sequence"),
        (f"runs SET number = {most}", f"row {most} has the highest"),
    ):
        edit(tmp_path, f"UPDATE {change}")
        refused(tmp_path / FILE, said, lambda: add(store, "b"))
    assert ids_of(store) == ["a"]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("BEFORE INSERT ON runs BEGIN SELECT raise(IGNORE)", "takes no new row"),
        ("AFTER INSERT ON runs BEGIN DELETE FROM runs", "another row than the one that was written"),
        ("AFTER INSERT ON runs BEGIN UPDATE runs SET spec = spec || ' '", "has another row than the"),
    ],
)
def test_a_row_that_is_not_what_was_written_is_not_acknowledged(tmp_path, store, does, said):
    with trigger(tmp_path, does), pytest.raises(StateError, match=f"{said}.*: remove the triggers"):
        add(store, "a", request_id="r")
    assert ids_of(store) == []
    assert add(store, "a", request_id="r").id == "a"
    # And nor is a run that costs another one its row.
    with trigger(tmp_path, "AFTER INSERT ON runs BEGIN DELETE FROM runs WHERE number < NEW.number"):
        again = [lambda: add(store, "b")] * 2
        refused(tmp_path / FILE, "training runs up to number", *again)


def test_a_file_that_can_not_be_written_has_advice(tmp_path):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    with closing(RunFile(tmp_path)) as file:
        assert "lsattr" in str(file._store_error(error))
