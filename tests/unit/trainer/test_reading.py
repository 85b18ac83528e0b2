"""What is read by a DataSpec, from files and databases, and when its fingerprint changes."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from tests import datasets
from tests.datasets import weighed_pairs
from trainer import reading
from trainer.data import movielens
from trainer.data.databases import url as database_url
from trainer.errors import InputError, OptionError
from trainer.event_log.log import Event, EventLog, Selection
from trainer.preparing.weighting import DAY
from trainer.reading import default_split, fingerprint, read_source
from trainer.spec import DataSpec

# 2026-01-01T00:00:00Z
NEW_YEAR = 1_767_225_600.0
NEW = [
    Event("new 0", "u", "a", "view", 1.0, NEW_YEAR + 3 * DAY),
    Event("new 1", "w", "c", "buy", 1.0, NEW_YEAR + 4 * DAY),
]
ROWS = [("u", "a", 1.0), ("v", "b", 2.0), ("u", "b", 4.0)]
FILE, DATASET = {"interactions": "a.csv"}, {"dataset": movielens.NAME}
COLUMNS = {
    "user_id": ["u", "v", "u"],
    "item_id": ["a", "b", "b"],
    "weight": [1.0, 2.0, 4.0],
    "timestamp": [NEW_YEAR, NEW_YEAR + DAY, NEW_YEAR + 2 * DAY],
    "event": ["view", "buy", "view"],
}


@pytest.fixture
def path(tmp_path):
    return datasets.write(tmp_path / "interactions.csv", COLUMNS)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE events ({', '.join(COLUMNS)})")
        rows = zip(*COLUMNS.values(), strict=True)
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
    return path


@pytest.fixture
def log(tmp_path):
    """A log of the same interactions."""
    directory = tmp_path / "log"
    rows = enumerate(zip(*COLUMNS.values(), strict=True))
    append(directory, *(Event(f"e{row}", *own[:2], own[4], *own[2:4]) for row, own in rows))
    return directory


@pytest.fixture
def each(tmp_path, path, database):
    """Data of the same interactions as a file, as a folder and by a query."""
    folder = tmp_path / "folder"
    folder.mkdir()
    datasets.write(folder / "0.parquet", COLUMNS)
    files = [DataSpec(interactions=str(own)) for own in (path, folder)]
    return [*files, query(database, "SELECT * FROM events ORDER BY rowid")]


def append(directory, *events):
    with EventLog(directory) as log:
        log.append(events)


def query(database, sql="SELECT * FROM events", **more):
    url = database_url.sqlite_url(database)
    return DataSpec(interactions_sql=sql, database_url=url, **more)


def read(data, event_log=None, data_dir=None):
    return read_source(data, data_dir=data_dir, event_log=event_log)


def print_of(data, event_log=None):
    return fingerprint(data, data_dir=None, event_log=event_log)


def test_each_source_gives_the_same_interactions_weighed(each, log):
    for data in (*each, DataSpec(event_log=True)):
        assert weighed_pairs(read(data, log).interactions) == ROWS
        weights = {"view": 1.0, "buy": 3.0}
        weighed = replace(data, event_weights=weights, half_life_days=1.0, last_days=1.0)
        assert weighed_pairs(read(weighed, log).interactions) == [("v", "b", 3.0), ("u", "b", 4.0)]


def test_features_are_read_beside_any_source(path, database, tmp_path):
    items = {"item_id": ["a"], "title": ["A"], "genres": ["x;y"]}
    users = {"user_id": ["u"], "age": ["20"]}
    more = {
        "items": str(datasets.write_csv(tmp_path / "items.csv", items)),
        "users": str(datasets.write_csv(tmp_path / "users.csv", users)),
        "item_features": ["genres"],
        "user_features": ["age"],
        "feature_separator": ";",
    }
    for data in (DataSpec(interactions=str(path), **more), query(database, **more)):
        source = read(data)
        assert (source.items.features, source.items.titles) == ([["genres:x", "genres:y"]], ["A"])
        assert source.users.features == [["age:20"]]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (FILE, {"item_features": ["a", "b"]}, "--item-features is 'a,b', but .* used with --items"),
        (FILE, {"user_features": ["a", "b"]}, "--user-features is 'a,b', but .* used with --users"),
        (FILE, {"item_attributes": ["y:text", "g"]}, "--item-attributes is 'y:text,g', but .* --items"),
        (DATASET, {"items": "i.csv"}, "--items is 'i.csv', but .* left out: --dataset has its own"),
        (DATASET, {"users": "u.csv"}, "--users is 'u.csv', but .* left out: --dataset has its own"),
        (DATASET, {"item_features": ["x"]}, "--item-features is 'x', but .* genres, release_year"),
        (DATASET, {"user_features": ["x"]}, "--user-features is 'x', but .* age, gender, occup"),
        ({"dataset": "iris"}, {}, "--dataset is 'iris', but should be movielens-100k"),
        ({"event_log": True}, {}, "--event-log is set, but should be left out: this trainer has no"),
    ],
)
def test_what_does_not_go_with_the_source_is_named(source, options, message):
    with pytest.raises(OptionError, match=f"^{message}"):
        read(DataSpec(**source, **options))


def test_the_default_split_is_the_sources():
    assert default_split(DataSpec(dataset=movielens.NAME, event_log=True)) == "first-10"
    others = (
        DataSpec(interactions="a.csv"),
        DataSpec(interactions_sql="SELECT 1", database_url="sqlite:///a"),
        DataSpec(event_log=True),
    )
    assert {default_split(data) for data in others} == {"random"}


def test_the_fingerprint_of_a_file_is_of_its_content_or_a_large_ones_time_and_size(path, monkeypatch):
    content = path.read_bytes()

    def print_at(content, time=1):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        return print_of(DataSpec(interactions=str(path)))

    with pytest.raises(InputError, match=r"none\.csv: No such file or directory"):
        print_of(DataSpec(interactions=str(path.with_name("none.csv"))))
    first = print_at(content)
    assert len(bytes.fromhex(first)) == 32
    assert print_at(content, time=2) == first
    assert print_at(content.replace(b"buy", b"bye")) != first
    monkeypatch.setattr(reading, "_SMALL_BYTES", 5)
    large = print_at(content)
    assert print_at(content) == large
    assert print_at(content, time=2) != large
    assert print_at(content + b"\n") != large


def test_the_fingerprint_of_a_folder_changes_with_its_files(tmp_path):
    folder = tmp_path / "folder"
    (folder / "event=buy").mkdir(parents=True)
    datasets.write(folder / "event=buy" / "0.parquet", COLUMNS)
    data = DataSpec(interactions=str(folder))
    prints = [print_of(data)]
    (folder / "_SUCCESS").touch()
    assert print_of(data) == prints[0]
    datasets.write(folder / "event=buy" / "1.parquet", COLUMNS)
    prints.append(print_of(data))
    (folder / "event=buy").rename(folder / "event=view")
    prints.append(print_of(data))
    (folder / "event=view" / "1.parquet").unlink()
    prints.append(print_of(data))
    assert len(set(prints)) == 4


def test_the_fingerprint_of_a_query_is_of_its_rows_and_not_of_the_password(database, monkeypatch):
    data = query(database)
    first = print_of(data)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE more (a)")
        assert print_of(data) == first
        with connection:
            connection.execute("INSERT INTO events VALUES ('w', 'a', 1, 1, 'view')")
    assert print_of(data) != first
    assert print_of(replace(data, interactions_sql="SELECT * FROM events LIMIT 3")) != print_of(data)
    monkeypatch.setattr("trainer.data.databases.sql.digest", lambda *_, **__: "the same")
    of_ann, again, elsewhere = (
        print_of(replace(data, database_url=f"postgresql://ann:{place}/shop"))
        for place in ("one@host", "two@host", "one@other")
    )
    assert of_ann == again != elsewhere


def test_the_fingerprint_covers_features_and_options(path, tmp_path):
    items = datasets.write_csv(tmp_path / "items.csv", {"item_id": ["a"], "title": ["A"]})
    data = DataSpec(interactions=str(path), items=str(items))
    prints = [print_of(data), print_of(replace(data, last_days=1.0))]
    items.write_text("item_id,title\na,B\n")
    prints.append(print_of(data))
    assert len(set(prints)) == 3


def test_the_fingerprint_of_the_log_changes_with_new_events_and_with_as_many_others(log):
    data = DataSpec(event_log=True)
    prints = [print_of(data, log)]
    append(log, Event("e0", "u", "a"))
    assert print_of(data, log) == prints[0]
    append(log, Event("new", "u", "a"))
    prints.append(print_of(data, log))
    with EventLog(log) as opened:
        opened.remove(Selection(event_ids=["e0"]))
        opened.append([Event("newer", "u", "a")])
    prints.append(print_of(data, log))
    assert len(set(prints)) == 3


@pytest.mark.parametrize(("kind", "name"), [(0, "interactions.csv"), (1, "folder"), (2, "shop.db")])
def test_events_come_after_the_history_and_what_is_in_both_counts_once(each, tmp_path, kind, name):
    data = replace(each[kind], event_log=True)
    # The purchase is in the export too, the two others came later.
    append(tmp_path / "log", Event("e", "v", "b", "buy", 1.0, NEW_YEAR + DAY), *NEW)
    found = read(data, tmp_path / "log").interactions
    assert weighed_pairs(found) == [*ROWS, ("u", "a", 1.0), ("w", "c", 1.0)]
    assert found.timestamps.tolist() == [NEW_YEAR + day * DAY for day in range(5)]
    types = ["view", "buy", "view", "view", "buy"]
    assert [found.event_types[event] for event in found.events] == types
    assert found.name == f"{name} + log"
    assert found.warnings == [
        f"1 of 3 events of log are also in {name}, with the same user, item and time: they count once"
    ]


def test_an_event_is_known_by_its_id_where_the_history_has_ids(tmp_path):
    ids = {"event_id": ["e7", "", "e9"], "timestamp": [NEW_YEAR + 1, NEW_YEAR + 2, NEW_YEAR + 3]}
    path = datasets.write(tmp_path / "shop.csv", COLUMNS | ids)
    # Their clocks differ; the second row has no id.
    append(
        tmp_path / "log",
        Event("e7", "u", "a", "view", 1.0, NEW_YEAR + 99),
        Event("e8", "v", "b", "buy", 1.0, NEW_YEAR + 2),
        *NEW,
    )
    found = read(DataSpec(interactions=str(path), event_log=True), tmp_path / "log").interactions
    assert weighed_pairs(found) == [*ROWS, ("u", "a", 1.0), ("w", "c", 1.0)]
    assert found.event_ids is None


def test_a_dataset_goes_on_with_events_in_their_order(tmp_path):
    folder = tmp_path / movielens.NAME
    folder.mkdir()
    for name, text in {
        ".complete": "",
        "interactions": "user_id:token item_id:token rating:float timestamp:float\n"
        "1 3 5 881250949\n2 4 1 891717742\n",
        "items": "item_id:token movie_title:token_seq release_year:token class:token_seq\n"
        "3 Kolya 1996 C\n",
        "users": "user_id:token\n1\n",
    }.items():
        (folder / (f"{name}.tsv" if text else name)).write_text(text.replace(" ", "\t"))
    # The second is a rating of MovieLens.
    new = (("2", "3", "", 1.0, 1.6e9), ("1", "3", "", 1.0, 881250949.7), ("1", "4", "", 1.0, 1.5e9))
    append(tmp_path / "log", *(Event(f"e{number}", *own) for number, own in enumerate(new)))
    found = read(DataSpec(dataset=movielens.NAME, event_log=True), tmp_path / "log", tmp_path)
    rows = [("1", "3", 5.0), ("2", "4", 1.0), ("2", "3", 1.0), ("1", "4", 1.0)]
    assert weighed_pairs(found.interactions) == rows
    assert found.items.titles == ["Kolya (1996)"]


def test_a_log_that_is_empty_or_not_there_beside_a_history_is_a_warning(path, tmp_path):
    data = DataSpec(interactions=str(path), event_log=True, last_days=10.0)
    print_of(data, tmp_path / "none")
    append(tmp_path / "empty")
    for directory in (tmp_path / "none", tmp_path / "empty"):
        found = read(data, directory).interactions
        assert (weighed_pairs(found), found.name) == (ROWS, "interactions.csv")
        [warning] = found.warnings
        assert warning.startswith(f"{directory}: no interactions were appended yet, or all were rem")
        assert warning.endswith(": the training uses only interactions.csv")
    assert not (tmp_path / "none").exists()


def test_a_history_without_times_is_named_where_they_are_needed(tmp_path):
    path = datasets.write_csv(tmp_path / "a.csv", {"user_id": ["u"], "item_id": ["a"]})
    append(tmp_path / "log", *NEW)
    splits = [{"split": split} for split in ("time", "leave-last-k")]
    for options in ({"last_days": 3.0}, {"half_life_days": 3.0}, *splits):
        data = DataSpec(interactions=str(path), event_log=True, **options)
        with pytest.raises(InputError, match=r"^a\.csv: there is no column timestamp, which --"):
            read(data, tmp_path / "log")
