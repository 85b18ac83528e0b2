from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from tests import datasets
from trainer.errors import InputError
from trainer.interactions import read_interactions

ROWS = [("7", "東京", 5.0), ("Ünal", "a b/c", -1.5), ("7", "🎬", 0.0), ("7", "東京", 2.5)]


def as_rows(read):
    return [
        (read.user_ids[user], read.item_ids[item], weight)
        for user, item, weight in zip(read.users, read.items, read.weights.tolist(), strict=True)
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz", "a.parquet"])
def test_every_kind_of_file_gives_the_same_rows_in_their_order(tmp_path, name):
    read = read_interactions(datasets.write_rows(tmp_path / name, ROWS))
    assert as_rows(read) == ROWS
    assert (read.name, len(read)) == (name, 4)
    assert (read.user_ids, read.item_ids) == (["7", "Ünal"], ["東京", "a b/c", "🎬"])
    assert (read.users.dtype, read.items.dtype, read.weights.dtype) == (np.int64, np.int64, np.float32)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_without_weights_each_is_1_and_other_columns_are_ignored(tmp_path, suffix):
    columns = {
        "timestamp": ["", "x"],
        "item_id": ["b", "a"],
        "user_id": ["1", "1"],
        "weights": ["", ""],
    }
    read = read_interactions(datasets.write(tmp_path / f"a.{suffix}", columns))
    assert as_rows(read) == [("1", "b", 1.0), ("1", "a", 1.0)]


def test_integers_are_the_same_ids_in_parquet_as_in_csv(tmp_path):
    columns = {"user_id": [1, 20], "item_id": [3, 3], "weight": [4, 5]}
    read = [
        as_rows(read_interactions(datasets.write(tmp_path / name, columns)))
        for name in ("a.csv", "a.parquet")
    ]
    assert read[0] == read[1] == [("1", "3", 4.0), ("20", "3", 5.0)]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("", "b", "1"), "row 2: user_id: id '': is empty"),
        (("a", "", "1"), "row 2: item_id: id '': is empty"),
        (
            ("a", "x" * 513, "1"),
            "row 2: item_id: id 'x{57}\\.\\.\\.': has 513 bytes of UTF-8, at most 512",
        ),
        (("a", "b", "NaN"), "row 2: weight is nan, which isn't a finite number"),
        (("a", "b", "-inf"), "row 2: weight is -inf, which isn't a finite number"),
        (("a", "b", "five"), "row 2: weight is 'five', which isn't a number"),
        (("a", "b", ""), "row 2: weight is empty"),
    ],
)
def test_a_bad_row_is_named_by_file_row_and_value(tmp_path, suffix, bad, message):
    path = tmp_path / f"a.{suffix}"
    columns = zip(("a", "b", "1"), bad, ("c", "d", "2"), strict=True)
    datasets.write(path, dict(zip(("user_id", "item_id", "weight"), columns, strict=True)))
    with pytest.raises(InputError, match=f"^{path}, {message}$"):
        read_interactions(path)


def test_a_missing_column_is_named(tmp_path):
    path = datasets.write(tmp_path / "a.csv", {"user": ["1"], "item_id": ["2"]})
    with pytest.raises(InputError, match="column user_id is missing; the columns are: user, item_id"):
        read_interactions(path)


def test_ids_are_not_normalised_nor_trimmed(tmp_path):
    forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    path = datasets.write_rows(tmp_path / "a.csv", [(form, "i", 1.0) for form in [*forms, " é", "É"]])
    assert read_interactions(path).user_ids == [*forms, " é", "É"]
