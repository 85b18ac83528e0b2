import pickle
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from trainer.spark.exchange import Exchange

SCHEMA = pa.schema([("id", pa.int32())])


def batch(*ids):
    return pa.RecordBatch.from_arrays([pa.array(ids, pa.int32())], schema=SCHEMA)


def ids(of, name):
    return [one for part in of.read(name) for one in part.column("id").to_pylist()]


@pytest.fixture(params=["folder", "store"])
def exchange(request, tmp_path):
    """In a folder; and by the object store's library, which can keep objects in one too."""
    return Exchange(str(tmp_path) if request.param == "folder" else tmp_path.as_uri())


def test_a_part_is_read_as_it_was_written_last_and_a_large_one_in_pieces(exchange):
    for number in (1, 2):
        exchange.write("pairs/0", [batch(number, 2), batch(3)], SCHEMA)
        exchange.write("pairs/1", [], SCHEMA)
        assert (ids(exchange, "pairs/0"), ids(exchange, "pairs/1")) == ([number, 2, 3], [])
    exchange.write("items/0", [batch(*range(10_000))], SCHEMA)
    assert [one.num_rows for one in exchange.read("items/0")] == [4096, 4096, 1808]


def test_a_write_that_fails_leaves_nothing(exchange, tmp_path):
    def failing():
        yield batch(1)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        exchange.write("items/0", failing(), SCHEMA)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_credentials_stay_here_and_a_folder_that_a_node_does_not_see_is_told_of(tmp_path):
    there = pickle.loads(pickle.dumps(Exchange("s3://a/b", credentials=dict)))  # noqa: S301
    assert vars(there) == vars(Exchange("s3://a/b"))
    with pytest.raises(FileNotFoundError, match="give every node of the cluster the volume's"):
        [*Exchange(str(tmp_path / "elsewhere")).read("pairs/0")]


def test_a_stores_parts_are_removed_but_only_what_is_old_is_taken_for_abandoned(tmp_path):
    exchange = Exchange(tmp_path.as_uri())
    day = timedelta(days=1)
    for removed in ({}, {"before": datetime.now(UTC) + day}):
        for name in ("pairs/0", "items/0"):
            exchange.write(name, [batch(1)], SCHEMA)
        exchange.remove(before=datetime.now(UTC) - day)
        assert ids(exchange, "items/0") == [1]
        exchange.remove(**removed)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
