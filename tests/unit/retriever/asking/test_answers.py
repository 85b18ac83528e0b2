"""Messages to plain values."""

import json
from dataclasses import asdict

from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever import answer_words
from retriever.asking import answers
from retriever.asking.answers import Answer, Contribution, Explanation, ScoredItem, answer


def test_everything_that_an_answer_says_is_told():
    texts = pb.AttributeValue(texts=pb.Values(values=["Action", "War"]))
    attributes = {"year": pb.AttributeValue(number=0), "genres": texts}
    parts = [{"item_id": "181", "score": 0.75}, {"feature": "age:25-34", "score": 0.5}]
    explained = pb.Explanation(contributions=parts, bias=-0.25)
    items = [
        pb.ScoredItem(item_id="50", score=1.5, title="t", attributes=attributes, explanation=explained),
        # An explanation that has nothing to tell is still one.
        pb.ScoredItem(item_id="東京", score=-1, explanation=pb.Explanation()),
        pb.ScoredItem(),
    ]
    common = {"version": "v1", "candidates": 110, "filtered": 7, "unknown_ids": ["x", "y"]}
    common |= {"next_page_token": "t"}
    response = pb.RecommendResponse(
        items=items,
        source=pb.SOURCE_FOLDED_IN,
        method=pb.SEARCH_METHOD_INDEX,
        short_reason=pb.SHORT_REASON_FILTER,
        unknown_filter_values=[{"attribute": "a", "value": "b", "near": ["c"]}],
        empty_filter_ranges=[{"attribute": "a", "least": 0, "greatest": 1}, {"attribute": "b"}],
        **common,
    )
    told = answer(response)
    # It holds nothing of the message.
    response.Clear()
    shown = {"genres": ["Action", "War"], "year": 0.0}
    because = (Contribution(0.75, item_id="181"), Contribution(0.5, feature="age:25-34"))
    assert told == Answer(
        items=[
            ScoredItem("50", 1.5, "t", shown, Explanation(because, bias=-0.25)),
            ScoredItem("東京", -1.0, explanation=Explanation((), 0.0)),
            ScoredItem("", 0.0),
        ],
        source="folded_in",
        method="index",
        short_reason="filter",
        unknown_filter_values=[answers.UnknownFilterValue("a", "b", ["c"])],
        empty_filter_ranges=[answers.EmptyFilterRange("a", 0, 1), answers.EmptyFilterRange("b")],
        **common,
    )
    # Frozen, and so of use in a set; it can be written as JSON, the attributes by their names.
    assert len({*told.items, *told.items}) == 3
    assert [*json.loads(json.dumps(asdict(told)))["items"][0]["attributes"]] == ["genres", "year"]
    # Of what a response doesn't say, as that of a service that is older, nothing is told.
    assert answer(pb.RecommendResponse()) == Answer(items=[], version="")


def test_every_word_is_known_and_what_is_newer_than_the_client_is_its_number():
    for field, enum, words in (
        ("source", pb.Source, answer_words.Source),
        ("method", pb.SearchMethod, answer_words.SearchMethod),
        ("short_reason", pb.ShortReason, answer_words.ShortReason),
    ):
        unspecified, *names = enum.keys()
        prefix = unspecified.removesuffix("UNSPECIFIED")
        assert sorted(f"{prefix}{word.name}" for word in words) == sorted(names)
        for name, number in enum.items():
            word = getattr(answer(pb.RecommendResponse(**{field: number})), field)
            assert f"{prefix}{(word or 'unspecified').upper()}" == name
        assert getattr(answer(pb.RecommendResponse(**{field: 77})), field) == "77"
