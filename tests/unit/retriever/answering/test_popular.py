"""What is popular: one ranking for all, under filters and exclusions, from any place in it."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.attributes import Attributes, TextColumn
from retriever.answering import popular, queries
from retriever.answering.filters import look_up
from retriever.answering.pages import Position
from retriever.answering.popular import find_popular
from retriever.answering.questions import Options, ValueCondition
from retriever.answering.search import Wanted
from retriever.errors import NotPublishedError
from tests import retrievable

# By bytes, capitals come first.
IDS = ["b", "a", "C", "é", "z"]
COUNTS = [3, 3, 3, 0, 9]
POPULAR = Options(unknown_ids="popular", explain=True)


def snapshot(counts=COUNTS, item_ids=IDS, **changes):
    ranking = sorted(range(len(counts)), key=lambda row: (-counts[row], item_ids[row].encode()))
    columns = [TextColumn("parity", [["odd"] if row % 2 else ["even"] for row in range(len(counts))])]
    published = {
        "popularity": np.array(counts, dtype=np.int32),
        "popular_items": np.array(ranking, dtype=np.int32),
        "attributes": Attributes.build(columns, len(counts)),
        **changes,
    }
    vectors = np.ones((len(counts), 3))
    return retrievable.snapshot(vectors, vectors[:1], item_ids=item_ids, **published)


def wanted(own, start, limit, excluded=(), parity=None):
    items = len(own.publication.item_vectors)
    conditions = [ValueCondition("parity", "any", [parity])] if parity else []
    found = look_up(conditions, own.publication.attributes, items) if conditions else None
    rows = np.array(excluded, dtype=np.int32)
    return Wanted(limit, items, rows, found, position=Position(0, start))


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=20),
    st.sets(st.integers(0, 19)),
    st.sampled_from([None, "odd", "even", "neither"]),
    st.integers(0, 20),
    st.integers(1, 20),
    st.integers(1, 25),
)
def test_any_part_of_the_ranking_is_what_the_reference_has_there(
    counts, excluded, parity, start, limit, step
):
    item_ids = [chr(ord("z") - row) for row in range(len(counts))]
    own = snapshot(counts, item_ids)
    excluded = sorted(row for row in excluded if row < len(counts))
    matching = [row for row in range(len(counts)) if parity in (None, ["even", "odd"][row % 2])]
    allowed = {*matching} - {*excluded}
    ranked = sorted(allowed, key=lambda row: (-counts[row], item_ids[row]))
    with mock.patch.object(popular, "_STEP", step):
        found = find_popular(own, wanted(own, start, limit, excluded, parity))
    expected = ranked[start : start + limit]
    assert found.rows.tolist() == expected
    assert found.scores.tolist() == [counts[row] for row in expected]
    assert found.scores.dtype == np.float32
    assert 0 <= found.filtered <= found.candidates <= len(counts)
    assert found.candidates - found.filtered >= min(start + limit, len(ranked))
    # When fewer came, all was looked at and the reason is known.
    assert found.total in (None, len(ranked))
    assert found.matching in (None, len(matching))
    assert len(expected) == limit or None not in (found.total, found.matching)


def test_equal_counts_come_in_the_byte_order_of_their_ids_and_nothing_explains_them():
    answer = queries.recommend(snapshot(), "nobody", POPULAR)
    assert [IDS[row] for row in answer.rows] == ["z", "C", "a", "b", "é"]
    assert answer.scores.tolist() == [9, 3, 3, 3, 0]
    assert (answer.source, answer.exact, answer.short) == ("popular", True, "catalogue")
    assert list(answer.unknown) == ["nobody"]
    assert [(list(own.contributions), own.bias) for own in answer.explanations] == [([], 0)] * 5


def test_only_as_much_of_a_long_ranking_is_looked_at_as_it_takes():
    own = snapshot([0] * 9000, [str(row) for row in range(9000)])
    found = find_popular(own, wanted(own, 0, 10))
    assert (found.candidates, found.filtered) == (4096, 0)


@pytest.mark.parametrize("missing", ["popularity", "popular_items"])
def test_a_version_that_does_not_know_what_is_popular_says_so(missing):
    own = snapshot(**{missing: None})
    with pytest.raises(NotPublishedError, match="what is popular"):
        queries.recommend(own, "nobody", POPULAR)
    # A known user doesn't need it.
    assert queries.recommend(own, "user-0", Options(unknown_ids="popular"))
