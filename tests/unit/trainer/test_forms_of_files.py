"""The options about a file's form are refused where they have no effect, and work by every source."""

import numpy as np
import pytest

from tests import datasets
from tests.datasets import weighed_pairs
from trainer import reading
from trainer.data.databases import url as database_url
from trainer.data.files.file_form import FileForm
from trainer.errors import InputError, OptionError
from trainer.event_log.log import Event, EventLog
from trainer.reading import fingerprint, read_source
from trainer.spec import DataSpec, TrainingSpec, encode

FILE = {"interactions": "a.csv"}
QUERY = {"interactions_sql": "SELECT 1", "database_url": "sqlite:///a"}
ROWS = [("u", "a", 5.0), ("u", "b", 3.5), ("v", "a", 1.0), ("v", "b", 4.0)]


def read(data, event_log=None):
    return read_source(data, data_dir=None, event_log=event_log)


@pytest.mark.parametrize("source", [QUERY, {"dataset": "movielens-100k"}, {"event_log": True}])
@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"columns": {"user_id": "a", "item_id": "b"}}, "--columns is 'user_id=a,item_id=b'"),
        ({"header": ["a", "b"]}, "--header is 'a,b'"),
        ({"separator": ";"}, "--separator is ';'"),
        ({"encoding": "latin-1"}, "--encoding is 'latin-1'"),
        ({"date_format": "ms"}, "--date-format is 'ms'"),
        ({"skip_invalid": True}, "--skip-invalid is set"),
        ({"escaped_quotes": True}, "--escaped-quotes is set"),
    ],
)
def test_options_of_a_file_need_the_file(source, form, message):
    with pytest.raises(OptionError, match=f"^{message}, but should be used with --interactions FILE"):
        DataSpec(**source, form=FileForm(**form))


@pytest.mark.parametrize("kind", ["item", "user"])
def test_options_of_items_and_users_need_their_files(kind):
    for form in ({f"{kind}_separator": "|"}, {f"{kind}_header": [f"{kind}_id"]}):
        with pytest.raises(OptionError, match=f"should be used with --{kind}s FILE"):
            DataSpec(**FILE, form=FileForm(**form))
        DataSpec(**FILE, **{f"{kind}s": "b.csv"}, form=FileForm(**form))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"columns": {"user": "a"}}, "--columns is 'user=a', but should be for a name among user_id,"),
        ({"columns": {"user_id": ""}}, "--columns is 'user_id=', but should be given a column"),
        ({"item_columns": {"genre": "a"}}, "--item-columns is 'genre=a', .* among item_id, title"),
        ({"user_separator": "abc"}, "--user-separator is 'abc', but should be 1 to 8 characters"),
        ({"item_encoding": "base64"}, "--item-encoding is 'base64', but should be an encoding of"),
        ({"date_format": "H:M"}, "--date-format is 'H:M'"),
        (
            {"skipped_file": "x.csv"},
            "--skipped-file is 'x.csv', but should be used with --skip-invalid",
        ),
    ],
)
def test_values_that_can_not_be_used_are_refused(form, message):
    with pytest.raises(OptionError, match=f"^{message}"):
        FileForm(**form)


def test_a_spec_without_a_form_is_stored_as_before():
    assert "form" not in encode(TrainingSpec(data=DataSpec(**FILE)))
    assert "positive_from" not in encode(TrainingSpec(data=DataSpec(**FILE)))


def test_lower_ratings_count_as_seen_but_not_as_liked(tmp_path):
    path = datasets.write_rows(tmp_path / "a.csv", ROWS)
    found = read(DataSpec(interactions=str(path), positive_from=4.0)).interactions
    assert weighed_pairs(found) == [("u", "a", 5.0), ("u", "b", 0.0), ("v", "a", 0.0), ("v", "b", 4.0)]
    assert "note: 2 of 4 interactions of a.csv have a weight below 4: they count as seen" in str(
        found.warnings
    )
    with pytest.raises(
        OptionError, match=r"--positive-from is 6.0, .* largest weight of a.csv, which is"
    ):
        read(DataSpec(interactions=str(path), positive_from=6.0))


def test_weights_of_events_come_after_the_least_weight_of_a_positive(tmp_path):
    columns = {"user_id": ["u", "u"], "item_id": ["a", "b"], "weight": [5, 3], "event": ["x", "x"]}
    path = datasets.write(tmp_path / "a.csv", columns)
    data = DataSpec(interactions=str(path), positive_from=4.0, event_weights={"x": 0.5})
    assert read(data).interactions.weights.tolist() == [2.5, 0.0]


def test_negative_weights_stay_negative(tmp_path):
    path = datasets.write_rows(tmp_path / "a.csv", [("u", "a", -2.0), ("u", "b", 4.0)])
    found = read(DataSpec(interactions=str(path), positive_from=4.0)).interactions
    assert found.weights.tolist() == [-2.0, 4.0]


def test_a_source_without_weights_has_no_least_weight(tmp_path):
    path = datasets.write(tmp_path / "a.csv", {"user_id": ["u"], "item_id": ["a"]})
    with pytest.raises(InputError, match="there is no column weight, which --positive-from needs"):
        read(DataSpec(interactions=str(path), positive_from=4.0))
    with pytest.raises(
        OptionError, match=r"--positive-from is 4.0, but should be left out with --event"
    ):
        DataSpec(event_log=True, positive_from=4.0)


def test_the_events_of_the_log_keep_their_weights(tmp_path):
    path = datasets.write_rows(tmp_path / "a.csv", ROWS)
    with EventLog(tmp_path / "log") as log:
        log.append([Event("e", "w", "a", "", 1.0, 1_700_000_000.0)])
    data = DataSpec(interactions=str(path), event_log=True, positive_from=4.0)
    found = read(data, tmp_path / "log").interactions
    assert weighed_pairs(found)[-1] == ("w", "a", 1.0)
    assert np.count_nonzero(found.weights) == 3


def test_queries_have_a_least_weight_too(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE events (user_id, item_id, weight)")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?)", ROWS)
    connection.close()
    data = DataSpec(
        interactions_sql="SELECT * FROM events",
        database_url=database_url.sqlite_url(tmp_path / "shop.db"),
        positive_from=4.0,
    )
    assert np.count_nonzero(read(data).interactions.weights) == 2


def test_the_form_is_a_part_of_the_fingerprint(tmp_path):
    path = datasets.write_rows(tmp_path / "a.csv", ROWS)
    prints = {
        fingerprint(DataSpec(interactions=str(path), form=form), data_dir=None, event_log=None)
        for form in (FileForm(), FileForm(columns={"weight": ""}), FileForm(skip_invalid=True))
    }
    assert len(prints) == 3


def test_rows_are_skipped_into_the_current_folder_unless_a_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = datasets.write(tmp_path / "a.csv", {"user_id": ["u", ""], "item_id": ["a", "b"]})
    for form, name in (
        (FileForm(skip_invalid=True), "a.csv.skipped.csv"),
        (FileForm(skip_invalid=True, skipped_file="x/other.csv"), "x/other.csv"),
    ):
        found = reading.read_source(
            DataSpec(interactions=str(path), form=form), data_dir=tmp_path, event_log=None
        )
        assert len(found.interactions) == 1
        items = datasets.write(tmp_path / "items.csv", {"item_id": ["a", ""], "title": ["A", "B"]})
        data = DataSpec(interactions=str(path), items=str(items), form=form)
        assert reading.read_source(data, data_dir=tmp_path, event_log=None).items.ids == ["a"]
        of_items = {"a.csv.skipped.csv": "items.csv.skipped.csv"}
        written = tmp_path / of_items.get(name, "x/other.csv.items.csv.skipped.csv")
        assert written.read_text().splitlines()[1] == '2,"item_id is empty",",B"'
        assert (tmp_path / name).read_text().splitlines()[1] == '2,"user_id is empty",",b"'
