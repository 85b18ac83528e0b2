"""Queries of a real SQLite, and what any database is refused for."""

import re
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pytest

from tests.datasets import weighed_pairs
from trainer.data.databases import sql
from trainer.data.databases import url as database_url
from trainer.data.databases.sql import SqlError, read_interactions_sql
from trainer.errors import ExtraMissingError, InputError

ALL = "SELECT * FROM events"
NEW_YEAR = 1_767_225_600.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a b?.db"


def fill(path, columns, rows):
    """A table `events`, whose columns may be declared with types; returns the address."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE events ({columns})")
        marks = ", ".join("?" * len(columns.split(",")))
        connection.executemany(f"INSERT INTO events VALUES ({marks})", rows)  # noqa: S608
    return database_url.sqlite_url(path)


def contents(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_sqlite_gives_what_a_file_would(path):
    url = fill(
        path,
        "user_id INTEGER, item_id TEXT, weight REAL, timestamp TEXT, event TEXT, other BLOB",
        [
            (7, "東京", 2.5, "2026-01-01 00:00:00", "buy", b"\0"),
            (-1, "a b/c", -1, "2026-01-01T01:00:01+01:00", None, None),
        ],
    )
    read = read_interactions_sql(ALL, url)
    assert weighed_pairs(read) == [("7", "東京", 2.5), ("-1", "a b/c", -1.0)]
    assert read.timestamps.tolist() == [NEW_YEAR, NEW_YEAR + 1]
    assert (read.event_types, read.events.tolist()) == (["buy", ""], [0, 1])
    assert read.name == "a b?.db"
    five = "SELECT user_id, item_id, iif(weight < 0, 'five', weight) AS weight FROM events"
    with pytest.raises(InputError, match=r"^--interactions-sql, row 2: weight is 'five', which isn't"):
        read_interactions_sql(five, url)


@pytest.mark.parametrize(
    "query",
    [
        "select user_id, item_id from events order by 1;\n",
        "-- all of it; really\n/* DELETE */ SELECT user_id, item_id FROM events ORDER BY 1 -- done",
        "WITH e AS (SELECT * FROM events) SELECT user_id, item_id FROM e ORDER BY 1",
    ],
)
def test_ways_to_write_a_query(path, query):
    url = fill(path, "user_id, item_id", [(2, "a"), (1, "b")])
    assert weighed_pairs(read_interactions_sql(query, url)) == [("1", "b", 1.0), ("2", "a", 1.0)]
    with pytest.raises(InputError, match="column user_id, item_id is missing; the columns are: col"):
        read_interactions_sql("VALUES (1, 'b')", url)


def test_a_large_result_is_read_in_batches(path):
    url = fill(path, "user_id, item_id", ((n % 997, f"i{n % 101}") for n in range(150_000)))
    chunks = sql.read_result(ALL, url).column("user_id").chunks
    assert [*map(len, chunks)] == [65_536, 65_536, 150_000 - 2 * 65_536]


@pytest.mark.parametrize(("early", "late"), [(None, "2.5"), (1, "2.5"), (1.5, "2.5"), (1, 2**29 + 0.5)])
def test_a_type_that_changes_after_the_first_batch_is_no_error(path, early, late):
    filler = [("u", "i", early or 1)] * 70_000 if early else [("u", "i", 1)]
    url = fill(path, "user_id, item_id, weight", [*filler, ("007", "i", late)])
    read = read_interactions_sql(ALL, url)
    assert weighed_pairs(read)[-1] == ("007", "i", float(np.float32(late)))
    assert len(read) == len(filler) + 1


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO events VALUES (3, 'c')",
        "UPDATE events SET user_id = 1",
        "DROP TABLE events",
        "CREATE TABLE more (x int)",
        "-- SELECT\nDELETE FROM events",
        "/* SELECT */ DELETE FROM events",
        "WITH x AS (SELECT 1) DELETE FROM events RETURNING user_id",
        "VACUUM INTO '{}/copy.db'",
        "ATTACH '{}/copy.db' AS other",
        "PRAGMA user_version = 5",
        "",
        "  -- nothing",
    ],
)
def test_a_statement_that_writes_changes_nothing_in_sqlite(path, query):
    url = fill(path, "user_id, item_id", [(2, "a")])
    before, files = contents(path), set(path.parent.iterdir())
    with pytest.raises(SqlError, match=r"isn't a query that only reads|readonly database"):
        read_interactions_sql(query.format(path.parent), url)
    # Nor is what follows a query run.
    assert len(read_interactions_sql(f"{ALL}; {query}", url)) == 1
    assert contents(path) == before
    assert set(path.parent.iterdir()) == files


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nope FROM events", "no such column: nope"),
        ("SELECT * FROM none", "no such table: none"),
        ("SELECT * FORM events", 'near "FORM": syntax error'),
        ("SELECT abs(-9223372036854775808) AS user_id", "integer overflow"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT * FROM events WHERE 0", "the query returns no row"),
    ],
)
def test_what_sqlite_says_is_told_with_the_querys_first_line(path, query, message):
    url = fill(path, "user_id, item_id", [(2, "a")])
    with pytest.raises(SqlError, match=re.escape(message)) as caught:
        read_interactions_sql(f"\n  {query}\n -- more", url)
    assert str(caught.value).startswith(f"--interactions-sql {query!r}: ")
    assert "more" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(path, monkeypatch):
    with pytest.raises(InputError, match=r"none\.db: No such file or directory$"):
        read_interactions_sql(ALL, database_url.sqlite_url(path.parent / "none.db"))
    assert list(path.parent.iterdir()) == []
    path.write_bytes(b"no database" * 99)
    with pytest.raises(SqlError, match="file is not a database"):
        read_interactions_sql(ALL, database_url.sqlite_url(path))
    with pytest.raises(InputError, match=f"with four slashes, sqlite:///{path.parent}, the path is a"):
        read_interactions_sql(ALL, f"sqlite://{path.parent}")
    # So is a driver that isn't installed.
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    monkeypatch.delitem(sys.modules, "adbc_driver_sqlite.dbapi", raising=False)
    with pytest.raises(ExtraMissingError, match=r"--interactions-sql needs 'adbc-driver-sqlite.*sql]'"):
        read_interactions_sql(ALL, database_url.sqlite_url(path))


def test_a_digest_changes_with_the_rows_and_not_with_their_order(path):
    url = fill(path, "user_id, item_id, weight, other", [(1, "a", 1, 0), (2, "b", None, 0)])
    first = sql.digest(ALL, url)
    assert sql.digest(f"{ALL} ORDER BY user_id DESC", url) == first
    assert sql.digest(f"{ALL} ORDER BY user_id LIMIT 1", url) != first
    assert sql.digest(f"{ALL} UNION ALL {ALL}", url) != first
    assert sql.digest("SELECT user_id, item_id FROM events", url) != first
    for statement, changes in (
        ("UPDATE events SET other = 1", False),
        ("UPDATE events SET weight = 2 WHERE user_id = 1", True),
        ("UPDATE events SET weight = 1 WHERE user_id = 1", False),
        ("UPDATE events SET item_id = 'b' WHERE user_id = 1", True),
    ):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)
        assert (sql.digest(ALL, url) != first) == changes
