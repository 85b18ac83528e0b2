"""Ids that are likely to be a mistake: how many there are is told, and which."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.lookalikes import missing_of, warnings_of

MARKS = r"nan NaN None NULL N/A n/a <NA> NaT undefined \N"
LEAVE_OUT = "each counts as one user; leave such rows out"
FLOATS = "integers written as floats, as dataframes do when one is missing"
SHORT = "numbers that a spreadsheet has shortened, so several ids became one"
USUAL = "7 70 v1.0 a 東京 café a@b.c 1e5 10.5 x-1"


def odd(ids):
    return warnings_of("user", ids, np.arange(0))


@pytest.mark.parametrize("ids", [[], [*USUAL.split(), "b c"] * 2, ["1.0", "2.0", "x", "y", "z"]])
def test_nothing_is_odd_about_most_ids(ids):
    assert odd(ids) == []


@pytest.mark.parametrize(
    ("ids", "warning"),
    [
        *(
            (["a", mark], f"{mark!r} look like markers of a missing id: {LEAVE_OUT}")
            for mark in MARKS.split()
        ),
        # White space is told of even alone.
        ([" 1", " 2", "3"], "' 1', ' 2' of 3 have white space around them, which is part of the id"),
        (["1.0", "2.0", "3.0", "4.0", "x"], f"'1.0', '2.0', '3.0' and 1 more of 5 are {FLOATS}"),
        (["4.00599E+12", "x", "y"], f"'4.00599E+12' of 3 are {SHORT}"),
    ],
)
def test_odd_forms_are_told_of(ids, warning):
    assert odd(ids) == [f"user ids {warning}"]


def test_rows_of_marks_are_counted_where_they_are_known():
    rows = np.repeat(range(3), [12, 5, 30])
    [warning] = warnings_of("item", ["nan", "a", "null"], rows, ["NaN", " nan ", "nan"])
    assert warning.startswith("item ids 'nan', 'null', 'NaN' and 1 more in 42 rows look like markers")
    # That they differ in case goes without saying.
    assert "upper" not in warning


NFD = unicodedata.normalize("NFD", "café")
INVISIBLE, SPACE = "invisible characters", "white space around them"
ZEROS, CASE = "zeros at the beginning", "upper and lower case"


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        ("café", NFD, "Unicode normalisation"),
        ("a", "a\N{ZERO WIDTH SPACE}", INVISIBLE),
        ("a b", "a\N{NO-BREAK SPACE}b", INVISIBLE),
        ("soft", "so\N{SOFT HYPHEN}ft", INVISIBLE),
        ("3", "3 ", SPACE),
        ("3", "3\N{IDEOGRAPHIC SPACE}", SPACE),
        ("3", "3.0", "'.0' at the end"),
        ("7", "007", ZEROS),
        ("0", "000", ZEROS),
        ("straße", "STRAßE", CASE),
    ],
)
def test_ids_that_look_the_same_are_told_of(one, other, what):
    for first, second in ((one, other), (other, one)):
        assert odd(["x", first, "y", second, "z"])[-1] == (
            f"user ids {first!a} and {second!a} differ only in {what}: they are different ids here"
        )


def test_pairs_are_counted_and_the_first_three_are_shown():
    ids = [f"u{number}" for number in range(10)]
    for count, more in ((5, "2 more such pairs"), (4, "1 more such pair")):
        [warning] = odd([*ids, *(own.upper() for own in ids[:count])])
        assert warning == (
            f"user ids 'u0' and 'U0', 'u1' and 'U1', 'u2' and 'U2' and {more} differ only in {CASE}: "
            "they are different ids here"
        )


def test_an_id_is_told_of_once_whatever_it_differs_in():
    first, second = odd(["café", NFD, NFD.upper()])
    assert "only in Unicode normalisation:" in first
    assert f"only in {CASE}:" in second


@given(st.lists(st.text("aAéÉ0. \u0301\u200b", min_size=1, max_size=4), max_size=12, unique=True))
def test_every_pair_that_looks_the_same_is_counted_once(ids):
    """Beside one plain key for each id, which all steps together make of it."""

    def key(external_id):
        composed = unicodedata.normalize("NFC", external_id).replace("\u200b", "").strip()
        whole, dot, zeros = composed.partition(".")
        is_float = whole.isdecimal() and whole.isascii() and dot and zeros and not zeros.strip("0")
        number = whole if is_float else composed
        if number.isdecimal() and number.isascii():
            number = number.lstrip("0") or "0"
        return number.lower()

    counted = 0
    for warning in odd(ids):
        if "differ only" in warning:
            more = warning.partition(" more such pair")[0].rpartition(" ")[2]
            counted += warning.count("' and '") + (int(more) if "more such" in warning else 0)
    assert counted == len(ids) - len({key(own) for own in ids})


def test_of_ids_that_are_trained_already_only_marks_are_told_of():
    ids = pa.array(["a", "A", "nan", "none", "-", "a "], pa.large_string())
    [warning] = missing_of("item", ids)
    assert warning.startswith(
        "item ids 'nan' look like markers of a missing id: each counts as one item"
    )
