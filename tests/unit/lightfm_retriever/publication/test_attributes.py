import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from lightfm_retriever.publication.manifest import AttributeFacts
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications

ITEMS = publications.ITEMS

# Few values, so that items share them; some look like a key, or like another's beginning.
values = st.sampled_from(["a", "b", "ab", "0:a", "1:", ":", "é", "e\N{COMBINING ACUTE ACCENT}", "\0"])
values |= st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
texts = st.lists(st.lists(values, max_size=4), min_size=ITEMS, max_size=ITEMS)
numbers = st.lists(
    st.sampled_from([math.nan, -0.0, 0.0, 1.0, 1e300]) | st.floats(allow_infinity=False),
    min_size=ITEMS,
    max_size=ITEMS,
)
columns = st.lists(
    st.tuples(st.just(TextColumn), texts) | st.tuples(st.just(NumberColumn), numbers.map(np.array)),
    max_size=4,
).map(lambda made: [kind(f"attribute {place}", own) for place, (kind, own) in enumerate(made)])


def published(attributes):
    with tempfile.TemporaryDirectory() as volume:
        with Staging(Path(volume)) as staging:
            publications.stage(staging)
            staging.add_attributes(attributes)
            facts = publications.facts(attributes=[*attributes.facts])
            version = staging.publish(facts).version
        verify(Path(volume), version)
        return open_publication(Path(volume), version).attributes


def assert_holds(attributes, given_columns):
    for position, column in enumerate(given_columns):
        assert attributes.position(column.name) == position
        if isinstance(column, TextColumn):
            assert attributes.kind(position) == "text"
            for row, own in enumerate(column.values):
                assert attributes.texts(position, row) == sorted({*own})
            for value in {value for own in column.values for value in own}:
                rows = [row for row, own in enumerate(column.values) if value in own]
                token = attributes.token(position, value)
                assert attributes.items_with(token).tolist() == rows
                assert [row for row in range(ITEMS) if token in attributes.tokens[row]] == rows
            assert attributes.token(position, "nobody's") is None
        else:
            assert attributes.kind(position) == "number"
            own = column.values
            got, order, ordered = attributes.number_index(position)
            np.testing.assert_array_equal(got, own)
            np.testing.assert_array_equal(ordered, own[order])
            # Those without come last, by row.
            values = [None if math.isnan(number) else number for number in own.tolist()]
            ranked = sorted(range(ITEMS), key=lambda row: (values[row] is None, values[row] or 0, row))
            assert order.tolist() == ranked
            assert [attributes.number(position, row) for row in range(ITEMS)] == values


@settings(max_examples=25)
@given(columns)
def test_what_is_published_is_what_is_opened(no_waiting_for_the_disk, given_columns):
    built = Attributes.build(given_columns, ITEMS)
    assert [own.name for own in built.facts] == [own.name for own in given_columns]
    assert_holds(built, given_columns)
    opened = published(built)
    if not given_columns:
        assert opened is None
        return
    assert opened.facts == built.facts
    assert_holds(opened, given_columns)


def test_an_attribute_that_is_not_there_has_no_position_and_no_kind():
    attributes = publications.ATTRIBUTES
    assert attributes.position("nothing") is None
    assert attributes.position("Genres") is None
    with pytest.raises(LookupError):
        attributes.number_index(0)
    nobody_has_it = Attributes.build([TextColumn("none", [[]] * ITEMS)], ITEMS)
    assert nobody_has_it.texts(0, 0) == []
    assert nobody_has_it.token(0, "x") is None
    numbers_only = Attributes.build([NumberColumn("n", np.zeros(2))], 2)
    with pytest.raises(LookupError, match="no attribute is text"):
        numbers_only.token(0, "x")
    assert numbers_only.facts == [AttributeFacts(name="n", kind="number")]


def test_what_cannot_be_published_is_refused():
    for column, reason in (
        (TextColumn("t", [[""]]), "should have 1 to 500 bytes"),
        (TextColumn("t", [["é" * 251]]), "should have 1 to 500 bytes"),
        (TextColumn("t", [["a"], ["b"]]), "has 2 rows, not 1"),
        (NumberColumn("n", np.array([np.inf])), "infinite"),
        (NumberColumn("n", np.zeros(3)), "has 3 rows, not 1"),
    ):
        with pytest.raises(ValueError, match=reason):
            Attributes.build([column], 1)
    longest = "é" * 250
    assert Attributes.build([TextColumn("t", [[longest]])], 1).texts(0, 0) == [longest]
