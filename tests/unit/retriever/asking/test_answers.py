"""Messages to plain values."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.asking import answers as client_answers
from retriever.asking.answers import Answer, Contribution, Explanation, ScoredItem

RESPONSES = pytest.mark.parametrize("kind", [pb.RecommendResponse, pb.SimilarItemsResponse])


@RESPONSES
def test_everything_that_an_answer_says_is_told(kind):
    texts = pb.AttributeValue(texts=pb.Values(values=["Action", "War"]))
    response = kind(
        items=[
            pb.ScoredItem(
                item_id="50",
                score=1.5,
                title="Star Wars – 二",
                attributes={"genres": texts, "year": pb.AttributeValue(number=1977)},
                explanation=pb.Explanation(
                    contributions=[
                        pb.Contribution(item_id="181", score=0.75),
                        pb.Contribution(feature="age:25-34", score=0.5),
                    ],
                    bias=-0.25,
                ),
            ),
            pb.ScoredItem(item_id="東京", score=-1),
        ],
        version="v1",
        source=pb.SOURCE_FOLDED_IN,
        method=pb.SEARCH_METHOD_INDEX,
        candidates=110,
        filtered=7,
        short_reason=pb.SHORT_REASON_FILTER,
        unknown_ids=["x", "y"],
        next_page_token="t",  # noqa: S106
    )
    contributions = (Contribution(0.75, item_id="181"), Contribution(0.5, feature="age:25-34"))
    assert client_answers.answer(response) == Answer(
        items=[
            ScoredItem(
                item_id="50",
                score=1.5,
                title="Star Wars – 二",
                attributes={"genres": ["Action", "War"], "year": 1977.0},
                explanation=Explanation(contributions, bias=-0.25),
            ),
            ScoredItem("東京", -1.0),
        ],
        version="v1",
        source="folded_in",
        method="index",
        candidates=110,
        filtered=7,
        short_reason="filter",
        unknown_ids=["x", "y"],
        next_page_token="t",  # noqa: S106
    )


@RESPONSES
def test_of_what_an_answer_does_not_say_nothing_is_told(kind):
    """As from a service that is older than this client."""
    assert client_answers.answer(kind()) == Answer(items=[], version="")


def test_every_word_is_known():
    for number in pb.Source.values():
        answer = client_answers.answer(pb.RecommendResponse(source=number))
        assert f"SOURCE_{answer.source.upper()}" == pb.Source.Name(number)
    for number in pb.SearchMethod.values():
        answer = client_answers.answer(pb.RecommendResponse(method=number))
        assert f"SEARCH_METHOD_{answer.method.upper()}" == pb.SearchMethod.Name(number)
    for number in pb.ShortReason.values():
        answer = client_answers.answer(pb.RecommendResponse(short_reason=number))
        word = answer.short_reason or "unspecified"
        assert f"SHORT_REASON_{word.upper()}" == pb.ShortReason.Name(number)


def test_a_word_that_is_newer_than_the_client_is_its_number():
    answer = client_answers.answer(pb.RecommendResponse(source=77, method=78, short_reason=79))
    assert (answer.source, answer.method, answer.short_reason) == ("77", "78", "79")


def test_an_explanation_that_has_nothing_to_tell_is_still_one():
    asked = pb.RecommendResponse(items=[pb.ScoredItem(item_id="1", explanation=pb.Explanation())])
    assert client_answers.answer(asked).items[0].explanation == Explanation((), 0.0)


def test_a_number_of_zero_is_a_number_and_no_list():
    item = pb.ScoredItem(attributes={"year": pb.AttributeValue(number=0)})
    answer = client_answers.answer(pb.RecommendResponse(items=[item]))
    assert answer.items[0].attributes == {"year": 0.0}


def test_an_answer_holds_nothing_of_the_message_and_can_be_written_as_json():
    response = pb.RecommendResponse(
        items=[
            pb.ScoredItem(attributes={"genres": pb.AttributeValue(texts=pb.Values(values=["War"]))})
        ],
        unknown_ids=["x"],
    )
    answer = client_answers.answer(response)
    response.Clear()
    assert json.loads(json.dumps(asdict(answer)))["unknown_ids"] == ["x"]
    assert answer.items[0].attributes == {"genres": ["War"]}
    # Frozen, and so of use in a set.
    assert len({*answer.items, *answer.items}) == 1
