from __future__ import annotations

import uuid
from decimal import Decimal

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


def as_rows(read):
    events = ["-"] * len(read) if read.events is None else [read.event_types[e] for e in read.events]
    return [(*row, event) for row, event in zip(datasets.weighed_pairs(read), events, strict=True)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "events"


def test_the_rows_of_all_files_come_in_the_order_of_their_paths(folder):
    part(folder / "b.parquet", [("u", "x", 1.0), ("v", "y", 2.0)])
    part(folder / "a" / "z", [("w", "x", 3.0)])
    part(folder / "c.parquet", [("u", "z", 4.0)])
    read = read_interactions(folder)
    assert as_rows(read) == [
        ("w", "x", 3.0, "-"),
        ("u", "x", 1.0, "-"),
        ("v", "y", 2.0, "-"),
        ("u", "z", 4.0, "-"),
    ]
    assert (read.name, read.user_ids) == ("events", ["w", "u", "v"])


def test_partitions_are_columns_and_keep_their_text(folder):
    part(folder / "event=buy" / "day=007" / "0.parquet", [("u", "x", 1.0)], timestamp=[NEW_YEAR + 5])
    part(
        folder / "event=add%20to%20cart" / "day=08" / "0.parquet",
        [("u", "y", 2.0)],
        timestamp=[NEW_YEAR + 6],
    )
    part(
        folder / "event=__HIVE_DEFAULT_PARTITION__" / "day=9" / "0",
        [("v", "x", 3.0)],
        timestamp=[NEW_YEAR + 7],
    )
    read = read_interactions(folder)
    assert as_rows(read) == [
        ("v", "x", 3.0, ""),
        ("u", "y", 2.0, "add to cart"),
        ("u", "x", 1.0, "buy"),
    ]
    assert read.timestamps.tolist() == [NEW_YEAR + 7, NEW_YEAR + 6, NEW_YEAR + 5]


def test_ids_and_dates_may_be_partitions(folder):
    for user, day in (("007", "2026-01-02"), ("7", "2026-01-01")):
        path = folder / f"timestamp={day}" / f"user_id={user}" / "0.parquet"
        path.parent.mkdir(parents=True)
        datasets.write_parquet(path, {"item_id": ["x", "y"]})
    read = read_interactions(folder)
    assert [read.user_ids[user] for user in read.users] == ["7", "7", "007", "007"]
    np.testing.assert_array_equal(np.diff(read.timestamps), [0, 86_400, 0])


def test_what_writers_hide_is_left_out(folder):
    part(folder / "0.parquet", [("u", "x", 1.0)])
    for name in ("_SUCCESS", ".0.parquet.crc", "_temporary/0/1.parquet", ".staging/2.parquet"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not yet")
    assert len(read_interactions(folder)) == 1


def test_a_folder_whose_own_path_has_hidden_parts_is_read(tmp_path):
    part(tmp_path / ".data" / "_events" / "0.parquet", [("u", "x", 1.0)])
    assert len(read_interactions(tmp_path / ".data" / "_events")) == 1


def test_a_folder_without_parquet_is_named(folder):
    folder.mkdir()
    (folder / ".0.parquet").write_text("user_id,item_id\n1,2\n")
    with pytest.raises(InputError, match=f"^{folder}: there is no Parquet file in this folder$"):
        read_interactions(folder)


@pytest.mark.parametrize("data", [b"user_id,item_id\n1,2\n", b"", b"PAR"])
def test_a_file_that_is_not_parquet_is_named_and_not_left_out_in_silence(folder, data):
    part(folder / "0.parquet", [("u", "x", 1.0)])
    (folder / "1.parquet").write_bytes(data)
    with pytest.raises(InputError, match=f"^{folder}/1.parquet: isn't a Parquet file, but all in"):
        read_interactions(folder)


def test_a_file_that_was_cut_short_is_named(folder):
    part(folder / "0.parquet", [("u", "x", 1.0)])
    whole = part(folder / "1.parquet", [("u", "x", 1.0)]).read_bytes()
    (folder / "1.parquet").write_bytes(whole[:-9])
    with pytest.raises(InputError, match=r"can't be read as Parquet: .*1\.parquet"):
        read_interactions(folder)


TEXT = ["a", "b"]
IDS = {
    "string": pa.array(TEXT),
    "large_string": pa.array(TEXT, pa.large_string()),
    "string_view": pa.array(TEXT, pa.string_view()),
    "dictionary": pa.array(TEXT).dictionary_encode(),
    "dictionary of large_string": pa.array(TEXT, pa.large_string()).dictionary_encode(),
}
INTEGERS = {
    "int8": pa.array([1, 2], pa.int8()),
    "int32": pa.array([1, 2], pa.int32()),
    "int64": pa.array([1, -(2**63)], pa.int64()),
    "uint64": pa.array([1, 2**64 - 1], pa.uint64()),
    "decimal": pa.array([1, 2], pa.decimal128(20, 0)),
    "dictionary of int32": pa.array([1, 2], pa.int32()).dictionary_encode(),
}
UUIDS = [uuid.UUID(int=1).bytes, uuid.UUID(int=2).bytes]
BINARY = {"uuid": pa.array(UUIDS, pa.uuid()), "bytes": pa.array(UUIDS, pa.binary(16))}


def parts(folder, column, *files):
    """A Parquet file of each of the columns, beside others; how many rows there are."""
    folder.mkdir()
    for number, values in enumerate(files):
        rows = {"user_id": ["u"] * len(values), "item_id": ["x"] * len(values)}
        datasets.write_parquet(folder / f"{number}.parquet", {**rows, column: values})


@pytest.mark.parametrize(
    ("one", "other"),
    [(a, b) for kinds in (IDS, INTEGERS, BINARY) for a in kinds for b in [*kinds][:2]],
)
def test_files_may_write_the_same_ids_in_different_types(folder, one, other):
    kinds = IDS | INTEGERS | BINARY
    parts(folder, "user_id", kinds[one], kinds[other])
    expected = [
        str(uuid.UUID(bytes=value)) if isinstance(value, bytes) else str(value)
        for kind in (one, other)
        for value in kinds[kind].to_pylist()
    ]
    read = read_interactions(folder)
    assert [read.user_ids[user] for user in read.users] == expected


@pytest.mark.parametrize("kind", [*IDS, *INTEGERS, *BINARY])
@pytest.mark.parametrize("first", [True, False])
def test_a_file_without_rows_may_have_no_types(folder, kind, first):
    values = (IDS | INTEGERS | BINARY)[kind]
    empty = [pa.array([], pa.null()), pa.array([], pa.float64())]
    parts(folder, "user_id", *((*empty, values) if first else (values, *empty)))
    assert len(read_interactions(folder)) == len(values)


def test_ids_that_are_all_missing_in_a_file_are_named_by_it(folder):
    parts(folder, "user_id", pa.array(["a"]), pa.nulls(2))
    with pytest.raises(InputError, match=rf"^{folder}/1\.parquet, row 1: user_id is empty"):
        read_interactions(folder)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pa.array([1, 2], pa.int32()), pa.array([0.5]), [1, 2, 0.5]),
        (pa.array([1, 2], pa.int32()), pa.array([2**29]), [1, 2, 2**29]),
        (pa.array([0.5], pa.float32()), pa.array([2, 3], pa.uint64()), [0.5, 2, 3]),
        (pa.array([Decimal("1.25")]), pa.array([0.5]), [1.25, 0.5]),
        (pa.array(["1", "2.5"]), pa.array(["3"]).dictionary_encode(), [1, 2.5, 3]),
    ],
)
def test_numbers_may_be_of_different_types(folder, one, other, expected):
    parts(folder, "weight", one, other)
    assert read_interactions(folder).weights.tolist() == expected


def test_times_may_be_of_different_units(folder):
    units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    times = (pa.array([NEW_YEAR * each + 1], pa.timestamp(unit)) for unit, each in units.items())
    parts(folder, "timestamp", *times)
    found = read_interactions(folder).timestamps - NEW_YEAR
    np.testing.assert_allclose(found, [1, 1e-3, 1e-6, 1e-9], atol=2e-7)


def test_times_may_be_of_different_zones_but_not_of_none(folder):
    zones = [pa.array([NEW_YEAR], pa.timestamp("s", zone)) for zone in ("UTC", "Europe/Berlin")]
    parts(folder, "timestamp", *zones)
    assert read_interactions(folder).timestamps.tolist() == [NEW_YEAR, NEW_YEAR]
    datasets.write_parquet(
        folder / "2.parquet",
        {"user_id": ["u"], "item_id": ["x"], "timestamp": pa.array([5], pa.timestamp("s"))},
    )
    with pytest.raises(InputError, match=rf"^{folder}/2\.parquet: column timestamp holds timestamp"):
        read_interactions(folder)


def test_events_may_be_codes_in_some_files(folder):
    parts(folder, "event", pa.array(["view", None]).dictionary_encode(), pa.array(["buy"]), pa.nulls(1))
    read = read_interactions(folder)
    assert [read.event_types[event] for event in read.events] == ["view", "", "buy", ""]


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
    ],
)
def test_types_that_have_no_values_in_common_are_named_by_their_files(folder, column, one, other):
    one, other = (pa.array(values) for values in (one, other))
    parts(folder, column, one, pa.nulls(1), other)
    with pytest.raises(InputError) as caught:
        read_interactions(folder)
    assert str(caught.value) == (
        f"{folder}/2.parquet: column {column} holds {other.type}, but in {folder}/0.parquet it holds "
        f"{one.type}"
    )


def test_text_that_is_not_utf8_is_named_by_its_file_and_row(folder):
    broken = pa.array([b"a", b"caf\xe9"]).view(pa.string())
    parts(folder, "user_id", pa.array(["a"] * 3), broken)
    with pytest.raises(
        InputError, match=rf"^{folder}/1\.parquet, row 2: column user_id holds a byte 0xe9"
    ):
        read_interactions(folder)


@pytest.mark.parametrize("first", [True, False])
def test_a_file_without_a_column_that_others_have_is_named(folder, first):
    part(folder / "1.parquet", [("u", "x", 1.0)])
    datasets.write_parquet(
        folder / f"{0 if first else 2}.parquet", {"user_id": ["u"], "item_id": ["x"]}
    )
    without, with_it = folder / f"{0 if first else 2}.parquet", folder / "1.parquet"
    with pytest.raises(InputError, match=f"^{without}: has no column weight, but {with_it} has$"):
        read_interactions(folder)


def test_files_may_differ_in_columns_that_are_not_read(folder):
    part(folder / "0.parquet", [("u", "x", 1.0)], price=[1])
    part(folder / "1.parquet", [("u", "x", 1.0)], price=["1"])
    part(folder / "2.parquet", [("u", "x", 1.0)])
    assert len(read_interactions(folder)) == 3


def test_a_file_beside_the_partitions_is_named(folder):
    part(folder / "event=buy" / "0.parquet", [("u", "x", 1.0)])
    part(folder / "z.parquet", [("u", "x", 1.0)])
    with pytest.raises(InputError, match=rf"^{folder}/z\.parquet: lies in folders that give"):
        read_interactions(folder)


def test_a_column_that_is_a_partition_too_is_named(folder):
    part(folder / "event=buy" / "0.parquet", [("u", "x", 1.0)], event=["buy"])
    with pytest.raises(InputError, match="column event is there more than once"):
        read_interactions(folder)


def test_a_bad_row_is_named_by_its_file_and_its_row_there(folder):
    good = [("u", "x", 1.0)] * 5
    part(folder / "0.parquet", good)
    part(folder / "1.parquet", [("u", "x", 1.0)]).replace(folder / "2.parquet")
    part(folder / "1.parquet", [*good, ("u", "x", float("nan")), *good])
    with pytest.raises(InputError, match=rf"^{folder}/1\.parquet, row 6: weight is nan") as caught:
        read_interactions(folder)
    assert (caught.value.path, caught.value.row) == (folder / "1.parquet", 6)
    part(folder / "1.parquet", good)
    part(folder / "2.parquet", [("", "x", 1.0)])
    with pytest.raises(InputError, match=rf"^{folder}/2\.parquet, row 1: user_id is empty: leave"):
        read_interactions(folder)


def test_files_without_rows_are_fine_unless_all_are(folder):
    empty = {"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())}
    folder.mkdir()
    datasets.write_parquet(folder / "0.parquet", empty)
    with pytest.raises(InputError, match=f"^{folder}: there is no row in the files of this folder$"):
        read_interactions(folder)
    datasets.write_parquet(folder / "1.parquet", {"user_id": ["u"], "item_id": ["x"]})
    assert len(read_interactions(folder)) == 1


def test_a_folder_that_is_gone_is_named(folder):
    with pytest.raises(InputError, match=f"^{folder}: No such file or directory$"):
        parquet_folder.read_folder(folder, required=["user_id"], optional=[])


@pytest.mark.parametrize(("name", "what"), [("_delta_log", "Delta"), (".hoodie", "Hudi")])
def test_a_table_whose_files_hold_removed_rows_is_refused(folder, name, what):
    folder.mkdir()
    datasets.write_parquet(folder / "0.parquet", {"user_id": ["u"], "item_id": ["i"]})
    (folder / name).mkdir()
    with pytest.raises(
        InputError, match=rf"^{folder}: is a {what} table, whose files hold removed rows"
    ):
        read_interactions(folder)


def test_a_link_to_a_folder_is_refused_and_not_left_out(folder, tmp_path):
    folder.mkdir()
    datasets.write_parquet(folder / "0.parquet", {"user_id": ["u"], "item_id": ["i"]})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "more").symlink_to(elsewhere)
    with pytest.raises(InputError, match=rf"^{folder}/more: is a link to a folder"):
        read_interactions(folder)


def test_a_column_that_is_there_twice_is_named_with_its_file(folder):
    folder.mkdir()
    twice = pa.table([["u"], ["i"], ["j"]], names=["user_id", "item_id", "item_id"])
    pa.parquet.write_table(twice, folder / "0.parquet")
    with pytest.raises(InputError, match=rf"^{folder}/0\.parquet: column item_id is there more"):
        read_interactions(folder)
