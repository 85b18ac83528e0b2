import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("pyspark", reason="there is no Spark here: make spark")

from trainer.spark import als
from trainer.spark.exchange import Exchange


@pytest.mark.parametrize("part_pairs", [1, 2, 3, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_positives_are_written_with_their_rows(tmp_path, monkeypatch, weighted, part_pairs):
    monkeypatch.setattr(als, "_PART_PAIRS", part_pairs)
    # A user without anything, a weight of 0 and one below it.
    weights = np.array([2, 0, 3, -1, 5], dtype=np.float32)
    train = sp.csr_matrix((weights, ([0, 0, 2, 2, 3], [1, 2, 0, 2, 2])), shape=(4, 3))
    exchange = Exchange(str(tmp_path))
    parts = als.write_pairs(exchange, train, weighted=weighted)
    assert parts == -(-train.nnz // part_pairs)
    batches = (batch for part in range(parts) for batch in exchange.read(f"pairs/{part}"))
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    expected = [(0, 1, 2.0), (2, 0, 3.0), (3, 2, 5.0)]
    assert rows == [(user, item, weight if weighted else 1.0) for user, item, weight in expected]


def test_a_side_is_divided_so_that_each_part_is_small():
    assert als.blocks(1000, 64, pairs=100_000, cores=2) == 2
    assert als.blocks(1000, 64, pairs=100_000, cores=16) == 16
    assert als.blocks(1000, 64, pairs=1 << 30, cores=2) == 256
    # 10 million items of 256 bytes each.
    assert als.blocks(10_000_000, 64, pairs=1, cores=2) == 39
