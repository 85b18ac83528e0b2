import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests import datasets
from trainer.data.files import parquet_folder
from trainer.data.interactions import read_interactions
from trainer.errors import InputError

# 2026-01-01T00:00:00Z
NEW_YEAR = 1_767_225_600


def part(path, rows, **more):
    """A Parquet file of (user, item, weight), in folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    users, items, weights = zip(*rows, strict=True)
    return datasets.write_parquet(path, {"user_id": users, "item_id": items, "weight": weights, **more})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "events"


def test_the_rows_of_all_files_come_in_the_order_of_their_paths(folder):
    # They may differ in columns that aren't read.
    part(folder / "b.parquet", [("u", "x", 1.0), ("v", "y", 2.0)], price=[1, 2])
    part(folder / "a" / "z", [("w", "x", 3.0)], price=["1"])
    part(folder / "c.parquet", [("u", "z", 4.0)])
    read = read_interactions(folder)
    rows = [("w", "x", 3.0), ("u", "x", 1.0), ("v", "y", 2.0), ("u", "z", 4.0)]
    assert datasets.weighed_pairs(read) == rows
    assert (read.name, read.user_ids) == ("events", ["w", "u", "v"])


def test_partitions_are_columns_and_keep_their_text_be_they_ids_dates_or_types(folder):
    columns = {"item_id": ["x", "y"], "weight": [1.0, 2.0]}
    for path in (
        "event=buy/timestamp=2026-01-03/user_id=007",
        "event=add%20to%20cart/timestamp=2026-01-02/user_id=7",
        "event=__HIVE_DEFAULT_PARTITION__/timestamp=2026-01-01/user_id=08",
    ):
        (folder / path).mkdir(parents=True)
        datasets.write_parquet(folder / path / "0", columns)
    read = read_interactions(folder)
    assert [(*row[:3], (row[3] - NEW_YEAR) / 86_400, row[4]) for row in datasets.as_rows(read)] == [
        (user, item, weight, day, event)
        for user, day, event in (("08", 0, ""), ("7", 1, "add to cart"), ("007", 2, "buy"))
        for item, weight in (("x", 1.0), ("y", 2.0))
    ]


def test_what_writers_hide_is_left_out_but_not_for_the_folders_own_path(tmp_path):
    folder = tmp_path / ".data" / "_events"
    part(folder / "0.parquet", [("u", "x", 1.0)])
    for name in ("_SUCCESS", ".0.parquet.crc", "_temporary/0/1.parquet", ".staging/2.parquet"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not yet")
    assert len(read_interactions(folder)) == 1


TEXTS = [pa.array(["a", "b"], kind) for kind in (pa.string(), pa.large_string(), pa.string_view())]
TEXTS += [own.dictionary_encode() for own in TEXTS[:2]]
INTEGERS = [pa.array([1, 2], kind) for kind in (pa.int8(), pa.int32(), pa.decimal128(20, 0))]
INTEGERS += [pa.array([1, -(2**63)], pa.int64()), pa.array([1, 2**64 - 1], pa.uint64())]
INTEGERS += [INTEGERS[1].dictionary_encode()]
UUIDS = [uuid.UUID(int=1).bytes, uuid.UUID(int=2).bytes]
BINARY = [pa.array(UUIDS, kind) for kind in (pa.uuid(), pa.binary(16))]
IDS = [TEXTS, INTEGERS, BINARY]


def parts(folder, column, *files):
    """A Parquet file of each of the columns, beside others; how many rows there are."""
    folder.mkdir()
    for number, values in enumerate(files):
        rows = {"user_id": ["u"] * len(values), "item_id": ["x"] * len(values)}
        datasets.write_parquet(folder / f"{number}.parquet", {**rows, column: values})


@pytest.mark.parametrize(
    ("one", "other"), [(one, other) for own in IDS for one in own for other in own[:2]], ids=str
)
def test_files_may_write_the_same_ids_in_different_types(folder, one, other):
    parts(folder, "user_id", one, other)
    expected = [
        str(uuid.UUID(bytes=value)) if isinstance(value, bytes) else str(value)
        for value in [*one.to_pylist(), *other.to_pylist()]
    ]
    read = read_interactions(folder)
    assert [read.user_ids[user] for user in read.users] == expected


@pytest.mark.parametrize("values", [values for own in IDS for values in own], ids=str)
@pytest.mark.parametrize("first", [True, False])
def test_a_file_without_rows_may_have_no_types(folder, values, first):
    empty = [pa.array([], pa.null()), pa.array([], pa.float64())]
    parts(folder, "user_id", *((*empty, values) if first else (values, *empty)))
    assert len(read_interactions(folder)) == len(values)


UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
TIMES = [pa.array([NEW_YEAR * each + 1], pa.timestamp(unit)) for unit, each in UNITS.items()]
ZONES = [pa.array([NEW_YEAR * 1000], pa.timestamp("ms", zone)) for zone in ("UTC", "Europe/Berlin")]
CODES = pa.array(["view", None]).dictionary_encode()


@pytest.mark.parametrize(
    ("column", "files", "expected"),
    [
        ("weight", [pa.array([1, 2], pa.int32()), pa.array([0.5])], [1, 2, 0.5]),
        ("weight", [pa.array([1, 2], pa.int32()), pa.array([2**29])], [1, 2, 2**29]),
        ("weight", [pa.array([0.5], pa.float32()), pa.array([2, 3], pa.uint64())], [0.5, 2, 3]),
        ("weight", [pa.array([Decimal("1.25")]), pa.array([0.5])], [1.25, 0.5]),
        ("weight", [pa.array(["1", "2.5"]), pa.array(["3"]).dictionary_encode()], [1, 2.5, 3]),
        ("timestamp", TIMES, [NEW_YEAR + 1 / each for each in UNITS.values()]),
        ("timestamp", ZONES, [NEW_YEAR, NEW_YEAR]),
        ("event", [pa.nulls(1), CODES, pa.array(["buy"])], ["", "view", "", "buy"]),
    ],
)
def test_files_may_write_other_columns_in_different_types(folder, column, files, expected):
    parts(folder, column, *files)
    read = read_interactions(folder)
    if column == "event":
        assert [read.event_types[event] for event in read.events] == expected
    else:
        np.testing.assert_allclose(getattr(read, f"{column}s"), expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        # What was a number has lost the zeros it began with.
        ("user_id", ["007"], [7]),
        # And from 2**53 on what it was.
        ("user_id", [7], [7.0]),
        ("item_id", ["a"], [b"a"]),
        ("item_id", UUIDS[:1], ["a"]),
        ("weight", [1.0], ["1.0"]),
        ("timestamp", [1], pa.array([1], pa.timestamp("ms"))),
        ("timestamp", ZONES[0], pa.array([1], pa.timestamp("ms"))),
    ],
)
def test_types_that_have_no_values_in_common_are_named_by_their_files(folder, column, one, other):
    one, other = (pa.array(values) for values in (one, other))
    parts(folder, column, one, pa.nulls(1), other)
    held = f"column {column} holds {other.type}, but in {folder}/0.parquet it holds {one.type}"
    with pytest.raises(InputError) as caught:
        read_interactions(folder)
    assert str(caught.value) == f"{folder}/2.parquet: {held}"


@pytest.mark.parametrize("number", [0, 2])
def test_a_file_without_a_column_that_others_have_is_named(folder, number):
    with_it = part(folder / "1.parquet", [("u", "x", 1.0)])
    without = folder / f"{number}.parquet"
    datasets.write_parquet(without, {"user_id": ["u"], "item_id": ["x"]})
    with pytest.raises(InputError, match=f"^{without}: has no column weight, but {with_it} has$"):
        read_interactions(folder)


ROW = [("u", "x", 1.0)]
BROKEN = pa.array([b"a", b"caf\xe9"]).view(pa.string())
NO_PARQUET = "isn't a Parquet file, but all in"


def cut_short(path):
    path.write_bytes(part(path, ROW).read_bytes()[:-9])


def column_twice(path):
    columns = ["user_id", "item_id", "item_id"]
    pa.parquet.write_table(pa.table([["u"], ["i"], ["j"]], names=columns), path)


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        *((data, "1.parquet", NO_PARQUET) for data in (b"user_id,item_id\n1,2\n", b"", b"PAR")),
        (cut_short, "1.parquet", "can't be read as Parquet: .*1\\.parquet"),
        (column_twice, "0.parquet", "column item_id is there more"),
        (lambda path: part(path, ROW), "event=buy/1.parquet", "is in folders that give"),
        (Path.mkdir, "_delta_log", "is a Delta table, whose files hold removed rows"),
        (Path.mkdir, ".hoodie", "is a Hudi table, whose files hold removed rows"),
        (lambda path: path.symlink_to(path.parents[1]), "more", "is a link to a folder"),
    ],
)
def test_what_is_no_part_is_named_and_not_left_out_in_silence(folder, make, name, reason):
    part(folder / "0.parquet", ROW)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(make) if isinstance(make, bytes) else make(path)
    named = folder if make in (cut_short, Path.mkdir) else path
    with pytest.raises(InputError, match=f"^{named}: {reason}"):
        read_interactions(folder)


def test_a_column_that_is_a_partition_too_is_named(folder):
    part(folder / "event=buy" / "0.parquet", ROW, event=["buy"])
    with pytest.raises(InputError, match="column event is there more than once"):
        read_interactions(folder)


@pytest.mark.parametrize(
    ("row", "file", "reason"),
    [
        (("u", "x", float("nan")), 1, "row 6: weight is nan"),
        (("", "x", 1.0), 2, "row 6: user_id is empty: leave"),
        (("u", BROKEN[1], 1.0), 1, "row 6: column item_id holds a byte 0xe9"),
    ],
)
def test_a_bad_row_is_named_by_its_file_and_its_row_there(folder, row, file, reason):
    rows = [[*ROW * 5, ROW[0], *ROW * 5] for _ in range(3)]
    rows[file][5] = row
    for number, own in enumerate(rows):
        part(folder / f"{number}.parquet", own)
    with pytest.raises(InputError, match=rf"^{folder}/{file}\.parquet, {reason}") as caught:
        read_interactions(folder)
    assert (caught.value.path, caught.value.row) == (folder / f"{file}.parquet", 6)


def test_a_folder_without_files_or_rows_or_that_is_gone_is_named(folder):
    def refused(reason):
        with pytest.raises(InputError, match=f"^{folder}: {reason}$"):
            parquet_folder.read_folder(folder, required=["user_id"], optional=[])

    refused("No such file or directory")
    folder.mkdir()
    (folder / ".0.parquet").write_text("user_id,item_id\n1,2\n")
    refused("there is no Parquet file in this folder")
    datasets.write_parquet(
        folder / "0.parquet", {name: pa.nulls(0, pa.string()) for name in ("user_id", "item_id")}
    )
    refused("there is no row in the files of this folder")
    datasets.write_parquet(folder / "1.parquet", {"user_id": ["u"], "item_id": ["x"]})
    assert len(read_interactions(folder)) == 1
