"""Invalid rows are left out, counted by reason and written, and the others are read as they are."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import datasets
from tests.datasets import as_rows
from trainer.data import features, interactions
from trainer.data.files.layout import Layout
from trainer.data.skipping import Reading
from trainer.data.times.date_formats import parse
from trainer.errors import InputError, OptionError

NOW = 1_767_225_600.0
GOOD = ("u", "a", "1", "1700000000")
USUAL = Layout(recognises=True, flags="--")
HEADER = ("user_id", "item_id", "weight", "timestamp")


def write(path, rows, header=HEADER):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path, layout=USUAL, form=None, skipped=None):
    reading = Reading(layout, form, skips=True, skipped_file=skipped)
    return interactions.read_interactions(path, now=NOW, reading=reading)


def skipped_of(path, **options):
    """The interactions, and the file of the rows that were left out."""
    target = path.with_name("skipped.csv")
    found = read(path, skipped=target, **options)
    if not target.exists():
        return found, []
    with target.open(newline="") as file:
        return found, [*csv.reader(file)][1:]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("", "a", "1", "1700000000"), "user_id is empty"),
        (("u", "", "1", "1700000000"), "item_id is empty"),
        (("u" * 513, "a", "1", "1700000000"), "user_id has more than 512 bytes"),
        (("ü" * 257, "a", "1", "1700000000"), "user_id has more than 512 bytes"),
        *(
            (("u", "a", weight, "1700000000"), "weight isn't a number from -1e+09 to 1e+09")
            for weight in ("", "much", "nan", "inf", "1e10", "1_000")
        ),
        *(
            (("u", "a", "1", time), "timestamp isn't a time up to now")
            for time in ("", "yesterday", "1700000000000", "1767400000", "2026-02-30")
        ),
        (("u", "a", "1"), "the row has more or fewer values than the header"),
        (("u", "a", "1", "1700000000", "x"), "the row has more or fewer values than the header"),
    ],
)
def test_an_invalid_row_is_left_out_and_written(tmp_path, row, reason):
    path = write(tmp_path / "a.csv", [GOOD, row, GOOD, ("v", *GOOD[1:])])
    # Without the flag it is an error.
    with pytest.raises(InputError) as caught:
        interactions.read_interactions(path, now=NOW, reading=Reading(USUAL))
    assert caught.value.row == 2
    assert "--skip-invalid leaves out such rows" in str(caught.value) or "values" in str(caught.value)
    found, [[number, why, text]] = skipped_of(path)
    assert (number, why, text) == ("2", reason, ",".join(row))
    assert [own[:2] for own in as_rows(found)] == [("u", "a"), ("u", "a"), ("v", "a")]
    [warning] = [own for own in found.warnings if "left out" in own]
    assert f"left out 1 of 4 rows of a.csv: 1 because {reason} (such as row 2)" in warning


def test_rows_keep_their_numbers_after_rows_that_can_not_be_read(tmp_path):
    path = write(tmp_path / "a.csv", [GOOD, ("cut",), ("", *GOOD[1:]), GOOD, ("x",) * 9])
    _, skipped = skipped_of(path)
    assert [own[0] for own in skipped] == ["2", "3", "5"]
    assert skipped[0][2] == "cut"


def test_a_byte_of_another_encoding_makes_a_row_invalid(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"user_id,item_id\nu,a\ncaf\xe9,b\nv,c\n")
    found, [[number, reason, _]] = skipped_of(path)
    assert (number, reason) == ("2", "a value holds a byte that isn't in the encoding")
    assert found.user_ids == ["u", "v"]


def test_nothing_is_written_if_all_rows_are_valid(tmp_path):
    found, skipped = skipped_of(write(tmp_path / "a.csv", [GOOD]))
    assert (skipped, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("u", "a", "1", "13/1/2020")] * 2, "timestamp is '13/1/2020'.*give --date-format d/m/Y"),
        ([("u", "a", "many", "1700000000")] * 2, "weight is 'many', which isn't a number"),
        ([("", "a", "1", "1700000000")] * 2, "user_id is empty"),
        ([("cut",)] * 2, r"has 1 value, .* \(so are all other rows\)"),
    ],
)
def test_a_file_without_a_valid_row_is_an_error(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / "a.csv", rows))


def test_a_quote_that_never_ends_is_an_error_also_here(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('user_id,item_id\nu,a\nv\n"w,b\nx,c\n')
    with pytest.raises(InputError, match="row 3: a quote opens in this row and is never closed"):
        read(path)


def test_parquet_files_are_left_invalid_rows_out_of_too(tmp_path):
    columns = {"user_id": ["u", None, "v"], "item_id": [1, 2, 3], "weight": [1.0, 2.0, None]}
    found, skipped = skipped_of(datasets.write(tmp_path / "a.parquet", columns))
    assert found.user_ids == ["u"]
    assert [own[1:] for own in skipped] == [
        ["user_id is empty", ",2,2"],
        ["weight isn't a number from -1e+09 to 1e+09", "v,3,"],
    ]
    folder = tmp_path / "folder"
    folder.mkdir()
    datasets.write(folder / "0.parquet", columns)
    with pytest.raises(OptionError, match="--skip-invalid is set, but should be left out"):
        read(folder)


def test_rows_of_items_are_left_out_too(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,title\na,A\nb,B,C\n,D\na,E\nc,F\n")
    target = tmp_path / "skipped.csv"
    with pytest.raises(InputError, match="row 2: has 3 values"):
        features.read_features(path, "item", columns=[], reading=Reading(USUAL))
    reading = Reading(USUAL, skips=True, skipped_file=target)
    read = features.read_features(path, "item", columns=[], reading=reading)
    assert (read.ids, read.titles) == (["a", "c"], ["A", "F"])
    assert target.read_text().splitlines()[1:] == [
        '2,"the row has more or fewer values than the header","b,B,C"',
        '3,"item_id is empty",",D"',
        '4,"item_id is also in an earlier row","a,E"',
    ]
    assert "left out 3 of 5 rows of items.csv" in read.warnings[0]


def test_a_time_must_have_the_form_that_is_given(tmp_path):
    rows = [
        ("u", "a", "1", "31/1/2020 8:05"),
        ("v", "b", "1", "2020-01-31"),
        ("w", "c", "1", "1/31/2020 8:05"),
    ]
    found, skipped = skipped_of(write(tmp_path / "a.csv", rows), form=parse("d/m/Y H:M"))
    assert found.timestamps.tolist() == [1_580_457_900.0]
    assert [own[0] for own in skipped] == ["2", "3"]


def test_a_file_that_can_not_be_written_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", [GOOD, ("", *GOOD[1:])])
    with pytest.raises(OptionError, match=r"--skipped-file is .*, but should be a file that can be"):
        read(path, skipped=path / "below.csv")


IDS = st.sampled_from(["", "u", "v", "wé", "x y"])
CELLS = st.tuples(
    IDS,
    IDS,
    st.sampled_from(["1", "-2.5", "", "x", "1e99"]),
    st.sampled_from(["1700000000", "2020-01-01", "", "soon"]),
)


@given(st.lists(CELLS, max_size=12), st.booleans())
def test_what_is_kept_is_what_a_file_without_the_others_holds(tmp_path_factory, rows, cuts):
    folder = tmp_path_factory.mktemp("skipping")
    valid = [
        own
        for own in rows
        if own[0] and own[1] and own[2] in ("1", "-2.5") and own[3] in ("1700000000", "2020-01-01")
    ]
    mixed = [GOOD, *rows, *([("cut",)] if cuts else [])]
    found, skipped = skipped_of(write(folder / "all.csv", mixed))
    expected = interactions.read_interactions(write(folder / "good.csv", [GOOD, *valid]), now=NOW)
    assert as_rows(found) == as_rows(expected)
    assert len(skipped) == len(mixed) - 1 - len(valid)
    assert np.array_equal(sorted(int(own[0]) for own in skipped), [int(own[0]) for own in skipped])
