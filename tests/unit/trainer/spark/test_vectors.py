import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from lightfm_retriever.publication.storage.chunks import row_chunks
from trainer.errors import SparkError
from trainer.spark.exchange import Exchange
from trainer.spark.vectors import collect

SCHEMA = pa.schema([("id", pa.int32()), ("features", pa.list_(pa.float32()))])

# What a trainer of many items does, in a process of its own: its memory is what is measured.
_COLLECT = """
import json, sys
from pathlib import Path
from trainer.spark.exchange import Exchange
from trainer.spark.vectors import collect

def kilobytes(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0])

folder, rows, rank, parts = sys.argv[1], *map(int, sys.argv[2:])
collect(Exchange(folder), "warm-up", Path(folder) / "warm-up.npy", parts=1, rows=8, rank=rank)
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
path = Path(folder) / "items.npy"
vectors, _ = collect(Exchange(folder), "items", path, parts=parts, rows=rows, rank=rank)
print(json.dumps([1024 * (kilobytes("VmHWM") - before), vectors.nbytes]))
"""


def write(folder, part, ids, factors):
    def batch(rows):
        vectors = pa.array([*np.asarray(factors[rows], dtype=np.float32)])
        return pa.RecordBatch.from_arrays([pa.array(ids[rows], pa.int32()), vectors], schema=SCHEMA)

    # As many at a time as Spark gives.
    Exchange(str(folder)).write(part, map(batch, row_chunks(len(ids), 10_000)), SCHEMA)


def collected(folder, *, rows, parts, rank=2):
    return collect(Exchange(str(folder)), "items", folder / "v.npy", parts=parts, rows=rows, rank=rank)


def test_factors_lie_at_their_rows_with_a_bias_of_zero(tmp_path):
    write(tmp_path, "items/0", [2, 0], [[1, 2], [3, 4]])
    write(tmp_path, "items/1", [1], [[5, 6]])
    vectors, missing = collected(tmp_path, rows=3, parts=2)
    assert (vectors.dtype, missing.tolist()) == (np.float32, [])
    assert np.load(tmp_path / "v.npy").tolist() == vectors.tolist() == [[3, 4, 0], [5, 6, 0], [1, 2, 0]]


def test_rows_without_a_factor_or_of_nearly_zeros_are_like_all_and_beat_nothing(tmp_path):
    write(tmp_path, "items/0", [0, 1, 3, 4], [[1, 2], [3, 4], [0, 0], [1e-20, 0]])
    vectors, missing = collected(tmp_path, rows=5, parts=1)
    assert missing.tolist() == [2, 3, 4]
    np.testing.assert_allclose(vectors[2:], [[0.002, 0.003, 0]] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        *(([[1, 2], [3, bad]], "diverged: not every factor") for bad in (np.nan, np.inf, 1e16)),
        ([[0, 0], [0, 0]], "gave no factor of items"),
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path, factors, message):
    write(tmp_path, "items/0", [0, 1], factors)
    with pytest.raises(SparkError, match=message):
        collected(tmp_path, rows=2, parts=1)


def test_the_memory_does_not_grow_with_the_catalogue(tmp_path):
    rows, rank, parts = 400_000, 64, 4
    for part in range(parts):
        ids = np.arange(part, rows, parts, dtype=np.int32)
        write(tmp_path, f"items/{part}", ids, np.ones((len(ids), rank), dtype=np.float32))
    write(tmp_path, "warm-up/0", [0], [[1.0] * rank])
    arguments = [sys.executable, "-c", _COLLECT, str(tmp_path), *map(str, (rows, rank, parts))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    grown, size = json.loads(done.stdout)
    assert size == rows * (rank + 1) * 4
    assert grown < 0.7 * size
