"""Answers to messages."""

import itertools
import math

import numpy as np
import pytest
from msgspec import structs
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from retriever.answer_words import ShortReason, Source
from retriever.answering.filters import EmptyRange, UnknownValue
from retriever.answering.model import ScoreParts
from retriever.answering.queries import RankedRows
from retriever.worker import answer_messages
from tests import retrievable

TITLES = ["Zero", "", "Zwei – 二"]


def snapshot(**changes):
    columns = [
        TextColumn("genres", [["drama", "Ärger", "a"], [], ["drama"]]),
        NumberColumn("year", np.array([1977.5, math.nan, 0.0])),
        TextColumn("studio", [[], ["x"], []]),
    ]
    published = {"titles": TITLES, "attributes": Attributes.build(columns, 3), **changes}
    ids = ["zero", "東京", "nul\0nul"]
    return retrievable.snapshot([[1, 0, 0]] * 3, [[1, 0, 0]], item_ids=ids, **published)


def filled_in(*rows, attributes=(), published=None, **changes):
    """The message of an answer with these rows."""
    scores = np.array([2.5 - place for place in range(len(rows))], dtype=np.float32)
    made = RankedRows(np.array(rows, dtype=np.int64), scores, Source.PERSONALIZED, False, 110, 7)
    response, of = pb.RecommendResponse(), snapshot(**published or {})
    answer_messages.fill_in(
        response, of, structs.replace(made, **changes), attributes, of.publication.items.external_id
    )
    return response


def test_an_answer_is_filled_in_in_its_order():
    assert filled_in(2, 0, 1) == pb.RecommendResponse(
        version="20261124T043500Z-3fa9c1",
        source=pb.SOURCE_PERSONALIZED,
        method=pb.SEARCH_METHOD_INDEX,
        candidates=110,
        filtered=7,
        items=[
            pb.ScoredItem(item_id="nul\0nul", score=2.5),
            pb.ScoredItem(item_id="zero", score=1.5),
            pb.ScoredItem(item_id="東京", score=0.5),
        ],
    )


def test_every_source_and_reason_to_be_short_has_its_number():
    for source, reason in itertools.product(Source, ShortReason):
        made = filled_in(source=source, short=reason)
        assert pb.Source.Name(made.source) == f"SOURCE_{source.upper()}"
        assert pb.ShortReason.Name(made.short_reason) == f"SHORT_REASON_{reason.upper()}"


def test_what_else_an_answer_says_is_filled_in():
    response = filled_in(
        exact=True,
        unknown=["x", "東"],
        next_page="t",
        unknown_values=[UnknownValue("genres", "Drama", ["drama"]), UnknownValue("y", "é" * 600, [])],
        empty_ranges=[EmptyRange("year", 1.0, 2.0), EmptyRange("size", None, None)],
    )
    assert response.method == pb.SEARCH_METHOD_EXACT
    assert list(response.unknown_ids) == ["x", "東"]
    assert response.next_page_token == "t"  # noqa: S105
    assert response.short_reason == pb.SHORT_REASON_UNSPECIFIED
    near, cut = response.unknown_filter_values
    assert (near.attribute, near.value, list(near.near)) == ("genres", "Drama", ["drama"])
    assert cut.value.endswith("é...")
    assert len(cut.value.encode()) <= answer_messages.MAX_VALUE_BYTES + 3
    known, unknown = response.empty_filter_ranges
    assert (known.attribute, known.least, known.greatest) == ("year", 1.0, 2.0)
    assert unknown == pb.EmptyFilterRange(attribute="size")


def test_attributes_are_filled_in_where_an_item_has_them():
    response = filled_in(0, 1, 2, attributes=["year", "title", "genres"])
    first, second, third = response.items
    assert [item.title for item in response.items] == TITLES
    assert {*first.attributes} == {"year", "genres"}
    assert first.attributes["year"].number == 1977.5
    # In byte order.
    assert list(first.attributes["genres"].texts.values) == ["a", "drama", "Ärger"]
    # Nothing, and not that it is empty.
    assert {*second.attributes} == set()
    assert third.attributes["year"].WhichOneof("value") == "number"
    assert third.attributes["year"].number == 0
    assert list(third.attributes["genres"].texts.values) == ["drama"]
    # Only what is asked for, and there.
    (item,) = filled_in(0, attributes=["studio", "title"], published={"titles": None}).items
    assert ({*item.attributes}, item.title) == (set(), "")


@pytest.mark.parametrize(("of_features", "field"), [(False, "item_id"), (True, "feature")])
def test_explanations_are_filled_in_by_what_contributed(of_features, field):
    told = [
        ScoreParts([("x", 0.75), ("y", 0.5)], -0.25, of_features=of_features),
        ScoreParts([], 0.0, of_features=of_features),
    ]
    first, second = filled_in(0, 1, explanations=told).items
    parts = [{field: "x", "score": 0.75}, {field: "y", "score": 0.5}]
    assert first.explanation == pb.Explanation(bias=-0.25, contributions=parts)
    # It was asked for, and there is nothing to tell.
    assert second.HasField("explanation")
    assert second.explanation == pb.Explanation()
    assert not filled_in(0).items[0].HasField("explanation")


def test_logs_and_traces_are_told_what_an_answer_is_of():
    told = answer_messages.call_facts(filled_in(2, 0, exact=True))
    assert told == {
        "version": "20261124T043500Z-3fa9c1",
        "results": 2,
        "source": "PERSONALIZED",
        "exact": True,
        "candidates": 110,
    }
    assert not answer_messages.call_facts(filled_in())["exact"]
    batch = pb.BatchRecommendResponse(version="v", results=[{}, {}, {}])
    assert answer_messages.call_facts(batch) == {"version": "v", "results": 3}
    assert answer_messages.call_facts(pb.GetStatusResponse()) == {}
