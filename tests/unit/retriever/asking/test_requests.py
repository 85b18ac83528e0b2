"""Plain values to messages: each field where it belongs, and nothing that wasn't said."""

from __future__ import annotations

from dataclasses import fields

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.errors import ArgumentError
from retriever.asking import requests as client_requests
from retriever.asking.conditions import all_of, any_of, in_range, none_of
from retriever.asking.requests import RecommendRequest, SimilarItemsRequest

KINDS = pytest.mark.parametrize("kind", [RecommendRequest, SimilarItemsRequest])


def test_a_plain_request_says_whom_it_is_for_and_nothing_else():
    """So that all else is as the service has it by default."""
    assert RecommendRequest("3").to_message() == pb.RecommendRequest(user_id="3")
    assert SimilarItemsRequest("50").to_message() == pb.SimilarItemsRequest(item_id="50")


def test_every_field_that_both_kinds_have_is_sent():
    common = {
        "limit": 7,
        "search_effort": 0.5,
        "exact": True,
        "exclude_item_ids": ["a", "東京"],
        "diversity": 0.25,
        "explain": True,
        "paginate": True,
        "page_token": "t",
    }
    made = {"titles": True, "attributes": ["genres", "title", "year"], "unknown_ids": "popular"}
    sent = {
        "return_attribute_names": ["title", "genres", "year"],
        "unknown_ids": pb.UNKNOWN_IDS_POPULAR,
    }
    assert {*common, *made, "filter"} == {field.name for field in fields(client_requests.Request)}
    assert RecommendRequest("3", **common, **made).to_message() == pb.RecommendRequest(
        user_id="3", **common, **sent
    )
    assert SimilarItemsRequest("50", **common, **made).to_message() == pb.SimilarItemsRequest(
        item_id="50", **common, **sent
    )


def test_what_is_false_or_zero_is_sent_where_it_is_something_else_than_nothing():
    message = RecommendRequest("3", exclude_seen=False, limit=0, search_effort=0).to_message()
    assert message == pb.RecommendRequest(user_id="3", exclude_seen=False, limit=0, search_effort=0)
    assert message.HasField("exclude_seen")
    assert RecommendRequest("", exclude_seen=True).to_message().WhichOneof("subject") == "user_id"


@pytest.mark.parametrize(
    ("items", "weights"),
    [(["a", "b", "a"], []), (("a",), []), ({"a": 0.5, "b": 0}, [0.5, 0]), ([], []), ({}, [])],
)
def test_items_are_sent_with_the_weights_that_they_have(items, weights):
    expected = pb.WeightedItems(item_ids=items, weights=weights)
    recommend = RecommendRequest(session=items).to_message()
    assert recommend == pb.RecommendRequest(session=expected)
    # What is empty is for the service to refuse.
    assert recommend.WhichOneof("subject") == "session"
    assert SimilarItemsRequest(items=items).to_message() == pb.SimilarItemsRequest(items=expected)


def test_features_are_sent():
    message = RecommendRequest(features=["age:25-34", "country:DE"]).to_message()
    assert message == pb.RecommendRequest(
        features=pb.UserFeatures(features=["age:25-34", "country:DE"])
    )
    empty = RecommendRequest(features=[]).to_message()
    assert empty.WhichOneof("subject") == "features"


@KINDS
def test_conditions_are_sent_in_their_order(kind):
    conditions = [
        any_of("genres", "Drama", "War"),
        all_of("tags", "a"),
        none_of("genres", "Horror"),
        in_range("year", min=0),
        in_range("year", max=1999.5),
        in_range("year", min=1, max=2),
    ]
    ranges = [{"min": 0}, {"max": 1999.5}, {"min": 1, "max": 2}]
    assert kind("x", filter=conditions).to_message().filter == pb.Filter(
        conditions=[
            pb.Condition(attribute="genres", any_of=pb.Values(values=["Drama", "War"])),
            pb.Condition(attribute="tags", all_of=pb.Values(values=["a"])),
            pb.Condition(attribute="genres", none_of=pb.Values(values=["Horror"])),
            *(pb.Condition(attribute="year", range=pb.Range(**ends)) for ends in ranges),
        ]
    )


@KINDS
@pytest.mark.parametrize("word", [None, "error", "ignore", "popular"])
def test_what_to_do_about_unknown_ids_is_sent(kind, word):
    number = kind("x", unknown_ids=word).to_message().unknown_ids
    assert pb.UnknownIds.Name(number) == f"UNKNOWN_IDS_{(word or 'unspecified').upper()}"


@KINDS
def test_an_unknown_word_is_refused_and_the_known_ones_are_named(kind):
    with pytest.raises(
        ValueError, match="'POPULAR', but should be one of 'error', 'ignore', 'popular'"
    ):
        kind("x", unknown_ids="POPULAR")


def test_none_or_several_subjects_are_refused():
    """A message would keep the last of several."""
    with pytest.raises(ValueError, match="one of user_id, session, features is needed; none was given"):
        RecommendRequest()
    with pytest.raises(ValueError, match="not user_id and features"):
        RecommendRequest("3", features=["a:1"])
    with pytest.raises(ValueError, match="not session and features"):
        RecommendRequest(session=[], features=[])
    with pytest.raises(ValueError, match="one of item_id, items is needed; none was given"):
        SimilarItemsRequest()
    with pytest.raises(ValueError, match="not item_id and items"):
        SimilarItemsRequest("50", items=["181"])


def test_a_lone_condition_is_a_list_of_one():
    drama, old = any_of("genres", "Drama"), in_range("year", max=1990)
    for one in (drama, old):
        request = RecommendRequest("3", filter=one)
        assert request == RecommendRequest("3", filter=[one])
        assert request.to_message().filter == RecommendRequest("3", filter=[one]).to_message().filter


@pytest.mark.parametrize(
    ("make", "argument", "text"),
    [
        (
            lambda: RecommendRequest("3", limitt=5),
            "limitt",
            "RecommendRequest() has no option 'limitt'; did you mean 'limit'?",
        ),
        (
            lambda: SimilarItemsRequest("50", item=["50"]),
            "item",
            "SimilarItemsRequest() has no option 'item'; did you mean 'items'?",
        ),
        (
            lambda: RecommendRequest("3", 5),
            "RecommendRequest()",
            "RecommendRequest() takes user_id without a name, and all else as NAME=VALUE",
        ),
        (
            lambda: RecommendRequest("3", user_id="4"),
            "user_id",
            "user_id is given twice to RecommendRequest()",
        ),
        (
            lambda: in_range("year", low=1990),
            "low",
            "in_range() has no option 'low'; it has attribute, min, max",
        ),
        (
            lambda: in_range("year", 1990),
            "in_range()",
            "in_range() takes attribute without a name, and all else as NAME=VALUE",
        ),
        (lambda: any_of(), "attribute", "any_of() needs attribute, which is missing"),
        (
            lambda: any_of("genres", value="Drama"),
            "value",
            "any_of() has no option 'value'; it has attribute",
        ),
    ],
)
def test_an_option_that_there_is_not_is_refused_in_words(make, argument, text):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert caught.value.argument == argument
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (RecommendRequest, {"session": "50"}),
        (RecommendRequest, {"features": "age:25-34"}),
        (RecommendRequest, {"user_id": "3", "exclude_item_ids": "50"}),
        (RecommendRequest, {"user_id": "3", "attributes": "genres"}),
        (SimilarItemsRequest, {"items": "50"}),
        (SimilarItemsRequest, {"item_id": "50", "exclude_item_ids": "50"}),
    ],
)
def test_a_text_instead_of_a_list_is_not_sent_letter_by_letter(kind, given):
    with pytest.raises(TypeError, match=r"is the text '.*', but should be a list"):
        kind(**given)


@KINDS
def test_a_number_that_no_message_can_hold_is_refused(kind):
    with pytest.raises(ValueError, match=str(2**31)):
        kind("x", limit=2**31).to_message()


def test_what_can_be_asked_for_by_keyword_is_what_the_requests_have():
    common = {field.name for field in fields(client_requests.Request)}
    assert {*client_requests.RequestFields.__annotations__} == common
    for kind, keywords, positional in (
        (RecommendRequest, client_requests.RecommendOptions, "user_id"),
        (SimilarItemsRequest, client_requests.SimilarItemsOptions, "item_id"),
    ):
        assert {*keywords.__annotations__} == {field.name for field in fields(kind)} - {positional}
