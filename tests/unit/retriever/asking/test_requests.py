"""Plain values to messages, each field where it belongs, and what is wrong refused by its name."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.errors import ArgumentError
from retriever.asking import requests as client_requests
from retriever.asking.conditions import TextCondition, all_of, any_of, in_range, none_of
from retriever.asking.requests import RecommendRequest, SimilarItemsRequest

R, S = RecommendRequest, SimilarItemsRequest
SUBJECTS = {RecommendRequest: "user_id", SimilarItemsRequest: "item_id"}


def fields(kind):
    return [field.name for field in dataclasses.fields(kind)]


def test_every_field_that_both_kinds_have_is_sent():
    common = {"limit": 7, "search_effort": 0.5, "diversity": 0.25, "page_token": "t"}
    common |= {"exact": True, "explain": True, "paginate": True}
    made = {"titles": True, "attributes": ["genres", "title", "year"], "unknown_ids": "popular"}
    made |= {"exclude_item_ids": ["東京", np.int64(50)]}
    sent = {"return_attribute_names": ["title", "genres", "year"], "unknown_ids": 3}
    sent |= {"exclude_item_ids": ["東京", "50"]}
    assert {*common, *made, "filter"} == {*fields(client_requests.Request)}
    # What can be asked for by keyword is what the requests have.
    assert [*client_requests.RequestFields.__annotations__] == fields(client_requests.Request)
    options = {R: client_requests.RecommendOptions, S: client_requests.SimilarItemsOptions}
    for kind, subject in SUBJECTS.items():
        assert {*options[kind].__annotations__} == {*fields(kind)} - {subject}
        message, own = kind.message, {subject: "3"}
        assert kind("3", **common, **made).to_message() == message(**own, **common, **sent)
        # All else is as the service has it by default, and whole numbers are ids.
        for number in (3, np.uint8(3)):
            assert kind(number).to_message() == message(**own)


def test_what_is_false_or_zero_is_sent_where_it_is_something_else_than_nothing():
    message = RecommendRequest("3", exclude_seen=False, limit=0, search_effort=0).to_message()
    assert message == pb.RecommendRequest(user_id="3", exclude_seen=False, limit=0, search_effort=0)
    assert message.HasField("exclude_seen")
    assert RecommendRequest("", exclude_seen=True).to_message().WhichOneof("subject") == "user_id"
    for word in (None, "error", "ignore", "popular"):
        number = RecommendRequest("x", unknown_ids=word).to_message().unknown_ids
        assert pb.UnknownIds.Name(number) == f"UNKNOWN_IDS_{(word or 'unspecified').upper()}"
    for features in (["age:25-34", "country:DE"], []):
        message = RecommendRequest(features=features).to_message()
        assert message == pb.RecommendRequest(features=pb.UserFeatures(features=features))


@pytest.mark.parametrize(
    ("items", "ids", "weights"),
    [
        (["a", "b", "a"], ["a", "b", "a"], []),
        ({"a": 0.5, "b": 0}, ["a", "b"], [0.5, 0]),
        # What is empty is for the service to refuse.
        *(([], [], []), ({}, [], [])),
        # Whole numbers are ids, and a generator is read once.
        ([50, np.int64(181)], ["50", "181"], []),
        (np.array([50, 181]), ["50", "181"], []),
        (iter([50, 181]), ["50", "181"], []),
        ({50: 2, np.int64(181): np.float32(0.5)}, ["50", "181"], [2, 0.5]),
    ],
)
def test_items_are_sent_with_the_weights_that_they_have(items, ids, weights):
    expected = pb.WeightedItems(item_ids=ids, weights=weights)
    request = RecommendRequest(session=items)
    for _ in range(2):
        assert request.to_message() == pb.RecommendRequest(session=expected)
    assert request.to_message().WhichOneof("subject") == "session"
    similar = SimilarItemsRequest(items=request.session).to_message()
    assert similar == pb.SimilarItemsRequest(items=expected)


def test_conditions_are_sent_in_their_order():
    ranges = [{"min": 0}, {"max": 1999.5}, {"min": 1, "max": 2}]
    conditions = [any_of("genres", "Drama", "War"), all_of("tags", "a"), none_of("genres", "Horror")]
    conditions += [in_range("year", **ends) for ends in ranges]
    sent = [
        pb.Condition(attribute="genres", any_of={"values": ["Drama", "War"]}),
        pb.Condition(attribute="tags", all_of={"values": ["a"]}),
        pb.Condition(attribute="genres", none_of={"values": ["Horror"]}),
        *(pb.Condition(attribute="year", range=ends) for ends in ranges),
    ]
    request = RecommendRequest("x", filter=conditions)
    assert request.to_message().filter == pb.Filter(conditions=sent)
    # A lone one is a list of one.
    for condition in conditions:
        assert RecommendRequest("x", filter=condition) == RecommendRequest("x", filter=[condition])


# ---- what is refused, and what is said of it

LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(b"x")),
    st.characters(categories=["Cs"]),
    st.sampled_from(
        [
            *(object(), RecommendRequest("3"), pb.RecommendRequest(), in_range("year", min=1)),
            *(1j, 10**1000, np.int64(5), np.float32(5), np.bool_(1), np.arange(3), np.ones((2, 2))),
            *(np.array(["a", None], object), "error", 50, {"genres": "Drama"}),
        ]
    ),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.floats(), inner, max_size=3)
        | st.lists(inner, max_size=3).map(iter)
    ),
    max_leaves=4,
)


def refused(make):
    """The error of this kind that it ends with, None for none; any other error is a fault."""
    try:
        make()
    except ArgumentError as error:
        return error
    return None


@pytest.mark.parametrize("kind", SUBJECTS)
@settings(max_examples=150)
@given(data=st.data(), value=ANYTHING)
def test_a_request_is_sent_or_refused_by_the_name_of_the_argument(kind, data, value):
    subject, name = SUBJECTS[kind], data.draw(st.sampled_from(fields(kind)))
    alone = name in ("user_id", "item_id", "session", "items", "features")
    others = {} if alone else {subject: "3"}
    if error := refused(lambda: kind(**{name: value, **others}).to_message()):
        expected = (name, subject) if value is None else (name,)
        assert error.argument.partition("[")[0] in expected
        for word in ("is None", "<class", "object at", "pb2"):
            assert word not in str(error)


@given(attribute=ANYTHING, values=st.lists(ANYTHING, max_size=2), end=ANYTHING)
def test_a_condition_is_sent_or_refused_by_the_name_of_the_argument(attribute, values, end):
    for make, names in (
        (lambda: all_of(attribute, *values), ("attribute", "values")),
        (lambda: in_range(attribute, min=end), ("attribute", "min")),
        (lambda: in_range("year", max=end), ("max",)),
        (lambda: TextCondition("genres", end, ("a",)), ("test",)),
        (lambda: TextCondition("genres", "any_of", end), ("values",)),
    ):
        if error := refused(lambda make=make: RecommendRequest("3", filter=[make()]).to_message()):
            assert error.argument.partition("[")[0] in names


CONDITIONS = "a list of conditions, such as [any_of('genres', 'Drama', 'War'), in_range('release_year',"
WORDS = "one of 'error', 'ignore', 'popular'"
IDS = "a list of ids, such as ['50', '181']"
BUT = [
    (lambda: R("3", filter="genres=Drama"), "filter is the text 'genres=Drama'", CONDITIONS),
    (lambda: R("3", filter=[{"a": "b"}]), "filter[0] is a mapping", "a condition, such as any_of('gen"),
    (lambda: any_of("g", ["War"]), "values[0] is a list", "texts one by one, such as any_of('"),
    (lambda: R(session={"50": "2"}), "session['50'] is the text '2'", "a weight, such as 2.0"),
    (lambda: R(session={"50": 2, 50: 3}), "session is a mapping", "weights by id, but has '50' twice"),
    (lambda: R("3", limit=5.0), "limit is 5.0", "a whole number in 1..1000"),
    (lambda: R("3", unknown_ids="POPULAR"), "unknown_ids is the text 'POPULAR'", WORDS),
    # None is sent letter by letter.
    (lambda: R(session="50"), "session is the text '50'", IDS),
    (lambda: R(features="age:1"), "features is the text 'age:1'", "a list of features"),
    (lambda: R("3", attributes="year"), "attributes is the text 'year'", "a list of names, such as"),
    (lambda: S(items="50"), "items is the text '50'", f"{IDS}, or their weights by id, such as {{'50'"),
    # What no message can hold.
    (lambda: R("3", limit=2**31), f"limit is {2**31}", "a whole number"),
]  # fmt: skip


NO = "has no option"
ITEM = "exactly one of item_id, items is needed"
BY_NAME = "without a name, and all else as NAME=VALUE"
USER = "exactly one of user_id, session, features is needed"
REFUSED = [
    (lambda: R("3", limitt=5), "limitt", f"RecommendRequest() {NO} 'limitt'; did you mean 'limit'?"),
    (lambda: R("3", 5), "RecommendRequest()", f"RecommendRequest() takes user_id {BY_NAME}"),
    (lambda: R("3", user_id="4"), "user_id", "user_id is given twice to RecommendRequest()"),
    (lambda: in_range("y", low=1), "low", f"in_range() {NO} 'low'; it has attribute, min, max"),
    (lambda: any_of(), "attribute", "any_of() needs attribute, which is missing"),
    # A message would keep the last of several.
    (lambda: R(), "user_id", f"{USER}; none was given"),
    (lambda: R("3", features=["a:1"]), "user_id", f"{USER}, not user_id and features"),
    (lambda: S("5", items=["1"]), "item_id", f"{ITEM}, not item_id and items"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "argument", "text"),
    [
        *((asked, found.split()[0], f"{found}, but should be {text}...") for asked, found, text in BUT),
        *REFUSED,
    ],
)
def test_what_is_refused_is_named_and_what_was_expected_is_said(asked, argument, text):
    with pytest.raises(ArgumentError) as caught:
        asked()
    told = str(caught.value)
    assert caught.value.argument == argument
    assert told.startswith(text[:-3]) if text.endswith("...") else told == text
