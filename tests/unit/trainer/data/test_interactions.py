import unicodedata
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests import datasets
from trainer.data.interactions import read_interactions
from trainer.errors import InputError

NOW = 1_782_820_800.0
NEW_YEAR = 1_767_225_600.0
# Neither normalised nor trimmed.
FORMS = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
ROWS = [("7", "東京", 5.0), (" É", "a b/c", -1.5), ("7", "🎬", 0.0), ("7", "東京", 2.5)]
ROWS += [("7", form, 1.0) for form in FORMS]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz", "a.parquet"])
def test_every_kind_of_file_gives_the_same_rows_in_their_order(tmp_path, name):
    users, items, weights = zip(*ROWS, strict=True)
    times = ["2026-01-01", "2026-01-01T00:00:01.5Z", "2026-01-01 01:00+01:00", *["1767225600"] * 3]
    events = ["view", "", "Käufe", "view", "", "view"]
    columns = {"event": events, "user_id": users, "timestamp": times, "item_id": items}
    read = read_interactions(datasets.write(tmp_path / name, {**columns, "weight": weights}))
    seconds = [NEW_YEAR, NEW_YEAR + 1.5, *[NEW_YEAR] * 4]
    expected = [
        (*row, *more) for row, more in zip(ROWS, zip(seconds, events, strict=True), strict=True)
    ]
    assert datasets.as_rows(read) == expected
    assert (read.name, len(read)) == (name, len(ROWS))
    assert (read.user_ids, read.item_ids) == (["7", " É"], ["東京", "a b/c", "🎬", *FORMS])
    assert read.event_types == ["view", "", "Käufe"]
    kinds = [own.dtype for own in (read.users, read.items, read.weights, read.timestamps, read.events)]
    assert kinds == [np.int64, np.int64, np.float32, np.float64, np.int64]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_without_weights_each_is_1_and_other_columns_are_ignored(tmp_path, suffix):
    # Integers are the same ids in Parquet as in CSV.
    columns = {"time": ["", "x"], "item_id": [20, 3], "user_id": [1, 1], "weights": ["", ""]}
    read = read_interactions(datasets.write(tmp_path / f"a.{suffix}", columns))
    assert datasets.weighed_pairs(read) == [("1", "20", 1.0), ("1", "3", 1.0)]
    assert (read.timestamps, read.events, read.event_types) == (None, None, [])


def test_odd_times_are_warnings_and_by_the_machines_clock_a_year_ahead_is_refused(tmp_path):
    columns = {"user_id": ["1", "2"], "item_id": ["a", "b"], "timestamp": [893_286_638, 0]}
    path = datasets.write(tmp_path / "a.csv", columns)
    early, old = read_interactions(path, now=NOW).warnings
    assert early.startswith(
        f"{path}: 1 of 2 rows have a timestamp before 1971, such as row 2 (0, which"
    )
    assert "the newest timestamp is 893286638, which is 1998-04-22T23:10:38Z, 28 years ago" in old
    ahead = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    datasets.write(path, {**columns, "timestamp": [ahead] * 2})
    with pytest.raises(InputError, match=r"row 1: timestamp is .*Z, more than a day ahead of this ma"):
        read_interactions(path)


WHO_AND_WHAT = (st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 9).map(float))
ROW = st.tuples(*WHO_AND_WHAT, st.sampled_from(["view", "buy", ""]), st.booleans())


@given(st.lists(ROW))
def test_some_of_the_rows_are_what_they_would_be_in_a_file_of_their_own(rows):
    def made(of):
        *rows, numbers, events, _ = zip(*of, strict=True)
        times = [number * 1000 for number in numbers]
        return datasets.interactions(zip(*rows, numbers, strict=True), timestamps=times, events=events)

    left = [row for row in rows if row[-1]]
    assume(left)
    found, expected = made(rows).where(np.array([row[-1] for row in rows])), made(left)
    assert datasets.as_rows(found) == datasets.as_rows(expected)
    assert (found.user_ids, found.item_ids) == (expected.user_ids, expected.item_ids)
    assert (found.event_types, found.users.dtype) == (expected.event_types, expected.users.dtype)
