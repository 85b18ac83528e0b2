"""Queries of a real SQLite and a real PostgreSQL."""

from __future__ import annotations

import logging
import sqlite3
import sys
import traceback
from contextlib import closing

import numpy as np
import pytest
from adbc_driver_postgresql import dbapi

from tests import postgres
from trainer.data.databases import sql
from trainer.data.databases import url as database_url
from trainer.data.databases.sql import SqlError, read_interactions_sql
from trainer.errors import ExtraMissingError, InputError, OptionError

ALL = "SELECT * FROM events"
NEW_YEAR = 1_767_225_600.0


@pytest.fixture(scope="module")
def server():
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    with postgres.server(programs) as running:
        yield running


@pytest.fixture
def execute(server):
    """Runs statements as one who may write, in a database that is emptied afterwards."""
    with dbapi.connect(server.url, autocommit=True) as connection, connection.cursor() as cursor:
        yield lambda *statements: [cursor.execute(statement) for statement in statements]
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")


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


def as_rows(read):
    return [
        (read.user_ids[user], read.item_ids[item], weight)
        for user, item, weight in zip(read.users, read.items, read.weights.tolist(), strict=True)
    ]


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
    assert as_rows(read) == [("7", "東京", 2.5), ("-1", "a b/c", -1.0)]
    assert read.timestamps.tolist() == [NEW_YEAR, NEW_YEAR + 1]
    assert (read.event_types, read.events.tolist()) == (["buy", ""], [0, 1])
    assert read.name == "a b?.db"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT user_id, item_id FROM events ORDER BY user_id",
        "select user_id, item_id from events order by 1;\n",
        "-- all of it; really\n/* DELETE */ SELECT user_id, item_id FROM events ORDER BY 1 -- done",
        "WITH e AS (SELECT * FROM events) SELECT user_id, item_id FROM e ORDER BY 1",
        "VALUES (1, 'b')",
    ],
)
def test_ways_to_write_a_query(path, query):
    url = fill(path, "user_id, item_id", [(2, "a"), (1, "b")])
    if query.startswith("VALUES"):
        with pytest.raises(
            InputError, match="column user_id, item_id is missing; the columns are: col"
        ):
            read_interactions_sql(query, url)
    else:
        assert as_rows(read_interactions_sql(query, url)) == [("1", "b", 1.0), ("2", "a", 1.0)]


def test_a_relative_path_is_relative_to_where_the_trainer_runs(path, monkeypatch):
    fill(path, "user_id, item_id", [(2, "a")])
    monkeypatch.chdir(path.parent)
    assert len(read_interactions_sql(ALL, "sqlite:///a%20b%3F.db")) == 1


def test_a_large_result_is_read_in_batches(path):
    rows = 1_000_000
    url = fill(path, "user_id, item_id", ((n % 997, f"i{n % 101}") for n in range(rows)))
    table = sql.read_result(ALL, url)
    chunks = table.column("user_id").chunks
    assert (table.num_rows, len(chunks)) == (rows, -(-rows // 65_536))
    assert max(len(chunk) for chunk in chunks) == 65_536


@pytest.mark.parametrize(
    ("early", "late"), [(1, 2.5), (None, "2.5"), (1, "2.5"), (1.5, "2.5"), (1, 2**29 + 0.5)]
)
def test_a_type_that_changes_after_the_first_batch_is_no_error(path, early, late):
    filler = [("u", "i", early or 1)] * 70_000 if early else [("u", "i", 1)]
    url = fill(path, "user_id, item_id, weight", [*filler, ("v", "i", late)])
    read = read_interactions_sql(ALL, url)
    assert as_rows(read)[-1] == ("v", "i", float(np.float32(late)))
    assert len(read) == len(filler) + 1


def test_ids_whose_type_changes_after_the_first_batch_keep_their_text(path):
    rows = [*((n, "i") for n in range(70_000)), ("007", "i")]
    read = read_interactions_sql(ALL, fill(path, "user_id, item_id", rows))
    assert read.user_ids == [*map(str, range(70_000)), "007"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((None, "a", 1), "row 2: user_id is empty: leave out rows without one"),
        (("", "a", 1), "row 2: user_id is empty: leave out rows without one"),
        (("u", "a", None), "row 2: weight is empty"),
        (("u", "a", "five"), "row 2: weight is 'five', which isn't a number"),
    ],
)
def test_a_bad_row_is_named_by_its_number_and_value(path, row, message):
    url = fill(path, "user_id, item_id, weight", [("u", "a", 1), row])
    with pytest.raises(InputError, match=f"^--interactions-sql, {message}$"):
        read_interactions_sql(ALL, url)


def test_ids_that_are_fractions_or_bytes_are_refused(path):
    url = fill(path, "user_id, item_id", [(1.5, b"a")])
    with pytest.raises(InputError, match="column user_id holds double, but should hold text or integ"):
        read_interactions_sql(ALL, url)
    with pytest.raises(InputError, match="column user_id holds binary"):
        read_interactions_sql("SELECT item_id AS user_id, 'a' AS item_id FROM events", url)


WRITES = [
    "DELETE FROM events",
    "INSERT INTO events VALUES (3, 'c')",
    "UPDATE events SET user_id = 1",
    "DROP TABLE events",
    "CREATE TABLE more (x int)",
]


@pytest.mark.parametrize(
    "query",
    [
        *WRITES,
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
    with pytest.raises(SqlError, match=r"isn't a query that reads|readonly database"):
        read_interactions_sql(query.format(path.parent), url)
    assert contents(path) == before
    assert set(path.parent.iterdir()) == files


def test_what_follows_a_query_is_not_run(path):
    url = fill(path, "user_id, item_id", [(2, "a")])
    before = contents(path)
    assert len(read_interactions_sql("SELECT * FROM events; DELETE FROM events", url)) == 1
    assert contents(path) == before


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nope FROM events", "no such column: nope"),
        ("SELECT * FROM none", "no such table: none"),
        ("SELECT * FORM events", 'near "FORM": syntax error'),
        ("SELECT abs(-9223372036854775808) AS user_id", "integer overflow"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT * FROM events WHERE 0", "the query gives no row"),
    ],
)
def test_what_sqlite_says_is_told_with_the_querys_first_line(path, query, message):
    url = fill(path, "user_id, item_id", [(2, "a")])
    with pytest.raises(SqlError) as caught:
        read_interactions_sql(f"\n  {query}\n -- more", url)
    assert str(caught.value).startswith(f"--interactions-sql {query!r}: ")
    assert message in str(caught.value)
    assert "more" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(path):
    with pytest.raises(InputError, match=r"none\.db: No such file or directory$"):
        read_interactions_sql(ALL, database_url.sqlite_url(path.parent / "none.db"))
    assert list(path.parent.iterdir()) == []
    path.write_bytes(b"no database" * 99)
    with pytest.raises(SqlError, match="file is not a database"):
        read_interactions_sql(ALL, database_url.sqlite_url(path))
    three_slashes = f"sqlite://{path.parent}"
    with pytest.raises(
        InputError, match=f"with four slashes, sqlite:///{path.parent}, the path is abs"
    ):
        read_interactions_sql(ALL, three_slashes)


def test_a_driver_that_is_not_installed_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    monkeypatch.delitem(sys.modules, "adbc_driver_sqlite.dbapi", raising=False)
    with pytest.raises(ExtraMissingError, match=r"--interactions-sql needs 'adbc-driver-sqlite.*sql]'"):
        read_interactions_sql(ALL, fill(path, "user_id, item_id", [(2, "a")]))


def test_another_kind_of_database_is_refused():
    with pytest.raises(OptionError, match=r"'mysql://\*\*\*', but should be sqlite:///.*postgresql://"):
        read_interactions_sql(ALL, "mysql://ann:secret@host/shop")


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


def test_postgresql_gives_what_a_file_would(server, execute):
    execute(
        """CREATE TYPE kind AS ENUM ('view', 'buy')""",
        """CREATE TABLE events (user_id bigint, item_id varchar(20), weight numeric(6, 2),
            timestamp timestamptz, event kind, other jsonb)""",
        """INSERT INTO events VALUES
            (7, '東京', 2.50, '2026-01-01 01:00:00.25+01', 'buy', '{}'),
            (-1, 'a b/c', -1, '2026-01-01 00:00:00Z', NULL, NULL)""",
    )
    for url in (server.url, server.socket_url):
        read = read_interactions_sql(ALL, url)
        assert as_rows(read) == [("7", "東京", 2.5), ("-1", "a b/c", -1.0)]
        assert read.timestamps.tolist() == [NEW_YEAR + 0.25, NEW_YEAR]
        assert (read.event_types, read.events.tolist()) == (["buy", ""], [0, 1])
        assert read.name == "postgres"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("uuid", "'f82449d4-5251-4b0b-bc9e-7efb0e29bab5'", "f82449d4-5251-4b0b-bc9e-7efb0e29bab5"),
        ("smallint", "7", "7"),
        ("numeric", "12345678901234567890", "12345678901234567890"),
        ("text", "'Ünal'", "Ünal"),
        ("name", "'x'", "x"),
    ],
)
def test_types_of_postgresql_that_ids_have(server, kind, value, text):
    query = f"SELECT {value}::{kind} AS user_id, {value}::{kind} AS item_id"
    assert as_rows(read_interactions_sql(query, server.url)) == [(text, text, 1.0)]
    null = f"{query} UNION ALL SELECT NULL, NULL"
    with pytest.raises(InputError, match="row 2: user_id is empty: leave out rows without one"):
        read_interactions_sql(null, server.url)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.5::numeric", 1.5),
        ("1.5::real", 1.5),
        ("1.5::float8", 1.5),
        ("3::smallint", 3.0),
        ("true", 1.0),
        ("'1.5'::text", 1.5),
    ],
)
def test_types_of_postgresql_that_weights_have(server, value, expected):
    query = f"SELECT 'u' AS user_id, 'i' AS item_id, {value} AS weight"
    assert read_interactions_sql(query, server.url).weights.tolist() == [expected]


@pytest.mark.parametrize(
    "value",
    [
        "'2026-01-01'::date",
        "'2026-01-01'::timestamp",
        "'2026-01-01 00:00Z'::timestamptz",
        "'2026-01-01'::text",
        "1767225600",
        "1767225600::numeric",
        "extract(epoch FROM '2026-01-01'::timestamp)",
    ],
)
def test_types_of_postgresql_that_times_have(server, value):
    query = f"SELECT 'u' AS user_id, 'i' AS item_id, {value} AS timestamp"
    assert read_interactions_sql(query, server.url).timestamps.tolist() == [NEW_YEAR]
    assert len(sql.digest(query, server.url)) == 64


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("'infinity'::timestamptz AS timestamp", "row 1: timestamp is -?922.*, which isn't seconds"),
        ("'-infinity'::date AS timestamp", "row 1: timestamp is -.*, which isn't seconds"),
        ("'NaN'::numeric AS weight", "row 1: weight is nan, which isn't a finite number"),
        ("now() - now() AS timestamp", "column timestamp holds .*, but should hold seconds"),
    ],
)
def test_values_of_postgresql_that_are_no_use_are_named(server, column, message):
    query = f"SELECT 'u' AS user_id, 'i' AS item_id, {column}"
    with pytest.raises(InputError, match=message):
        read_interactions_sql(query, server.url)
    assert len(sql.digest(query, server.url)) == 64


def test_a_large_result_of_postgresql_is_read_in_batches(server):
    query = "SELECT n AS user_id, repeat('i', 50) AS item_id FROM generate_series(1, 500000) AS n"
    table = sql.read_result(query, server.url)
    assert table.num_rows == 500_000
    assert table.column("user_id").num_chunks > 1


@pytest.mark.parametrize(
    "query",
    [
        *WRITES,
        "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
        "SELECT * INTO more FROM events",
        "SELECT * FROM events FOR UPDATE",
        "SELECT user_id, item_id, nextval('numbers') AS weight FROM events",
        (
            "SELECT set_config('transaction_read_only', 'off', false) AS user_id, "
            "nextval('numbers') AS item_id FROM events"
        ),
        "SELECT * FROM events; DELETE FROM events",
        "SELECT 1) TO STDOUT; DELETE FROM events; COPY (SELECT 1",
        "COPY events TO '{}/copy'",
        "COPY events TO PROGRAM 'cat > {}/copy'",
        "SET default_transaction_read_only = off",
        "BEGIN READ WRITE",
    ],
)
def test_a_statement_that_writes_changes_nothing_in_postgresql(server, execute, query):
    execute(
        "CREATE TABLE events (user_id int, item_id text)",
        "INSERT INTO events VALUES (2, 'a')",
        "CREATE SEQUENCE numbers",
    )
    with pytest.raises(SqlError):
        read_interactions_sql(query.format(server.directory), server.url)
    state = """SELECT user_id, item_id, (SELECT NOT is_called FROM numbers) AS weight,
        (SELECT string_agg(relname, ' ') FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relname <> 'numbers') AS event
        FROM events"""
    read = read_interactions_sql(state, server.url)
    assert (as_rows(read), read.event_types) == ([("2", "a", 1.0)], ["events"])
    assert not (server.directory / "copy").exists()


def test_options_in_the_address_do_not_allow_writing(server, execute):
    execute("CREATE TABLE events (user_id int, item_id text)", "INSERT INTO events VALUES (2, 'a')")
    url = f"{server.url}?options=-c%20default_transaction_read_only%3Doff"
    with pytest.raises(SqlError, match="read-only transaction"):
        read_interactions_sql("WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x", url)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nope", 'column "nope" does not exist'),
        ("SELECT * FROM none", 'relation "none" does not exist'),
        (
            "SELECT 1 / (250000 - n) AS user_id, n AS item_id FROM generate_series(1, 500000) AS n",
            "zero",
        ),
        ("SELECT 1 AS user_id, 2 AS item_id WHERE false", "the query gives no row"),
    ],
)
def test_what_postgresql_says_is_told_with_the_querys_first_line(server, query, message):
    with pytest.raises(SqlError) as caught:
        read_interactions_sql(f"{query}\n-- more", server.url)
    assert str(caught.value).startswith(f"--interactions-sql {query!r}: ")
    assert message in str(caught.value)
    assert "more" not in str(caught.value)


def wrong_addresses(server):
    right = server.url
    return [
        right.replace("/postgres", "/nowhere"),
        right.replace("s3cret", "s3cretive"),
        right.replace("admin", "ann"),
        right.replace("127.0.0.1", "nohost.invalid"),
        right.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1"),
        f"{right}?sslmode=verify-full",
        f"{right}?nonsense=1",
        right.replace("%40", "@"),
        right.replace("%2F", "/"),
        right.replace("%3A", "%zz"),
    ]


def test_a_password_is_in_no_message_log_or_traceback(server, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    queries = ["SELECT 1 AS user_id, 2 AS item_id", "SELECT nope", "DELETE FROM none"]
    attempts = [(queries[0], url) for url in wrong_addresses(server)]
    texts = []
    for query, url in [*attempts, *((query, server.url) for query in queries)]:
        try:
            texts.append(read_interactions_sql(query, url).name)
        except (SqlError, OptionError) as error:
            texts.append("".join(traceback.format_exception(error)))
    assert len([text for text in texts if "Error: " in text]) >= len(attempts)
    out, err = capfd.readouterr()
    for part in ("s3cret", "p@ss", "p%40ss", "ss:word", "ss%3Aword", "ss%zz"):
        assert part not in "".join([*texts, caplog.text, out, err]), part


def test_a_server_that_is_not_there_is_named_without_the_password(server):
    url = server.url.rpartition(":")[0] + ":1/postgres"
    with pytest.raises(SqlError, match=r"postgresql://admin:\*\*\*@127\.0\.0\.1:1/postgres: .*refused"):
        read_interactions_sql("SELECT 1", url)
