import datetime as dt
import decimal
import gzip
import io
import re
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from trainer.data.files import tables
from trainer.errors import InputError

PATH = Path("data.csv")
COLUMNS = {"user_id": ["007", "7", "é", "東 京"], "item_id": ["a,b", 'c"d', "e\nf", "g\th"]}
TEXT_KINDS = (pa.string(), pa.large_string(), pa.string_view())
TINY = float(np.finfo(np.float32).tiny)
NAMES = ["data.csv", "data.tsv", "data.csv.gz", "data.tsv.gz", "data.parquet", "data"]


def column(values, kind=None):
    return pa.table({"it": values if hasattr(values, "type") else pa.array(values, kind)})


def reader(of):
    return lambda values, kind=None: of(PATH, column(values, kind), "it")


ids, texts, categories = map(reader, (tables.ids, tables.texts, tables.categories))


def numbers(values, kind=None):
    return reader(tables.numbers)(values, kind).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_file_gives_the_same_table_or_names_the_columns_that_are_missing(tmp_path, name):
    path = datasets.write(tmp_path / name, COLUMNS)
    assert tables.read_table(path, required=COLUMNS).to_pydict() == COLUMNS
    reason = "column user, Weight is missing; the columns are: user_id, item_id"
    with pytest.raises(InputError, match=f"^{path}: {reason}$"):
        tables.read_table(path, required=["user", "item_id", "Weight"])


def test_a_csv_file_holds_text_whatever_it_looks_like_and_parquet_is_known_by_its_content(tmp_path):
    path = tmp_path / "data.csv"
    columns = {"a": ["01", "NA", "", "true"], "b": [1, 2, 3, 4]}
    datasets.write_parquet(path, columns)
    assert tables.read_table(path, required=["a", "b"]).to_pydict() == columns
    datasets.write_csv(path, columns)
    columns["b"] = ["1", "2", "3", "4"]
    assert tables.read_table(path, required=["a", "b"]).to_pydict() == columns


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_only_the_columns_asked_for_are_read_and_one_that_is_there_twice_is_named(tmp_path, suffix):
    path = tmp_path / f"data.{suffix}"
    if suffix == "csv":
        path.write_text("a,b,a,c\n1,2,3,4\n")
    else:
        pa.parquet.write_table(pa.table([["1"]] * 4, names=["a", "b", "a", "c"]), path)
    assert tables.read_table(path, required=["c"], optional=["b", "z"]).column_names == ["b", "c"]
    for required in (["a", "b"], ["b"]):
        with pytest.raises(InputError, match=r"column a is there more than once"):
            tables.read_table(path, required=required)


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfa,b\n1,2\n", b"a,b\r\n1,2\r\n", b"a,b\n1,2", b'"a",b\n\n1,"2"\n']
)
def test_ways_to_write_the_same_csv_file(tmp_path, data):
    path = tmp_path / "data.csv"
    path.write_bytes(data)
    assert tables.read_table(path, required=["a", "b"]).to_pydict() == {"a": ["1"], "b": ["2"]}


def parquet(*rows):
    file = io.BytesIO()
    pa.parquet.write_table(pa.table({"a": pa.array(rows, pa.string())}), file)
    return file.getvalue()


NO_ROWS = [b"a,b\n", b"a,b", b"a,b\r\n\r\n", b"\n\n"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("gone.csv", None, "No such file or dir"),
        ("empty.csv", b"", "the file is empty$"),
        *(("none.csv", data, "there is no row after the header$") for data in NO_ROWS),
        ("none.csv.gz", gzip.compress(b"a,b\n", mtime=0), "there is no row after the header$"),
        ("none.parquet", parquet(), "there is no row after the header"),
        ("photo.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is neither CSV nor Parquet: it holds binary"),
        ("header.csv", b"a,b,caf\xe9\n1,2,3\n", "a column's name isn't UTF-8: b'caf"),
        ("cut.parquet", parquet("x", "y")[:-9], "can't be read as Parquet"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, name, data, reason):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: {reason}") as caught:
        tables.read_table(path, required=["a"])
    assert caught.value.path == path


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_text_of_a_parquet_file_that_is_not_utf8_is_named_by_column_and_row(tmp_path, kind):
    path = tmp_path / "latin.parquet"
    text = pa.array([b"a", None, b"caf\xe9", b"\xe9"], pa.binary()).view(pa.string()).cast(kind)
    pa.parquet.write_table(pa.table({"b": ["1"] * 4, "a": text}), path, row_group_size=2)
    reason = "column a holds a byte 0xe9 that isn't UTF-8, in b'caf"
    with pytest.raises(InputError, match=reason) as caught:
        tables.read_table(path, required=["a"])
    assert (caught.value.path, caught.value.row) == (path, 3)
    assert tables.read_table(path, required=["b"], optional=[]).num_rows == 4

    # Nor may its name be of another encoding.
    pa.parquet.write_table(pa.table({"a": ["1"], "cafe": ["2"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
    with pytest.raises(InputError, match=r"latin\.parquet: a column's name isn't UTF-8: b'caf"):
        tables.read_table(path, required=["a"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9), min_size=1))
def test_ids_are_told_apart_by_every_byte_and_keep_their_order(values):
    distinct, codes = ids(values, pa.string())
    assert [distinct[code] for code in codes] == values
    assert distinct == list(dict.fromkeys(values))
    assert codes.dtype == np.int64


FLOATS = (pa.float32(), pa.float64())
UUIDS = [uuid.UUID(int=number) for number in (0, 0x0123456789ABCDEF13579BDF02468ACE, 0, 2**128 - 1)]
UUID_BYTES = [own.bytes for own in UUIDS]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(UUID_BYTES, pa.uuid()),
        # As Arrow's datasets, and writers that don't know the type, have them.
        pa.array(UUID_BYTES, pa.binary(16)),
        pa.array(UUID_BYTES, pa.binary(16)).dictionary_encode(),
        pa.chunked_array([pa.array(UUID_BYTES[:1], pa.uuid()), pa.array(UUID_BYTES[1:], pa.uuid())]),
    ],
)
def test_uuids_are_ids_as_people_write_them(tmp_path, values):
    path = datasets.write_parquet(tmp_path / "u.parquet", {"it": values})
    for table in (pa.table({"it": values}), tables.read_table(path, required=["it"])):
        distinct, codes = tables.ids(PATH, table, "it")
        assert [distinct[code] for code in codes] == [str(own) for own in UUIDS]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", None, ""], ["a", "", ""]),
        ([30.0, None, float("nan"), -1.0], ["30", "", "", "-1"]),
        (pa.array([0.0, -0.0, None], pa.float32()), ["0", "0", ""]),
        ([float(2**53 - 1)], [str(2**53 - 1)]),
        ([None, None], ["", ""]),
    ],
)
def test_text_is_empty_where_it_is_missing_and_integers_with_gaps_are_text(values, expected):
    kind = pa.null() if values == [None, None] else None
    assert texts(values, kind) == expected
    distinct, codes = categories(values, kind)
    assert [distinct[code] for code in codes] == expected


@pytest.mark.parametrize("letter", ["x", "é", "東", "🎬"])
def test_the_longest_id_is_counted_in_bytes(letter):
    size = len(letter.encode())
    longest = letter * (512 // size) + "x" * (512 % size)
    assert ids(["a", longest])[0] == ["a", longest]
    reason = r"row 2: it: id '.{1,700}\.\.\.': has 513 bytes of UTF-8, but may have at most 512"
    with pytest.raises(InputError, match=reason):
        ids(["a", longest + "x"])


@given(st.lists(st.floats(-1e9, 1e9, width=32, allow_subnormal=False), min_size=1))
def test_numbers_are_the_same_as_text_and_as_numbers(values):
    assert numbers(values, pa.float32()) == values
    assert numbers(values, pa.float64()) == values
    for kind in TEXT_KINDS:
        assert numbers([f" {value!r}\n" for value in values], kind) == values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2**24 + 1, -(10**9)], [1.0, 2.0**24, -1e9]),
        # A weight above 0 is a positive, however near to 0 it is.
        ([1e-40, -1e-40, 1e-300, 0.0, -0.0], [TINY, -TINY, TINY, 0.0, 0.0]),
        (["1e-40", "5e-324", "0"], [TINY, TINY, 0.0]),
        ([decimal.Decimal("1.50"), decimal.Decimal("-0.25")], [1.5, -0.25]),
        ([True, False], [1.0, 0.0]),
        (["+1", "1e3", "-.5"], [1.0, 1000.0, -0.5]),
        (pa.array([1.5, 2.0, 1.5]).dictionary_encode(), [1.5, 2.0, 1.5]),
        (pa.array([" 1.5", "2"]).dictionary_encode(), [1.5, 2.0]),
    ],
)
def test_numbers_in_other_forms(values, expected):
    assert numbers(values) == expected


TYPE = ": column it holds {}, but should hold text or integers"
GAPS = ": dataframes write integers as floats if one is missing, as in row 2. Leave such rows out, or "
EMPTY = "row 3: it is empty: leave out rows without one"
NOT_FINITE = "which isn't a finite number"
TOO_LARGE = "but should be between -1e+09 and 1e+09: fix or leave out such rows (2 of 5), or divide all"
OTHERS = {
    "bool": True,
    "binary": b"a",
    "list<item: string>": ["a"],
    "null": None,
    "decimal128(2, 1)": decimal.Decimal("1.5"),
}


@pytest.mark.parametrize(
    ("read", "values", "kind", "message"),
    [
        *((ids, [value], None, TYPE.format(kind)) for kind, value in OTHERS.items()),
        # Integers that a dataframe wrote as floats come with what to do.
        *((ids, [7.0, gap, 8.0, gap], kind, GAPS) for kind in FLOATS for gap in (None, np.nan)),
        (ids, [7.0, 8.0], pa.float64(), ": all values are whole, so write them as integers"),
        (ids, [7.5, None], pa.float64(), TYPE.format("double")),
        *((texts, [value, 1.0], None, TYPE.format("double")) for value in (1.5, float(2**53), np.inf)),
        *((ids, [*"ab", empty, "c", empty], None, EMPTY) for empty in ("", None)),
        (ids, pa.array([UUID_BYTES[1], None], pa.uuid()), None, "row 2: it is empty"),
        *(
            (numbers, ["1", empty, "3"], kind, "row 2: it is empty")
            for kind in TEXT_KINDS
            for empty in ("  ", None)
        ),
        *(
            (numbers, ["1", "", None, text, "y"], kind, f"row 4: it is {text!r}, which isn't a number")
            for kind in TEXT_KINDS[:2]
            for text in ("x", "1,5", "0x1", "1_000", "１", "1 2")
        ),
        *(
            (numbers, [as_type(own) for own in (1.0, 1e9, value, -1e9, value)], None, message)
            for value, reason in (
                *((value, NOT_FINITE) for value in (np.nan, np.inf, -np.inf)),
                *((value, TOO_LARGE) for value in (3e38, -3e38, 1e39, 1_000_000_001.0)),
            )
            for as_type in (float, str)
            for message in [f"row 3: it is {value}, {reason}"]
        ),
        *(
            (numbers, values, None, ": it isn't a column of numbers")
            for values in ([[1.0]], [{"a": 1}], [dt.date(2026, 11, 24)])
        ),
    ],
)
def test_what_cannot_be_read_is_named_by_column_and_row(read, values, kind, message):
    with pytest.raises(InputError, match=f"^data.csv.*{re.escape(message)}"):
        read(values, kind)
