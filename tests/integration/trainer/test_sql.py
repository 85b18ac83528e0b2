"""Queries of a real PostgreSQL."""

import logging
import traceback

import pytest
from adbc_driver_postgresql import dbapi

from tests import postgres
from tests.datasets import weighed_pairs
from tests.unit.trainer.data.databases.test_sql import NEW_YEAR
from trainer.data.databases import sql
from trainer.data.databases.sql import SqlError, read_interactions_sql
from trainer.errors import InputError, OptionError


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
        read = read_interactions_sql("SELECT * FROM events", url)
        assert weighed_pairs(read) == [("7", "東京", 2.5), ("-1", "a b/c", -1.0)]
        assert read.timestamps.tolist() == [NEW_YEAR + 0.25, NEW_YEAR]
        assert (read.event_types, read.events.tolist()) == (["buy", ""], [0, 1])
        assert read.name == "postgres"


UUID = "f82449d4-5251-4b0b-bc9e-7efb0e29bab5"


@pytest.mark.parametrize(
    ("kind", "text"), [("uuid", UUID), ("numeric", "12345678901234567890"), ("text", "Ünal")]
)
def test_types_of_postgresql_that_ids_have(server, kind, text):
    query = f"SELECT '{text}'::{kind} AS user_id, '{text}'::{kind} AS item_id"
    assert weighed_pairs(read_interactions_sql(query, server.url)) == [(text, text, 1.0)]
    null = f"{query} UNION ALL SELECT NULL, NULL"
    with pytest.raises(InputError, match="row 2: user_id is empty: leave out rows without one"):
        read_interactions_sql(null, server.url)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("weight", "1.5::numeric", 1.5),
        ("weight", "true", 1.0),
        ("weight", "'1.5'::text", 1.5),
        ("timestamp", "'2026-01-01'::date", NEW_YEAR),
        ("timestamp", "'2026-01-01'::timestamp", NEW_YEAR),
        ("timestamp", "'2026-01-01 00:00Z'::timestamptz", NEW_YEAR),
        ("timestamp", "1767225600::numeric", NEW_YEAR),
        ("timestamp", "extract(epoch FROM '2026-01-01'::timestamp)", NEW_YEAR),
    ],
)
def test_types_of_postgresql_that_weights_and_times_have(server, column, value, expected):
    query = f"SELECT 'u' AS user_id, 'i' AS item_id, {value} AS {column}"
    assert getattr(read_interactions_sql(query, server.url), f"{column}s").tolist() == [expected]
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
        "DELETE FROM events",
        "INSERT INTO events VALUES (3, 'c')",
        "UPDATE events SET user_id = 1",
        "DROP TABLE events",
        "CREATE TABLE more (x int)",
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
    assert (weighed_pairs(read), read.event_types) == ([("2", "a", 1.0)], ["events"])
    assert not (server.directory / "copy").exists()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nope", 'column "nope" does not exist'),
        ("SELECT * FROM none", 'relation "none" does not exist'),
        ("SELECT 1 / (250000 - n) AS user_id, n AS item_id FROM generate_series(1, 500000) n", "zero"),
        ("SELECT 1 AS user_id, 2 AS item_id WHERE false", "the query returns no row"),
    ],
)
def test_what_postgresql_says_is_told_with_the_querys_first_line(server, query, message):
    with pytest.raises(SqlError) as caught:
        read_interactions_sql(f"{query}\n-- more", server.url)
    assert str(caught.value).startswith(f"--interactions-sql {query!r}: ")
    assert message in str(caught.value)
    assert "more" not in str(caught.value)


def wrong_addresses(server):
    changes = {"/postgres": "/nowhere", "s3cret": "s3cretive", "admin": "ann"}
    changes |= {"127.0.0.1": "nohost.invalid", "127.0.0": "127.0.0.1:1,127.0.0"}
    changes |= {"%40": "@", "%2F": "/", "%3A": "%zz"}
    changed = [server.url.replace(*change) for change in changes.items()]
    return [*changed, f"{server.url}?sslmode=verify-full", f"{server.url}?nonsense=1"]


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
