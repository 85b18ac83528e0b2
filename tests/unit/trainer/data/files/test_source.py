"""Which columns of a file are read as this project's, and the notes and errors about it."""

from pathlib import Path

import pytest

from tests import datasets
from trainer.data.files import source
from trainer.data.files.layout import Layout
from trainer.errors import InputError, OptionError

REQUIRED, OPTIONAL = ("user_id", "item_id"), ("weight", "timestamp", "event")
USUAL = Layout(recognises=True, flags="--")


def chosen(found, layout=USUAL, *, required=REQUIRED, optional=OPTIONAL):
    return source.choose(Path("a.csv"), found, required, optional, layout)


@pytest.fixture
def path(tmp_path):
    return datasets.write(tmp_path / "a.csv", {"userId": ["u"], "movieId": ["m"], "rating": [4]})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["user", "item"], ["user", "item"]),
        (["UserID", "MovieID", "Rating", "Timestamp"], ["UserID", "MovieID", "Rating", "Timestamp"]),
        (["userId", "movieId", "rating", "timestamp"], ["userId", "movieId", "rating", "timestamp"]),
        (
            ["timestamp", "visitorid", "event", "itemid"],
            ["visitorid", "itemid", None, "timestamp", "event"],
        ),
        (["User-ID", "ISBN", "Book-Rating"], ["User-ID", "ISBN", "Book-Rating"]),
        (
            ["reviewerID", "asin", "overall", "unixReviewTime", "reviewTime"],
            ["reviewerID", "asin", "overall", "unixReviewTime"],
        ),
        (
            ["Invoice", "StockCode", "Quantity", "InvoiceDate", "Customer ID"],
            ["Customer ID", "StockCode", "Quantity", "InvoiceDate"],
        ),
        (["user_id:token", "item_id:token", "rating:float"],) * 2,
        (["userID", "artistID", "weight"], ["userID", "artistID", "weight"]),
        (
            ["event_time", "event_type", "product_id", "user_id"],
            ["user_id", "product_id", None, "event_time", "event_type"],
        ),
        # A name of this project wins over usual ones, and an id over a plain noun.
        (["user_id", "userId", "item_id", "rating", "weight"], ["user_id", "item_id", "weight"]),
        (["user", "userId", "movie", "movieId"], ["userId", "movieId"]),
    ],
)
def test_usual_names_are_recognised(found, expected):
    names = (*REQUIRED, *OPTIONAL)
    pairs = zip(names, expected, strict=False)
    assert chosen(found)[0] == {name: own for name, own in pairs if own}


def test_a_note_says_what_is_read(path):
    read = source.read(path, required=REQUIRED, optional=OPTIONAL, layout=USUAL)
    assert read.table.to_pydict() == {"user_id": ["u"], "item_id": ["m"], "weight": ["4"]}
    assert read.notes == ["note: a.csv: reads userId as user_id, movieId as item_id, rating as weight"]
    strict = datasets.write(path.with_name("b.csv"), {"user_id": ["u"], "item_id": ["m"], "x": [1]})
    assert source.read(strict, required=REQUIRED, optional=OPTIONAL, layout=USUAL).notes == []


def test_nothing_is_recognised_without_the_flags(path):
    with pytest.raises(InputError, match="column user_id, item_id is missing"):
        source.read(path, required=REQUIRED, optional=OPTIONAL)


def test_columns_are_read_as_they_are_named(path):
    layout = Layout(
        columns={"user_id": "movieId", "item_id": "userId", "weight": ""}, recognises=True, flags="--"
    )
    read = source.read(path, required=REQUIRED, optional=OPTIONAL, layout=layout)
    assert read.table.to_pydict() == {"user_id": ["m"], "item_id": ["u"]}
    assert read.notes == []


def test_what_is_ambiguous_is_refused_if_it_is_required_and_left_out_if_not():
    with pytest.raises(
        InputError, match=r"track_id and artist_id may be the item_id: .* --columns item"
    ):
        chosen(["user_id", "track_id", "artist_id"])
    columns, [note] = chosen(["user_id", "item_id", "rating", "quantity"])
    assert "weight" not in columns
    assert note.startswith("note: a.csv: rating and quantity may be the weight, so none is read")


def test_a_column_that_is_not_there_lists_those_that_are():
    layout = Layout(columns={"weight": "stars"}, recognises=True, flags="--")
    with pytest.raises(OptionError, match=r"--columns is 'weight=stars', .* which are: user, item"):
        chosen(["user", "item"], layout)


def test_a_missing_column_says_how_to_name_it(tmp_path):
    path = datasets.write(tmp_path / "a.csv", {"a": [1], "b": [2]})
    reason = "the columns are: a, b: give --columns user_id=COLUMN,item_id=COLUMN"
    with pytest.raises(InputError, match=f"{reason}, or see 'lightfm-trainer inspect {path}'"):
        source.read(path, required=REQUIRED, optional=OPTIONAL, layout=USUAL)


def test_the_titles_and_the_id_of_a_table_are_recognised(tmp_path):
    columns = {"id": ["1"], "name": ["One"], "url": ["x"]}
    read = source.read(
        datasets.write(tmp_path / "artists.csv", columns),
        required=("item_id",),
        optional=("title",),
        layout=Layout(recognises=True, flags="--item-"),
        as_named=["url", "name"],
    )
    assert read.table.to_pydict() == {"item_id": ["1"], "title": ["One"], "url": ["x"], "name": ["One"]}


def test_a_folder_of_parquet_files_is_read_by_names_too(tmp_path):
    for number in range(2):
        columns = {"userId": [f"u{number}"], "movieId": ["m"], "rating": [4.0]}
        datasets.write(tmp_path / f"{number}.parquet", columns)
    read = source.read(tmp_path, required=REQUIRED, optional=OPTIONAL, layout=USUAL)
    assert read.table["user_id"].to_pylist() == ["u0", "u1"]
    assert read.table["weight"].to_pylist() == [4.0, 4.0]
    with pytest.raises(OptionError, match=r"--separator is ';', but should be left out: .* a folder"):
        source.read(tmp_path, required=REQUIRED, optional=(), layout=Layout(separator=";", flags="--"))


def test_an_error_names_the_files_own_column_and_the_flag_that_skips(tmp_path):
    path = datasets.write(tmp_path / "a.csv", {"userId": ["u", ""], "movieId": ["m", "n"]})
    read = source.read(path, required=REQUIRED, optional=OPTIONAL, layout=USUAL)
    with pytest.raises(InputError) as caught, read.named():
        raise InputError(path, "user_id is empty", row=2)
    assert caught.value.reason == "user_id (userId) is empty; --skip-invalid leaves out such rows"


def test_json_lines_are_read_by_names(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        '{"reviewerID": "A", "asin": "B", "overall": 5.0}\n\n{"asin": "C", "reviewerID": "D"}\n'
    )
    read = source.read(path, required=REQUIRED, optional=OPTIONAL, layout=USUAL)
    assert read.table.to_pydict() == {
        "user_id": ["A", "D"],
        "item_id": ["B", "C"],
        "weight": [5.0, None],
    }
    for line, reason in (
        ("[1]", "isn't a JSON object, but another value"),
        ('{"a": ', "isn't a JSON object"),
        (
            '{"reviewerID": 5, "asin": "x"}',
            "reviewerID is 5, but other rows have another kind, such as 'A'",
        ),
    ):
        path.write_text(f'{{"reviewerID": "A", "asin": "B"}}\n{line}\n')
        with pytest.raises(InputError) as caught:
            source.read(path, required=REQUIRED, optional=OPTIONAL, layout=USUAL)
        assert caught.value.row == 2
        assert caught.value.reason.startswith(reason)
