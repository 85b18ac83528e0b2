"""Messages to questions and answers to messages: what each field means, and which one is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from msgspec import structs
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from retriever.answering import batches, pages, questions
from retriever.answering.queries import RankedRows
from retriever.answering.questions import (
    NumberCondition,
    Options,
    Search,
    UserFeatures,
    ValueCondition,
    WeightedItems,
)
from retriever.answering.subjects import ScoreParts
from retriever.errors import InvalidArgumentError
from retriever.worker import answer_messages, messages
from tests import retrievable

NAN, INF = math.nan, math.inf
BOTH = pytest.mark.parametrize("kind", ["recommend", "similar"])


def request_of(kind, **fields):
    """A request that is right but for these fields."""
    if kind == "recommend":
        return pb.RecommendRequest(**{"user_id": "u", **fields})
    return pb.SimilarItemsRequest(**{"item_id": "i", **fields})


def asked(request):
    if isinstance(request, pb.RecommendRequest):
        return messages.recommend_question(request)
    return messages.similar_items_question(request)


def refusal(request):
    """Which field is wrong, and why."""
    with pytest.raises(InvalidArgumentError) as caught:
        asked(request)
    return caught.value.field, caught.value.reason


def options_of(kind, **fields):
    return asked(request_of(kind, **fields))[1]


# ---- subjects


def test_a_request_for_nobody_names_what_could_be_set():
    assert refusal(pb.RecommendRequest(limit=5)) == (
        "subject",
        "is not set: set user_id, session or features",
    )
    assert refusal(pb.SimilarItemsRequest()) == ("subject", "is not set: set item_id or items")


def test_each_subject_is_read_as_what_it_is():
    assert asked(pb.RecommendRequest(user_id="u"))[0] == "u"
    assert asked(pb.SimilarItemsRequest(item_id="i"))[0] == "i"
    subject, _ = asked(pb.RecommendRequest(features=pb.UserFeatures(features=["age:25-34", "x"])))
    assert isinstance(subject, UserFeatures)
    assert list(subject.features) == ["age:25-34", "x"]
    weighted = pb.WeightedItems(item_ids=["a", "b", "a"], weights=[0, 2, 0.5])
    for request, field in (
        (pb.RecommendRequest(session=weighted), "session"),
        (pb.SimilarItemsRequest(items=weighted), "items"),
    ):
        subject, _ = asked(request)
        assert isinstance(subject, WeightedItems)
        assert list(subject.item_ids) == ["a", "b", "a"]
        assert list(subject.weights) == [0, 2, 0.5]
        assert subject.field == field


def several(kind, item_ids, weights=()):
    """A request about several items."""
    items = pb.WeightedItems(item_ids=item_ids, weights=weights)
    if kind == "recommend":
        return pb.RecommendRequest(session=items)
    return pb.SimilarItemsRequest(items=items)


FIELDS = {"recommend": "session", "similar": "items"}


@BOTH
@pytest.mark.parametrize(
    ("weights", "place"),
    [
        ([1, NAN], "[1]"),
        ([INF, 1], "[0]"),
        ([1, -INF], "[1]"),
        ([1, -0.5], "[1]"),
        ([-1, NAN], "[0]"),
        ([0, 0], ""),
        ([-0.0, 0], ""),
        ([1], ""),
        ([1, 1, 1], ""),
    ],
)
def test_weights_that_make_no_sense_are_refused_by_name(kind, weights, place):
    field, reason = refusal(several(kind, ["a", "b"], weights))
    assert field == f"{FIELDS[kind]}.weights{place}"
    assert reason


@BOTH
def test_as_many_items_as_are_documented_and_no_more_are_taken(kind):
    most = questions.MAX_ITEMS
    assert most == 1000
    subject, _ = asked(several(kind, ["a"] * most, [1] * most))
    assert len(subject.item_ids) == most
    for count in (0, most + 1):
        field, reason = refusal(several(kind, ["a"] * count))
        assert field == f"{FIELDS[kind]}.item_ids"
        assert f"has {count} entries" in reason
        assert "1 to 1000" in reason


@BOTH
@pytest.mark.parametrize("item_id", ["", "é" * 257])
def test_an_id_among_several_that_can_be_none_is_refused_by_its_place(kind, item_id):
    field, _ = refusal(several(kind, ["a", item_id, ""]))
    assert field == f"{FIELDS[kind]}.item_ids[1]"


def test_an_id_alone_that_can_be_none_is_refused_by_name():
    assert refusal(pb.RecommendRequest(user_id=""))[0] == "user_id"
    assert refusal(pb.SimilarItemsRequest(item_id="x" * 513))[0] == "item_id"


@pytest.mark.parametrize(
    ("features", "field"),
    [([], ""), (["a:1"] * 101, ""), (["a:1", ""], "[1]"), (["é" * 257], "[0]")],
)
def test_features_out_of_range_are_refused_by_name(features, field):
    request = pb.RecommendRequest(features=pb.UserFeatures(features=features))
    assert refusal(request)[0] == f"features.features{field}"
    assert asked(pb.RecommendRequest(features=pb.UserFeatures(features=["a:1"] * 100)))


# ---- options


@BOTH
def test_requests_without_anything_special_share_their_options(kind):
    """They are most, and a request that uses nothing of the rest pays nothing for it."""
    plain = options_of(kind)
    assert plain == Options()
    assert options_of(kind) is plain
    assert options_of(kind, return_attributes=FieldMask(paths=["title"])) is plain
    assert options_of(kind, limit=7) is options_of(kind, limit=7)
    assert options_of(kind, limit=7) == Options(limit=7)


def test_plain_requests_for_what_was_seen_too_have_options_of_their_own():
    assert options_of("recommend", exclude_seen=False) == Options(exclude_seen=False)
    assert options_of("recommend", exclude_seen=True) is options_of("recommend")


SPECIAL = {
    "search_effort": (0.5, {"search": Search(effort=0.5)}),
    "exact": (True, {"search": Search(exact=True)}),
    "exclude_item_ids": (["a", "b"], {"exclude_item_ids": ["a", "b"]}),
    "unknown_ids": (pb.UNKNOWN_IDS_POPULAR, {"unknown_ids": "popular"}),
    "diversity": (0.25, {"diversity": 0.25}),
    "explain": (True, {"explain": True}),
}


@BOTH
@pytest.mark.parametrize("field", SPECIAL)
def test_each_field_alone_makes_the_options_that_it_should(kind, field):
    value, changes = SPECIAL[field]
    options = options_of(kind, **{field: value})
    listed = replace(options, exclude_item_ids=list(options.exclude_item_ids))
    assert listed == replace(Options(exclude_item_ids=[]), **changes)


@BOTH
@pytest.mark.parametrize(
    ("number", "word"),
    [
        (pb.UNKNOWN_IDS_ERROR, "error"),
        (pb.UNKNOWN_IDS_IGNORE, "ignore"),
        (pb.UNKNOWN_IDS_POPULAR, "popular"),
    ],
)
def test_what_to_do_about_unknown_ids_is_read(kind, number, word):
    assert options_of(kind, unknown_ids=number).unknown_ids == word


@BOTH
@pytest.mark.parametrize("number", [4, -1, 2**31 - 1])
def test_a_number_that_an_enum_does_not_have_is_refused_by_name(kind, number):
    field, reason = refusal(request_of(kind, unknown_ids=number))
    assert field == "unknown_ids"
    assert str(number) in reason


@BOTH
@pytest.mark.parametrize("diversity", [NAN, 2, -0.5, INF, -INF])
def test_a_diversity_out_of_range_is_refused_by_name(kind, diversity):
    assert refusal(request_of(kind, diversity=diversity))[0] == "diversity"


@BOTH
@pytest.mark.parametrize("page", [{"paginate": True}, {"page_token": "t"}])
def test_diversity_and_pages_exclude_each_other(kind, page):
    field, reason = refusal(request_of(kind, diversity=0.5, **page))
    assert (field, reason) == ("diversity", "can't be combined with pages")
    assert options_of(kind, diversity=0, **page).page is not None


@BOTH
def test_ten_thousand_exclusions_are_taken_and_no_more(kind):
    # Twice the same, and as long as ids may be.
    odd = ["a", "a", "x" * 512, "é" * 256]
    ids = odd + [str(number) for number in range(10_000 - len(odd))]
    assert list(options_of(kind, exclude_item_ids=ids).exclude_item_ids) == ids
    field, reason = refusal(request_of(kind, exclude_item_ids=[*ids, "one more"]))
    assert field == "exclude_item_ids"
    assert "10001" in reason


@BOTH
@pytest.mark.parametrize("wrong", ["", "x" * 513, "é" * 257, "\U0001f600" * 129])
def test_an_exclusion_that_can_be_no_id_is_refused_by_its_place(kind, wrong):
    field, _ = refusal(request_of(kind, exclude_item_ids=["a", wrong]))
    assert field == "exclude_item_ids[1]"


@BOTH
@pytest.mark.parametrize(("limit", "effort", "field"), [(0, 1, "limit"), (1, NAN, "search_effort")])
def test_what_is_out_of_range_is_refused_in_requests_that_are_not_plain_too(kind, limit, effort, field):
    assert refusal(request_of(kind, limit=limit, search_effort=effort, explain=True))[0] == field


# ---- pages


def page_of(request):
    return asked(request)[1].page


@BOTH
def test_a_page_belongs_to_the_request_but_for_its_limit_and_token(kind):
    first = page_of(request_of(kind, paginate=True))
    assert first.token == ""
    for same in ({"limit": 5}, {"paginate": False}, {"page_token": "u"}):
        page = page_of(request_of(kind, **{"paginate": True, "page_token": "t", **same}))
        assert page.fingerprint == first.fingerprint
        assert page.token == same.get("page_token", "t")


@BOTH
def test_whatever_else_differs_makes_another_request_of_it(kind):
    title = FieldMask(paths=["title"])
    others = [
        {},
        {"user_id" if kind == "recommend" else "item_id": "other"},
        {"filter": filter_of(any_of=pb.Values(values=["x"]))},
        {"filter": filter_of(all_of=pb.Values(values=["x"]))},
        {"return_attributes": title},
        *({field: value} for field, (value, _) in SPECIAL.items() if field != "diversity"),
    ]
    found = {page_of(request_of(kind, paginate=True, **other)).fingerprint for other in others}
    assert len(found) == len(others)


def test_both_kinds_of_request_have_pages_of_their_own():
    # The same bytes on the wire.
    similar = pb.SimilarItemsRequest(item_id="x", limit=3)
    recommend = pb.RecommendRequest(user_id="x", limit=3)
    assert similar.SerializeToString() == recommend.SerializeToString()
    similar.page_token = recommend.page_token = "t"  # noqa: S105
    assert page_of(similar).fingerprint != page_of(recommend).fingerprint


@BOTH
def test_a_request_is_not_changed_by_being_read(kind):
    wanted = filter_of(range=pb.Range(min=1))
    request = request_of(kind, limit=3, paginate=True, page_token="t", filter=wanted)  # noqa: S106
    before = request.SerializeToString(deterministic=True)
    assert len(page_of(request).fingerprint) == len(pages.fingerprint(b""))
    assert request.SerializeToString(deterministic=True) == before


# ---- filters


def filter_of(attribute="genres", **test):
    return pb.Filter(conditions=[pb.Condition(attribute=attribute, **test)])


@BOTH
@pytest.mark.parametrize("test", ["any", "all", "none"])
def test_a_condition_on_texts_is_read(kind, test):
    values = pb.Values(values=["drama", "drama", ""])
    (condition,) = options_of(kind, filter=filter_of(**{f"{test}_of": values})).conditions
    assert isinstance(condition, ValueCondition)
    assert (condition.attribute, condition.kind) == ("genres", test)
    assert list(condition.values) == ["drama", "drama", ""]


@BOTH
@pytest.mark.parametrize(
    ("ends", "low", "high"),
    [
        ({"min": 1990, "max": 1999}, 1990, 1999),
        ({"min": 0}, 0, INF),
        ({"max": 0}, -INF, 0),
        ({"min": 2, "max": 2}, 2, 2),
        ({"min": -INF, "max": INF}, -INF, INF),
    ],
)
def test_a_range_is_read_with_what_it_leaves_open(kind, ends, low, high):
    wanted = filter_of("year", range=pb.Range(**ends))
    assert list(options_of(kind, filter=wanted).conditions) == [NumberCondition("year", low, high)]


EMPTY = pb.Values()
BAD_TESTS = [
    ({}, ".test"),
    ({"any_of": EMPTY}, ".any_of.values"),
    ({"all_of": EMPTY}, ".all_of.values"),
    ({"none_of": EMPTY}, ".none_of.values"),
    ({"range": pb.Range()}, ".range"),
    ({"range": pb.Range(min=NAN)}, ".range.min"),
    ({"range": pb.Range(max=NAN)}, ".range.max"),
    ({"range": pb.Range(min=NAN, max=NAN)}, ".range.min"),
    ({"range": pb.Range(min=1.5, max=1)}, ".range"),
]


@BOTH
@pytest.mark.parametrize(("test", "field"), BAD_TESTS, ids=str)
def test_a_condition_that_tests_nothing_is_refused_by_its_place(kind, test, field):
    good = pb.Condition(attribute="genres", any_of=pb.Values(values=["x"]))
    wanted = pb.Filter(conditions=[good, pb.Condition(attribute="year", **test)])
    assert refusal(request_of(kind, filter=wanted))[0] == f"filter.conditions[1]{field}"


@BOTH
def test_as_many_conditions_as_are_documented_and_no_more_are_taken(kind):
    most = questions.MAX_CONDITIONS
    assert most == 32
    one = pb.Condition(attribute="year", range=pb.Range(min=1))
    assert len(options_of(kind, filter=pb.Filter(conditions=[one] * most)).conditions) == most
    # A filter that is there but says nothing was meant to say something.
    for count in (0, most + 1):
        field, reason = refusal(request_of(kind, filter=pb.Filter(conditions=[one] * count)))
        assert field == "filter.conditions"
        assert f"has {count} entries" in reason


@BOTH
def test_as_many_values_altogether_as_are_documented_and_no_more_are_taken(kind):
    assert questions.MAX_VALUES == 1000

    def wanted(count):
        parts = [(600, "any_of"), (count - 600, "none_of")]
        conditions = [
            pb.Condition(attribute="genres", **{test: pb.Values(values=["x"] * part)})
            for part, test in parts
        ]
        return pb.Filter(conditions=[*conditions, pb.Condition(attribute="y", range=pb.Range(min=1))])

    assert len(options_of(kind, filter=wanted(1000)).conditions) == 3
    field, reason = refusal(request_of(kind, filter=wanted(1001)))
    assert field == "filter.conditions"
    assert "1001" in reason


# ---- batches


def batch_of(requests):
    kind = pb.BatchRecommendRequest
    if requests and isinstance(requests[0], pb.SimilarItemsRequest):
        kind = pb.BatchSimilarItemsRequest
    return kind(requests=requests)


def batch_refusal(requests):
    with pytest.raises(InvalidArgumentError) as caught:
        messages.check_batch(batch_of(requests))
    assert caught.value.field == "requests"
    return caught.value.reason


@BOTH
def test_a_batch_has_as_many_requests_as_are_documented(kind):
    assert batches.MAX_REQUESTS == 256
    one = request_of(kind)
    messages.check_batch(batch_of([one]))
    messages.check_batch(batch_of([one] * 256))
    assert "has 0 entries" in batch_refusal([])
    assert "has 257 entries" in batch_refusal([one] * 257)


@BOTH
def test_a_batch_has_as_many_results_as_are_documented(kind):
    full = [request_of(kind, limit=1000)] * 9
    messages.check_batch(batch_of([*full, request_of(kind, limit=1000)]))
    assert "10001" in batch_refusal([*full, request_of(kind, limit=991), request_of(kind)])
    messages.check_batch(batch_of([*full, request_of(kind, limit=990), request_of(kind)]))


@BOTH
def test_limits_that_are_out_of_range_do_not_count_in_a_batch(kind):
    """They fail alone."""
    full = [request_of(kind, limit=1000)] * 10
    odd = [request_of(kind, limit=limit) for limit in (0, -5, 1001, 2**31 - 1)]
    messages.check_batch(batch_of([*full, *odd]))
    # Nor do they make room for others.
    assert "10001" in batch_refusal([*full, *odd, request_of(kind, limit=1)])


# ---- answers


TITLES = ["Zero", "", "Zwei – 二"]
ITEM_IDS = ["zero", "東京", "nul\0nul"]


def snapshot(**changes):
    attributes = Attributes.build(
        [
            TextColumn("genres", [["drama", "Ärger", "a"], [], ["drama"]]),
            NumberColumn("year", np.array([1977.5, NAN, 0.0])),
            TextColumn("studio", [[], ["x"], []]),
        ],
        3,
    )
    published = {"titles": TITLES, "attributes": attributes, **changes}
    return retrievable.snapshot([[1, 0, 0]] * 3, [[1, 0, 0]], item_ids=ITEM_IDS, **published)


def mask(kind, *paths):
    return request_of(kind, return_attributes=FieldMask(paths=paths))


@BOTH
def test_the_attributes_to_return_are_those_asked_for_once(kind):
    assert messages.return_attributes(snapshot(), request_of(kind)) == ()
    assert messages.return_attributes(snapshot(), mask(kind)) == ()
    wanted = mask(kind, "year", "title", "genres", "title", "year")
    assert messages.return_attributes(snapshot(), wanted) == ("year", "title", "genres")
    wanted.return_attribute_names.extend(["studio", "title"])
    assert messages.return_attributes(snapshot(), wanted) == ("year", "title", "genres", "studio")


@BOTH
def test_every_name_can_be_asked_for_in_json(kind):
    names = ["Brand", "releaseYear", "size_2x", "shop.name", "a,b", "映画", "2nd", "A_b"]
    columns = [TextColumn(name, [["x"]] * 3) for name in names]
    own = snapshot(attributes=Attributes.build(columns, 3))
    for field in ("returnAttributeNames", "return_attribute_names"):
        request = json_format.Parse(json.dumps({field: names}), request_of(kind))
        again = json_format.Parse(json_format.MessageToJson(request), request_of(kind))
        assert messages.return_attributes(own, again) == tuple(names)


@BOTH
def test_a_thousand_names_may_be_asked_for_and_no_more(kind):
    wanted = mask(kind, *["title"] * 500)
    wanted.return_attribute_names.extend(["year"] * 500)
    assert messages.return_attributes(snapshot(), wanted) == ("title", "year")
    wanted.return_attribute_names.append("year")
    with pytest.raises(InvalidArgumentError) as caught:
        messages.return_attributes(snapshot(), wanted)
    assert caught.value.field == "return_attribute_names"
    assert "1001" in caught.value.reason


@BOTH
@pytest.mark.parametrize("path", ["", "Genres", "genres.x", "Title", "y" * 10_000])
def test_an_unknown_attribute_to_return_is_refused_and_the_known_ones_are_named(kind, path):
    for own, known in (
        (snapshot(), "known: title, genres, year, studio"),
        (snapshot(attributes=None), "known: title"),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            messages.return_attributes(own, mask(kind, "title", path))
        assert caught.value.field == "return_attributes"
        assert caught.value.reason.endswith(known)
        assert len(caught.value.reason) < 150


def answer(*rows, **changes):
    scores = np.array([2.5 - place for place in range(len(rows))], dtype=np.float32)
    made = RankedRows(np.array(rows, dtype=np.int64), scores, "personalized", False, 110, 7)
    return structs.replace(made, **changes)


def filled_in(made, attributes=(), kind=pb.RecommendResponse, **published):
    response = kind()
    of = snapshot(**published)
    answer_messages.fill_in(response, of, made, attributes, of.publication.items.external_id)
    return response


RESPONSES = pytest.mark.parametrize("kind", [pb.RecommendResponse, pb.SimilarItemsResponse])


@RESPONSES
def test_an_answer_is_filled_in_in_its_order(kind):
    response = filled_in(answer(2, 0, 1), kind=kind)
    assert response == kind(
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


@pytest.mark.parametrize("source", ["personalized", "folded_in", "features", "popular", "similar"])
def test_every_source_has_its_number(source):
    response = filled_in(answer(source=source))
    assert pb.Source.Name(response.source) == f"SOURCE_{source.upper()}"


@pytest.mark.parametrize("reason", ["catalogue", "exclusions", "filter", "page_limit"])
def test_every_reason_to_be_short_has_its_number(reason):
    response = filled_in(answer(short=reason))
    assert pb.ShortReason.Name(response.short_reason) == f"SHORT_REASON_{reason.upper()}"


@RESPONSES
def test_what_else_an_answer_says_is_filled_in(kind):
    made = answer(exact=True, unknown=["x", "東"], next_page="t")
    response = filled_in(made, kind=kind)
    assert response.method == pb.SEARCH_METHOD_EXACT
    assert list(response.unknown_ids) == ["x", "東"]
    assert response.next_page_token == "t"  # noqa: S105
    assert response.short_reason == pb.SHORT_REASON_UNSPECIFIED


@RESPONSES
def test_attributes_are_filled_in_where_an_item_has_them(kind):
    response = filled_in(answer(0, 1, 2), ["year", "title", "genres"], kind=kind)
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


@RESPONSES
def test_only_attributes_that_were_asked_for_are_filled_in(kind):
    response = filled_in(answer(0, 1), ["studio"], kind=kind)
    assert [{*item.attributes} for item in response.items] == [set(), {"studio"}]
    assert [item.title for item in response.items] == ["", ""]


def test_titles_stay_empty_where_none_are_published():
    response = filled_in(answer(0, 1), ["title", "studio"], titles=None)
    assert [item.title for item in response.items] == ["", ""]


@RESPONSES
@pytest.mark.parametrize(("of_features", "field"), [(False, "item_id"), (True, "feature")])
def test_explanations_are_filled_in_by_what_contributed(kind, of_features, field):
    told = [
        ScoreParts([("x", 0.75), ("y", 0.5)], -0.25, of_features=of_features),
        ScoreParts([], 0.0, of_features=of_features),
    ]
    first, second = filled_in(answer(0, 1, explanations=told), kind=kind).items
    assert first.explanation == pb.Explanation(
        bias=-0.25,
        contributions=[
            pb.Contribution(**{field: "x"}, score=0.75),
            pb.Contribution(**{field: "y"}, score=0.5),
        ],
    )
    # It was asked for, and there is nothing to tell.
    assert second.HasField("explanation")
    assert second.explanation == pb.Explanation()


def test_without_explanations_none_is_filled_in():
    assert not filled_in(answer(0)).items[0].HasField("explanation")


_SUBJECTS_AND_WHAT_TO_RETURN = {
    *("user_id", "session", "features", "item_id", "items", "limit", "exclude_seen"),
    *("return_attributes", "return_attribute_names", "max_response_bytes"),
}


@pytest.mark.parametrize("kind", [pb.RecommendRequest, pb.SimilarItemsRequest])
def test_a_request_is_plain_only_by_fields_that_are_known_to_be(kind):
    """So a field that is added later takes the way on which all fields are looked at."""
    assert messages.is_plain(kind())
    for field in kind.DESCRIPTOR.fields:
        request = kind()
        if field.is_repeated:
            getattr(request, field.name).append("x")
        elif field.message_type is not None:
            getattr(request, field.name).SetInParent()
        else:
            setattr(request, field.name, "x" if field.type == field.TYPE_STRING else 1)
        assert messages.is_plain(request) == (field.name in _SUBJECTS_AND_WHAT_TO_RETURN), field.name
