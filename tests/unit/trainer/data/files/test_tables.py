from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
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
TINY = float(np.finfo(np.float32).tiny)
NAMES = ["data.csv", "data.tsv", "data.csv.gz", "data.tsv.gz", "data.parquet", "data"]


def column(values, kind=None):
    return pa.table({"it": pa.array(values, kind)})


def numbers(values, kind=None):
    return tables.numbers(PATH, column(values, kind), "it").tolist()


def ids(values, kind=None):
    return tables.ids(PATH, column(values, kind), "it")


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_file_gives_the_same_table(tmp_path, name):
    path = datasets.write(tmp_path / name, COLUMNS)
    table = tables.read_table(path, required=COLUMNS)
    assert table.to_pydict() == COLUMNS


def test_parquet_is_known_by_its_content(tmp_path):
    path = datasets.write_parquet(tmp_path / "data.csv", COLUMNS)
    assert tables.read_table(path, required=COLUMNS).to_pydict() == COLUMNS


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_only_the_columns_asked_for_are_read(tmp_path, suffix):
    path = datasets.write(tmp_path / f"data.{suffix}", {"a": ["1"], "b": ["2"], "c": ["3"]})
    assert tables.read_table(path, required=["c"], optional=["a", "z"]).column_names == ["a", "c"]
    assert tables.read_table(path, required=["c"]).column_names == ["a", "b", "c"]


def test_a_csv_file_holds_text_whatever_it_looks_like(tmp_path):
    path = datasets.write_csv(tmp_path / "data.csv", {"a": ["01", "NA", "", "true"], "b": [1, 2, 3, 4]})
    table = tables.read_table(path, required=["a", "b"])
    assert table.to_pydict() == {"a": ["01", "NA", "", "true"], "b": ["1", "2", "3", "4"]}


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfa,b\n1,2\n", b"a,b\r\n1,2\r\n", b"a,b\n1,2", b'"a",b\n\n1,"2"\n']
)
def test_ways_to_write_the_same_csv_file(tmp_path, data):
    path = tmp_path / "data.csv"
    path.write_bytes(data)
    assert tables.read_table(path, required=["a", "b"]).to_pydict() == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_column_is_named_beside_those_found(tmp_path, name):
    path = datasets.write(tmp_path / name, {"user": ["1"], "item_id": ["2"], "Weight": ["3"]})
    with pytest.raises(InputError) as caught:
        tables.read_table(path, required=["user_id", "item_id", "weight"])
    assert str(caught.value) == (
        f"{path}: column user_id, weight is missing; the columns are: user, item_id, Weight"
    )


def test_a_file_of_other_separators_shows_its_one_column(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("user_id;item_id\n1;2\n")
    with pytest.raises(InputError, match=r"the columns are: user_id;item_id: it looks as if ';' sep"):
        tables.read_table(path, required=["user_id", "item_id"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_that_is_there_twice_is_named(tmp_path, suffix):
    path = tmp_path / f"data.{suffix}"
    if suffix == "csv":
        path.write_text("a,b,a\n1,2,3\n")
    else:
        pa.parquet.write_table(pa.table([pa.array(["1"])] * 3, names=["a", "b", "a"]), path)
    with pytest.raises(InputError, match=r"column a is there more than once"):
        tables.read_table(path, required=["a", "b"])
    assert tables.read_table(path, required=["b"], optional=[]).column_names == ["b"]


@pytest.mark.parametrize("name", NAMES[:2])
def test_an_empty_file_is_named(tmp_path, name):
    path = tmp_path / name
    path.touch()
    with pytest.raises(InputError, match=rf"{name}: the file is empty$"):
        tables.read_table(path, required=["a"])


@pytest.mark.parametrize("data", [b"a,b\n", b"a,b", b"a,b\r\n\r\n", b"\n\n"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_file_without_rows_is_named(tmp_path, data, compress):
    path = tmp_path / ("data.csv" if compress is bytes else "data.csv.gz")
    path.write_bytes(compress(data))
    with pytest.raises(InputError, match=r"data\.csv.*: there is no row after the header$"):
        tables.read_table(path, required=["a"])


def test_a_parquet_file_without_rows_is_named(tmp_path):
    path = datasets.write_parquet(tmp_path / "data.parquet", {"a": pa.array([], pa.string())})
    with pytest.raises(InputError, match="there is no row after the header"):
        tables.read_table(path, required=["a"])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (
            "photo.csv",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            "is neither CSV nor Parquet: it holds binary data",
        ),
        ("cut.parquet", b"PAR1 and no more", "can't be read as Parquet"),
        ("tar.csv.gz", b"a,b\n1,2\n", "can't be read as CSV"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], "can't be read as CSV"),
        ("header.csv", b"a,b,caf\xe9\n1,2,3\n", "a column's name isn't UTF-8: b'caf"),
    ],
)
def test_what_is_neither_csv_nor_parquet_is_named(tmp_path, name, data, reason):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: {reason}") as caught:
        tables.read_table(path, required=["a", "b"])
    assert caught.value.path == path


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_of_a_parquet_file_that_is_not_utf8_is_named_by_column_and_row(tmp_path, kind):
    path = tmp_path / "latin.parquet"
    text = pa.array([b"a", None, b"caf\xe9", b"\xe9"], pa.binary()).view(pa.string()).cast(kind)
    pa.parquet.write_table(pa.table({"b": ["1"] * 4, "a": text}), path, row_group_size=2)
    with pytest.raises(
        InputError, match="column a holds a byte 0xe9 that isn't UTF-8, in b'caf"
    ) as caught:
        tables.read_table(path, required=["a"])
    assert (caught.value.path, caught.value.row) == (path, 3)
    assert tables.read_table(path, required=["b"], optional=[]).num_rows == 4


def test_a_name_of_a_parquet_column_that_is_not_utf8_is_named(tmp_path):
    file = io.BytesIO()
    pa.parquet.write_table(pa.table({"a": ["1"], "cafe": ["2"]}), file, store_schema=False)
    path = tmp_path / "latin.parquet"
    path.write_bytes(file.getvalue().replace(b"cafe", b"caf\xe9"))
    with pytest.raises(InputError, match=r"latin\.parquet: a column's name isn't UTF-8: b'caf"):
        tables.read_table(path, required=["a"])


def test_a_parquet_file_cut_short_is_named(tmp_path):
    whole = datasets.write_parquet(tmp_path / "whole.parquet", COLUMNS).read_bytes()
    path = tmp_path / "cut.parquet"
    for size in range(5, len(whole), 50):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"cut\.parquet: can't be read as Parquet"):
            tables.read_table(path, required=COLUMNS)


def test_a_file_that_is_no_file_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}/none: No such file or directory"):
        tables.read_table(tmp_path / "none", required=["a"])
    with pytest.raises(InputError, match=f"{tmp_path}: Is a directory"):
        tables.read_table(tmp_path, required=["a"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9), min_size=1))
def test_ids_are_told_apart_by_every_byte_and_keep_their_order(values):
    distinct, codes = ids(values, pa.string())
    assert [distinct[code] for code in codes] == values
    assert distinct == list(dict.fromkeys(values))
    assert codes.dtype == np.int64


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array(["a", "b", "a"], pa.large_string()),
        pa.array(["a", "b", "a"], pa.string_view()),
        pa.chunked_array([["a"], [], ["b", "a"]], pa.string()),
        pa.chunked_array(
            [pa.array(["a"]).dictionary_encode(), pa.array(["b", "a"]).dictionary_encode()]
        ),
    ],
)
def test_ids_in_every_form_of_text(values):
    distinct, codes = tables.ids(PATH, pa.table({"it": values}), "it")
    assert (distinct, codes.tolist()) == (["a", "b"], [0, 1, 0])


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64()])
def test_ids_may_be_integers(kind):
    distinct, codes = ids([7, 100, 7], kind)
    assert (distinct, codes.tolist()) == (["7", "100"], [0, 1, 0])


@pytest.mark.parametrize("values", [[1.0], [True], [b"a"], [["a"]], [None]])
def test_ids_of_another_type_are_refused(values):
    with pytest.raises(InputError, match=r"column it holds .*, but should hold text or integers"):
        ids(values)


UUIDS = [uuid.UUID(int=number) for number in (0, 1, 2**127 + 12345, 2**128 - 1)]
UUID_TEXTS = [str(own) for own in UUIDS]
UUID_BYTES = [own.bytes for own in UUIDS]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(UUID_BYTES, pa.uuid()),
        # As Arrow's datasets, and writers that don't know the type, have them.
        pa.array(UUID_BYTES, pa.binary(16)),
        pa.array([b"?" * 16, *UUID_BYTES], pa.binary(16))[1:],
        pa.array(UUID_BYTES, pa.binary(16)).dictionary_encode(),
        pa.chunked_array([pa.array(UUID_BYTES[:1], pa.uuid()), pa.array(UUID_BYTES[1:], pa.uuid())]),
    ],
)
def test_uuids_are_ids_as_people_write_them(values):
    assert tables.ids(PATH, pa.table({"it": values}), "it")[0] == UUID_TEXTS


def test_uuids_of_a_parquet_file_are_ids_and_one_that_is_missing_is_named(tmp_path):
    values = pa.array([UUID_BYTES[1], None], pa.uuid())
    path = datasets.write_parquet(tmp_path / "u.parquet", {"user_id": values})
    table = tables.read_table(path, required=["user_id"])
    with pytest.raises(InputError, match=r"row 2: user_id is empty"):
        tables.ids(path, table, "user_id")
    assert tables.ids(path, table[:1], "user_id")[0] == [UUID_TEXTS[1]]


@pytest.mark.parametrize("kind", [pa.decimal128(20, 0), pa.decimal128(38, 0), pa.decimal256(60, 0)])
def test_decimals_without_a_fraction_are_ids_as_databases_have_large_integers(kind):
    values = [decimal.Decimal(value) for value in ("7", "-1", "18446744073709551616")]
    assert ids(values, kind)[0] == ["7", "-1", "18446744073709551616"]
    with pytest.raises(
        InputError, match=r"column it holds decimal128\(3, 1\), but should hold text or"
    ):
        ids([decimal.Decimal("10.0")], pa.decimal128(3, 1))


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
@pytest.mark.parametrize("gap", [None, np.nan])
def test_integers_that_a_dataframe_wrote_as_floats_are_refused_as_ids_with_what_to_do(kind, gap):
    with pytest.raises(
        InputError, match="dataframes write integers so when one is missing, as in row 2"
    ):
        ids([7.0, gap, 8.0, gap], kind)
    with pytest.raises(InputError, match="they are all whole, so write them as integers"):
        ids([7.0, 8.0], kind)
    with pytest.raises(InputError, match=r"but should hold text or integers$"):
        ids([7.5, gap], kind)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([30.0, None, float("nan"), -1.0], ["30", "", "", "-1"]),
        (pa.array([0.0, -0.0, None], pa.float32()), ["0", "0", ""]),
        ([float(2**53 - 1)], [str(2**53 - 1)]),
        ([None, None], ["", ""]),
    ],
)
def test_integers_with_gaps_are_text_as_integers_are(values, expected):
    kind = pa.null() if values == [None, None] else None
    assert tables.texts(PATH, column(values, kind), "it") == expected
    distinct, codes = tables.categories(PATH, column(values, kind), "it")
    assert [distinct[code] for code in codes] == expected


@pytest.mark.parametrize("values", [[1.5, 2.0], [float(2**53)], [np.inf, 1.0]])
def test_other_floats_are_no_text(values):
    with pytest.raises(InputError, match="column it holds double"):
        tables.texts(PATH, column(values), "it")


def test_numbers_may_be_codes():
    assert numbers(pa.array([1.5, 2.0, 1.5]).dictionary_encode()) == [1.5, 2.0, 1.5]
    assert numbers(pa.array([" 1.5", "2"]).dictionary_encode()) == [1.5, 2.0]


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_id_is_named_by_its_row(empty):
    with pytest.raises(
        InputError, match=r"data\.csv, row 3: it.* is empty: leave out rows without one$"
    ) as caught:
        ids(["a", "b", empty, "c", empty])
    assert caught.value.row == 3


@pytest.mark.parametrize("letter", ["x", "é", "東", "🎬"])
def test_the_longest_id_is_counted_in_bytes(letter):
    size = len(letter.encode())
    longest = letter * (512 // size) + "x" * (512 % size)
    assert ids(["a", longest])[0] == ["a", longest]
    with pytest.raises(
        InputError, match=r"row 2: it: id '.{1,700}\.\.\.': has 513 bytes of UTF-8, at most 512"
    ):
        ids(["a", longest + "x"])


@given(st.lists(st.floats(-1e9, 1e9, width=32, allow_subnormal=False), min_size=1))
def test_numbers_are_the_same_as_text_and_as_numbers(values):
    assert numbers(values, pa.float32()) == values
    assert numbers(values, pa.float64()) == values
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
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
    ],
)
def test_numbers_in_other_forms(values, expected):
    assert numbers(values) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_number_that_is_not_finite_is_named_by_row_and_value(value, as_text):
    values = [1.0, 2.0, value, value]
    with pytest.raises(InputError) as caught:
        numbers([str(each) for each in values] if as_text else values)
    assert str(caught.value) == f"data.csv, row 3: it is {value}, which isn't a finite number"


@pytest.mark.parametrize("values", [[1.5, 2.5, 1.5], ["1.5", " 2.5 ", "1.5"]])
def test_numbers_may_be_a_dictionary(values):
    encoded = pa.table({"it": pa.array(values).dictionary_encode()})
    assert tables.numbers(PATH, encoded, "it").tolist() == [1.5, 2.5, 1.5]


@pytest.mark.parametrize("value", [3e38, -3e38, 1e39, 1_000_000_001.0])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_number_that_is_too_large_is_named_by_row_and_value_and_they_are_counted(value, as_text):
    values = [1.0, 1e9, value, -1e9, value]
    with pytest.raises(InputError) as caught:
        numbers([str(each) for each in values] if as_text else values)
    assert str(caught.value) == (
        f"data.csv, row 3: it is {value!r}, but should be between -1e+09 and 1e+09: mend or leave out "
        "such rows (2 of 5), or divide all by one number"
    )


@pytest.mark.parametrize("text", ["x", "1,5", "0x1", "1_000", "１", "1 2"])
def test_what_is_no_number_is_named_by_row_and_value(text):
    for kind in (pa.string(), pa.large_string()):
        with pytest.raises(InputError) as caught:
            numbers(["1", "", None, text, "y"], kind)
        assert str(caught.value) == f"data.csv, row 4: it is {text!r}, which isn't a number"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("empty", ["", "  ", "\x1c", None])
def test_an_empty_number_is_named_by_its_row(kind, empty):
    with pytest.raises(InputError, match=r"^data\.csv, row 2: it is empty$"):
        numbers(["1", empty, "3"], kind)


@pytest.mark.parametrize("values", [[[1.0]], [{"a": 1}], [dt.date(2026, 11, 24)]])
def test_numbers_of_another_type_are_refused(values):
    with pytest.raises(InputError, match=r"^data\.csv: it isn't a column of numbers"):
        numbers(values)


def test_texts_are_empty_where_they_are_missing():
    assert tables.texts(PATH, column(["a", None, ""]), "it") == ["a", "", ""]
    with pytest.raises(InputError, match="column it holds double"):
        tables.texts(PATH, column([1.5]), "it")


def test_some_columns_are_renamed():
    table = pa.table({"a": [1], "b": [2]})
    assert tables.rename(table, {"b": "c", "x": "y"}).to_pydict() == {"a": [1], "c": [2]}
