"""Filters on attributes, from both sides: all rows that match, and which of some rows do."""

import math
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from retriever.answering import filters
from retriever.answering.filters import EmptyRange, look_up
from retriever.answering.questions import NumberCondition, ValueCondition
from retriever.errors import InvalidArgumentError
from tests.unit.retriever.answering.reference import matches

# Some look like the beginning of another, or like a value of the attribute beside it.
VALUES = ["a", "ab", "b", "1:a", "é", "東京"]
NUMBERS = [math.nan, -1e300, -0.0, 0.0, 1.0, 2.5, 1e300]
NO = "isn't an attribute"
KNOWN = "genres (text), year (number), cast (text), price (number)"
ENDS = [-math.inf, *NUMBERS[1:], 2.0, math.inf]


@st.composite
def questions(draw):
    """Values of each item, and conditions."""
    count = draw(st.integers(1, 12))
    texts = st.lists(st.sampled_from(VALUES), max_size=4)
    numbers = st.sampled_from(NUMBERS)
    of_names = {"genres": texts, "year": numbers, "cast": texts, "price": numbers}
    columns = {
        name: draw(st.lists(values, min_size=count, max_size=count))
        for name, values in of_names.items()
    }
    of_texts = st.builds(
        ValueCondition,
        st.sampled_from(["genres", "cast"]),
        st.sampled_from(["any", "all", "none"]),
        st.lists(st.sampled_from([*VALUES, "of no item"]), min_size=1, max_size=4),
    )
    ends = st.sampled_from(ENDS)
    of_numbers = st.builds(NumberCondition, st.sampled_from(["year", "price"]), ends, ends)
    return columns, draw(st.lists(of_texts | of_numbers, min_size=1, max_size=4))


def attributes_of(columns):
    made = [
        NumberColumn(name, np.array(values)) if name in ("year", "price") else TextColumn(name, values)
        for name, values in columns.items()
    ]
    return Attributes.build(made, len(columns["genres"]))


@given(questions(), st.sampled_from([0, 1 / 16, 1]), st.sampled_from([1, 8]))
def test_both_sides_of_a_filter_find_what_all_conditions_hold_for(question, mask_share, few):
    columns, conditions = question
    items = len(columns["genres"])
    catalogue = SimpleNamespace(texts=columns, numbers=columns)
    expected = [row for row in range(items) if matches(catalogue, conditions, row)]
    found = look_up(conditions, attributes_of(columns), items)
    with mock.patch.object(filters, "_MASK_SHARE", mask_share):
        rows = found.rows()
    assert rows.dtype == np.int64
    assert rows.tolist() == expected
    assert len(expected) <= found.most <= items
    # Any rows, in any order.
    asked = np.random.default_rng(items).permutation(items)
    for some in (asked, asked[:1], asked[:0]):
        with mock.patch.object(filters, "_FEW_LISTS", few):
            matching = found.matches(some)
        assert some[matching].tolist() == [row for row in some.tolist() if row in expected]


ATTRIBUTES = attributes_of(
    {
        "genres": [["a", "b"], ["a"], [], ["b"]],
        "year": [1.0, math.nan, -1e300, 1e300],
        "cast": [[], ["b"], ["b"], []],
        "price": [math.nan] * 4,
    }
)


def test_the_most_that_match_are_those_of_the_most_selective_condition():
    a, b = ValueCondition("genres", "any", ["a"]), ValueCondition("cast", "none", ["b"])
    year = NumberCondition("year", min=1e300)
    either = ValueCondition("genres", "any", ["a", "b"])
    none = ValueCondition("genres", "all", ["a", "of no item"])
    for conditions, most in (([a], 2), ([b], 2), ([a, b, year], 1), ([either], 4), ([none], 0)):
        assert look_up(conditions, ATTRIBUTES, 4).most == most


@pytest.mark.parametrize(
    ("condition", "field", "reason"),
    [
        (ValueCondition("", "any", ["a"]), "attribute", f"'' {NO}; known: {KNOWN}"),
        (NumberCondition("Year"), "attribute", f"'Year' {NO} (did you mean 'year'?); known: {KNOWN}"),
        # A long name is shortened in the message only.
        (NumberCondition("x" * 5000), "attribute", f"'{'x' * 64}' {NO}; known: "),
        (NumberCondition("genres", min=1), "range", "'genres' is text: use any_of, all_of or none_of"),
        *(
            (ValueCondition("year", kind, ["1"]), f"{kind}_of", "'year' is a number: use range")
            for kind in ("any", "all", "none")
        ),
    ],
)
def test_a_condition_that_does_not_fit_is_named_with_what_would(condition, field, reason):
    good = ValueCondition("cast", "none", ["b"])
    with pytest.raises(InvalidArgumentError) as caught:
        look_up([good, condition, good], ATTRIBUTES, 4)
    assert caught.value.field == f"filter.conditions[1].{field}"
    assert caught.value.reason.startswith(reason)
    with pytest.raises(InvalidArgumentError, match="isn't an attribute; known: none, because"):
        look_up([good], None, 4)


MISTAKEN = attributes_of(
    {
        "genres": [["Drama"], ["War"], ["Drama", "War"]],
        "year": [1990.0, math.nan, 1999.0],
        "cast": [[], [], []],
        "price": [math.nan, math.nan, math.nan],
    }
)


def test_values_that_no_item_has_are_named_with_what_may_be_meant():
    conditions = [
        ValueCondition("genres", "any", ["Dramaa", "War", "x"]),
        ValueCondition("genres", "none", ["war", "Dramaa"]),
        ValueCondition("genres", "all", ["Western"]),
    ]
    found = look_up(conditions, MISTAKEN, 3)
    assert [(one.attribute, one.value, [*one.near]) for one in found.unknown_values] == [
        ("genres", "Dramaa", ["Drama"]),
        ("genres", "x", []),
        ("genres", "war", ["War"]),
        # No more are looked for than is quick.
        ("genres", "Western", []),
    ]
    # No more are named than are read.
    values = [f"Drama{number}" for number in range(500)]
    found = look_up([ValueCondition("genres", "any", values)], MISTAKEN, 3)
    assert [one.value for one in found.unknown_values] == values[:10]
    assert [bool(one.near) for one in found.unknown_values] == [True] * 3 + [False] * 7


def test_ranges_that_no_number_is_in_say_what_the_numbers_are():
    ends = [("year", 2090), ("year", 1990, 1990), ("year", 1991, 1998), ("price", 0)]
    found = look_up([NumberCondition(*each) for each in ends], MISTAKEN, 3)
    year = EmptyRange("year", 1990.0, 1999.0)
    assert found.empty_ranges == [year, year, EmptyRange("price", None, None)]
