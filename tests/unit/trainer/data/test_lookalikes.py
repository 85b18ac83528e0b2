"""Ids that are likely to be a mistake: how many there are is told, and which."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.lookalikes import missing_of, warnings_of


def test_nothing_is_odd_about_most_ids():
    assert warnings_of("user", []) == []
    ids = ["7", "70", "v1.0", "a", "b c", "東京", "café", "a@b.c", "1e5", "10.5", "x-1"]
    assert warnings_of("user", [*ids, *ids]) == []


@pytest.mark.parametrize(
    "mark",
    ["nan", "NaN", "None", "NULL", "N/A", "n/a", "<NA>", "NaT", "undefined", " nan ", "\\N"],
)
def test_marks_of_a_missing_id_are_told_of(mark):
    assert warnings_of("user", ["a", mark])[0] == (
        f"user ids {mark!r} look like marks of a missing id: each is one user like any other; leave "
        "such rows out"
    )


def test_rows_of_marks_are_counted_where_they_are_known():
    ids = ["nan", "a", "null", "NaN", "None", "nan"]
    [warning] = warnings_of("item", ids, np.array([12, 5, 30]))
    assert warning.startswith("item ids 'nan', 'null', 'NaN' and 1 more in 42 rows look like marks")
    # That they differ in case goes without saying.
    assert "upper" not in warning


@pytest.mark.parametrize(
    ("ids", "what"),
    [
        (["café", unicodedata.normalize("NFD", "café")], "Unicode normalisation"),
        (["a", "a\N{ZERO WIDTH SPACE}"], "invisible characters"),
        (["a", "\N{ZERO WIDTH NO-BREAK SPACE}a"], "invisible characters"),
        (["a b", "a\N{NO-BREAK SPACE}b"], "invisible characters"),
        (["soft", "so\N{SOFT HYPHEN}ft"], "invisible characters"),
        (["3", "3 "], "white space around them"),
        (["3", "\t3"], "white space around them"),
        (["3", "3\N{IDEOGRAPHIC SPACE}"], "white space around them"),
        (["3", "3.0", "x", "y"], "'.0' at the end"),
        (["7", "007"], "zeros at the beginning"),
        (["0", "000"], "zeros at the beginning"),
        (["ab", "aB"], "upper and lower case"),
        (["straße", "STRAßE"], "upper and lower case"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_ids_that_look_the_same_are_told_of(ids, what, turned):
    ids = ids[::-1] if turned else ids
    pair = [own for own in ids if own not in ("x", "y")]
    assert warnings_of("user", ["other", *ids])[-1] == (
        f"user ids {pair[0]!a} and {pair[1]!a} differ only in {what}: they are different ids here"
    )


def test_pairs_are_counted_and_the_first_three_are_shown():
    ids = [f"u{number}" for number in range(10)]
    [warning] = warnings_of("user", [*ids, *(own.upper() for own in ids[:5])])
    assert warning == (
        "user ids 'u0' and 'U0', 'u1' and 'U1', 'u2' and 'U2' and 2 more such pairs differ only in "
        "upper and lower case: they are different ids here"
    )
    assert (
        " and 1 more such pair differ" in warnings_of("user", [*ids, *(i.upper() for i in ids[:4])])[0]
    )


def test_an_id_is_told_of_once_whatever_it_differs_in():
    ids = ["café", unicodedata.normalize("NFD", "café"), unicodedata.normalize("NFD", "CAFÉ")]
    assert [
        warning.partition("only in ")[2].partition(":")[0] for warning in warnings_of("u", ids)
    ] == [
        "Unicode normalisation",
        "upper and lower case",
    ]


def test_ids_with_white_space_around_are_told_of_even_alone():
    assert warnings_of("item", [" 1", " 2", "3"]) == [
        "item ids ' 1', ' 2' of 3 have white space around them, which is a part of the id"
    ]


def test_integers_that_were_written_as_floats_are_told_of_when_most_are():
    [warning] = warnings_of("user", ["1.0", "2.0", "3.0", "4.0", "x"])
    assert warning == (
        "user ids '1.0', '2.0', '3.0' and 1 more of 5 are integers written as floats, as dataframes do "
        "when one is missing"
    )
    assert warnings_of("user", ["1.0", "2.0", "x", "y", "z"]) == []


def test_numbers_that_a_spreadsheet_has_shortened_are_told_of():
    [warning] = warnings_of("item", ["4.00599E+12", "x", "y"])
    assert "ids '4.00599E+12' of 3 are numbers that a spreadsheet has shortened" in warning


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
    for warning in warnings_of("user", ids):
        if "differ only" in warning:
            more = warning.partition(" more such pair")[0].rpartition(" ")[2]
            counted += warning.count("' and '") + (int(more) if "more such" in warning else 0)
    assert counted == len(ids) - len({key(own) for own in ids})


def test_of_ids_that_are_trained_already_only_marks_are_told_of():
    ids = pa.array(["a", "A", "nan", "none", "-", "a "], pa.large_string())
    [warning] = missing_of("item", ids)
    assert warning.startswith("item ids 'nan' look like marks of a missing id: each is one item like")
    assert missing_of("item", ids[:2]) == []
