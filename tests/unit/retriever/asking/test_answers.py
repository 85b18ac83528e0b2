"""Messages to plain values."""

from __future__ import annotations

import json
from dataclasses import asdict

from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.asking.answers import (
    Answer,
    Contribution,
    EmptyFilterRange,
    Explanation,
    ScoredItem,
    UnknownFilterValue,
    answer,
)


def test_everything_that_an_answer_says_is_told():
    texts = pb.AttributeValue(texts=pb.Values(values=["Action", "War"]))
    response = pb.RecommendResponse(
        items=[
            pb.ScoredItem(
                item_id="50",
                score=1.5,
                title="Star Wars – 二",
                attributes={"year": pb.AttributeValue(number=0), "genres": texts},
                explanation=pb.Explanation(
                    contributions=[
                        pb.Contribution(item_id="181", score=0.75),
                        pb.Contribution(feature="age:25-34", score=0.5),
                    ],
                    bias=-0.25,
                ),
            ),
            # An explanation that has nothing to tell is still one.
            pb.ScoredItem(item_id="東京", score=-1, explanation=pb.Explanation()),
            pb.ScoredItem(),
        ],
        version="v1",
        source=pb.SOURCE_FOLDED_IN,
        method=pb.SEARCH_METHOD_INDEX,
        candidates=110,
        filtered=7,
        short_reason=pb.SHORT_REASON_FILTER,
        unknown_ids=["x", "y"],
        unknown_filter_values=[pb.UnknownFilterValue(attribute="a", value="b", near=["c"])],
        empty_filter_ranges=[
            pb.EmptyFilterRange(attribute="a", least=0, greatest=1),
            pb.EmptyFilterRange(attribute="b"),
        ],
        next_page_token="t",  # noqa: S106
    )
    contributions = (Contribution(0.75, item_id="181"), Contribution(0.5, feature="age:25-34"))
    told = answer(response)
    # It holds nothing of the message.
    response.Clear()
    assert told == Answer(
        items=[
            ScoredItem(
                item_id="50",
                score=1.5,
                title="Star Wars – 二",
                attributes={"genres": ["Action", "War"], "year": 0.0},
                explanation=Explanation(contributions, bias=-0.25),
            ),
            ScoredItem("東京", -1.0, explanation=Explanation((), 0.0)),
            ScoredItem("", 0.0),
        ],
        version="v1",
        source="folded_in",
        method="index",
        candidates=110,
        filtered=7,
        short_reason="filter",
        unknown_ids=["x", "y"],
        unknown_filter_values=[UnknownFilterValue("a", "b", ["c"])],
        empty_filter_ranges=[EmptyFilterRange("a", 0.0, 1.0), EmptyFilterRange("b")],
        next_page_token="t",  # noqa: S106
    )
    # Frozen, and so of use in a set; it can be written as JSON, the attributes by their names.
    assert len({*told.items, *told.items}) == 3
    assert [*json.loads(json.dumps(asdict(told)))["items"][0]["attributes"]] == ["genres", "year"]
    # Of what a response doesn't say, as that of a service that is older, nothing is told.
    assert answer(pb.RecommendResponse()) == Answer(items=[], version="")


def test_every_word_is_known_and_what_is_newer_than_the_client_is_its_number():
    for field, enum, prefix in (
        ("source", pb.Source, "SOURCE_"),
        ("method", pb.SearchMethod, "SEARCH_METHOD_"),
        ("short_reason", pb.ShortReason, "SHORT_REASON_"),
    ):
        for name, number in enum.items():
            word = getattr(answer(pb.RecommendResponse(**{field: number})), field)
            assert f"{prefix}{(word or 'unspecified').upper()}" == name
        assert getattr(answer(pb.RecommendResponse(**{field: 77})), field) == "77"
