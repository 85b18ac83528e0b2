"""Messages to questions: what each field means, and which one is wrong."""

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.attributes import Attributes, TextColumn
from retriever.answering import pages
from retriever.answering.questions import (
    NumberCondition,
    Options,
    Search,
    UserFeatures,
    ValueCondition,
    WeightedItems,
)
from retriever.errors import InvalidArgumentError
from retriever.worker import messages
from tests import retrievable

NAN, INF = math.nan, math.inf
KINDS = ["recommend", "similar"]
BOTH = pytest.mark.parametrize("kind", KINDS)


def request_of(kind, several=None, **fields):
    """A request that is right but for these fields; `several` are items that it is about."""
    if kind == "recommend":
        subject = {"user_id": "u"} if several is None else {"session": several}
        return pb.RecommendRequest(**{**subject, **fields})
    subject = {"item_id": "i"} if several is None else {"items": several}
    return pb.SimilarItemsRequest(**{**subject, **fields})


def asked(request):
    recommend = isinstance(request, pb.RecommendRequest)
    return (messages.recommend_question if recommend else messages.similar_items_question)(request)


def refusal(request, read=asked):
    """Which field is wrong, and why."""
    with pytest.raises(InvalidArgumentError) as caught:
        read(request)
    return caught.value.field, caught.value.reason


def options_of(kind, **fields):
    return asked(request_of(kind, **fields))[1]


def conditions(*tests):
    return {"conditions": [{"attribute": "a", **test} for test in tests]}


def x_of(kind, count=1):
    return {f"{kind}_of": {"values": ["x"] * count}}


YEAR = {"range": {"min": 1}}
REFUSED = [
    *(({"limit": n}, "limit", f"is {n}, but should be in 1..1000") for n in (0, -1, 1001, 2**31 - 1)),
    # Named though it is of no effect.
    *(
        ({"search_effort": effort, "exact": True}, "search_effort", "but should be in 0.1..100")
        for effort in (0, -1, 0.05, 100.5, NAN, INF)
    ),
    # In requests that aren't plain, too.
    ({"limit": 0, "search_effort": 1, "explain": True}, "limit", "0"),
    *(({"unknown_ids": number}, "unknown_ids", f"is {number}, which") for number in (4, -1)),
    *(({"diversity": value}, "diversity", "in 0..1") for value in (NAN, 1.01, -0.01, INF)),
    *(
        ({"diversity": 0.5, **page}, "diversity", "can't be combined with pages")
        for page in ({"paginate": True}, {"page_token": "t"})
    ),
    ({"exclude_item_ids": ["a"] * 10_001}, "exclude_item_ids", "10001"),
    *(
        ({"exclude_item_ids": ["a", wrong]}, "exclude_item_ids[1]", "")
        for wrong in ("", "x" * 513, "é" * 257, "\U0001f600" * 129)
    ),
    # ---- several items
    *(
        ({"several": {"item_ids": ["a", "b"], "weights": weights}}, f"several.weights{place}", reason)
        for weights, place, reason in (
            *(([1, NAN], "[1]", "is nan"), ([INF, 1], "[0]", "is inf"), ([1, -0.5], "[1]", "is -0.5")),
            *(([-0.0, 0], "", "are all 0"), ([1], "", "has 1 entries"), ([1] * 3, "", "has 3 entries")),
        )
    ),
    *(
        ({"several": {"item_ids": ["a"] * count}}, "several.item_ids", f"has {count} entries, but ")
        for count in (0, 1001)
    ),
    *(({"several": {"item_ids": ["a", x, ""]}}, "several.item_ids[1]", "") for x in ("", "é" * 257)),
    # ---- filters: one that is there but says nothing was meant to say something
    ({"filter": conditions()}, "filter.conditions", "has 0 entries"),
    ({"filter": conditions(*[YEAR] * 33)}, "filter.conditions", "has 33 entries"),
    ({"filter": conditions(x_of("any", 600), x_of("none", 401), YEAR)}, "filter.conditions", "1001"),
    *(
        ({"filter": conditions(x_of("any"), test)}, f"filter.conditions[1]{place}", reason)
        for test, place, reason in (
            ({}, ".test", "is not set"),
            *((x_of(kind, 0), f".{kind}_of.values", "is empty") for kind in ("any", "all", "none")),
            ({"range": {}}, ".range", "has neither min nor max"),
            ({"range": {"min": NAN}}, ".range.min", "isn't a number"),
            ({"range": {"max": NAN}}, ".range.max", "isn't a number"),
            ({"range": {"min": 1.5, "max": 1}}, ".range", "has min 1.5 above max 1"),
        )
    ),
]


@BOTH
@pytest.mark.parametrize(("fields", "field", "reason"), REFUSED)
def test_what_is_out_of_range_is_refused_by_its_place(kind, fields, field, reason):
    several = {"recommend": "session", "similar": "items"}[kind]
    found, why = refusal(request_of(kind, **fields))
    assert found == field.replace("several", several)
    assert reason in why


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.RecommendRequest(limit=5), "subject"),
        (pb.SimilarItemsRequest(), "subject"),
        *((pb.RecommendRequest(user_id=wrong), "user_id") for wrong in ("", "x" * 513, "é" * 257)),
        *((pb.SimilarItemsRequest(item_id=wrong), "item_id") for wrong in ("", "x" * 513)),
        *(
            (pb.RecommendRequest(features={"features": features}), f"features.features{place}")
            for features, place in (([], ""), (["a:1"] * 101, ""), (["a:1", ""], "[1]"))
        ),
    ],
    ids=str,
)
def test_a_request_about_nobody_who_can_be_is_refused_by_name(request_, field):
    assert refusal(request_)[0] == field


def test_each_subject_is_read_as_what_it_is():
    assert asked(pb.RecommendRequest(user_id="u"))[0] == "u"
    assert asked(pb.SimilarItemsRequest(item_id="i"))[0] == "i"
    subject, _ = asked(pb.RecommendRequest(features={"features": ["age:25-34"] * 100}))
    assert (type(subject), [*subject.features]) == (UserFeatures, ["age:25-34"] * 100)
    ids, weights = ["a", "b", "a"] * 333 + ["c"], [0, 2, 0.5] * 333 + [1]
    for kind, field in (("recommend", "session"), ("similar", "items")):
        subject, _ = asked(request_of(kind, several={"item_ids": ids, "weights": weights}))
        assert type(subject) is WeightedItems
        assert (list(subject.item_ids), list(subject.weights), subject.field) == (ids, weights, field)


def test_who_has_seen_what_is_excluded_unless_told_not_to():
    # Also where a request isn't plain.
    for told, more in itertools.product((True, False), ({}, {"explain": True})):
        assert options_of("recommend", exclude_seen=told, **more).exclude_seen is told


# Twice the same, and as long as ids may be.
EXCLUDED = ["a", "a", "x" * 512, "é" * 256, *map(str, range(9_996))]
GENRES = ["drama", "drama", ""]
ACCEPTED = [
    ({}, {"limit": 10}),
    *(({"limit": limit}, {"limit": limit}) for limit in (1, 7, 1000)),
    # A request carries 0.1 as the float nearest to it, which is a little more.
    *(
        ({"search_effort": effort}, {"search": Search(effort=float(np.float32(effort)))})
        for effort in (0.1, 0.5, 1, 100)
    ),
    ({"exact": True}, {"search": Search(exact=True)}),
    ({"exclude_item_ids": EXCLUDED}, {"exclude_item_ids": EXCLUDED}),
    *(
        ({"unknown_ids": f"UNKNOWN_IDS_{word.upper()}"}, {"unknown_ids": word})
        for word in ("error", "ignore", "popular")
    ),
    *(({"diversity": share}, {"diversity": share}) for share in (0.25, 1)),
    ({"explain": True}, {"explain": True}),
    *(
        (
            {"filter": conditions({f"{test}_of": {"values": GENRES}})},
            {"conditions": [ValueCondition("a", test, GENRES)]},
        )
        for test in ("any", "all", "none")
    ),
    ({"filter": conditions(*[YEAR] * 32)}, {"conditions": [NumberCondition("a", 1, INF)] * 32}),
    *(
        ({"filter": conditions({"range": ends})}, {"conditions": [NumberCondition("a", low, high)]})
        for ends, low, high in (
            ({"min": 1990, "max": 1999}, 1990, 1999),
            *(({"min": 0}, 0, INF), ({"max": 0}, -INF, 0)),
            ({"min": 2, "max": 2}, 2, 2),
        )
    ),
]


@BOTH
@pytest.mark.parametrize(("fields", "changes"), ACCEPTED)
def test_each_field_alone_makes_the_options_that_it_should(kind, fields, changes):
    options = options_of(kind, **fields)
    listed = replace(options, exclude_item_ids=list(options.exclude_item_ids))
    assert listed == replace(Options(exclude_item_ids=[]), **changes)


# ---- pages


def page_of(request):
    return asked(request)[1].page


@BOTH
def test_a_page_belongs_to_the_request_but_for_its_limit_and_token(kind):
    first = page_of(request_of(kind, paginate=True, diversity=0))
    assert first.token == ""
    assert len(first.fingerprint) == len(pages.fingerprint(b""))
    for same in ({"limit": 5}, {"paginate": False}, {"page_token": "u"}, {"max_response_bytes": 9}):
        request = request_of(kind, **{"paginate": True, "page_token": "t", **same})
        before = request.SerializeToString(deterministic=True)
        page = page_of(request)
        assert page.fingerprint == first.fingerprint
        assert page.token == same.get("page_token", "t")
        assert request.SerializeToString(deterministic=True) == before


def test_whatever_else_differs_makes_another_request_of_it():
    others = [
        {"return_attributes": {"paths": ["title"]}},
        *(fields for fields, _ in ACCEPTED if not {*fields} & {"limit", "diversity"}),
    ]
    # Of both kinds, though they are the same bytes on the wire.
    requests = [request_of(kind, paginate=True, **one) for kind in KINDS for one in others]
    requests.append(request_of("recommend", user_id="other", paginate=True))
    found = {page_of(request).fingerprint for request in requests}
    assert len(found) == len(requests)


# ---- batches


@BOTH
def test_a_batch_has_as_many_requests_and_results_as_are_documented(kind):
    of = pb.BatchRecommendRequest if kind == "recommend" else pb.BatchSimilarItemsRequest
    one, full = [request_of(kind)], [request_of(kind, limit=1000)] * 10
    # They fail alone, and make no room for others.
    odd = [request_of(kind, limit=limit) for limit in (0, -5, 1001, 2**31 - 1)]
    for good in (one, one * 256, full, [*full, *odd], [*full[1:], request_of(kind, limit=990), *one]):
        messages.check_batch(of(requests=good))
    for bad, reason in (
        ([], "has 0 entries"),
        (one * 257, "has 257 entries"),
        ([*full[1:], request_of(kind, limit=991), *one], "10001"),
        ([*full, *odd, request_of(kind, limit=1)], "10001"),
    ):
        field, why = refusal(of(requests=bad), messages.check_batch)
        assert (field, reason in why) == ("requests", True)


# ---- attributes to return


def snapshot(*names):
    attributes = Attributes.build([TextColumn(name, [["x"]] * 3) for name in names], 3)
    return retrievable.snapshot(
        [[1, 0, 0]] * 3, [[1, 0, 0]], titles=["x"] * 3, attributes=attributes if names else None
    )


@BOTH
def test_the_attributes_to_return_are_those_asked_for_once_and_a_thousand_at_most(kind):
    own = snapshot("genres", "year", "studio")
    assert messages.return_attributes(own, request_of(kind)) == ()
    paths = ["year", "title", "genres", "title", "year"]
    wanted = request_of(kind, return_attributes={"paths": paths})
    assert messages.return_attributes(own, wanted) == ("year", "title", "genres")
    wanted.return_attribute_names.extend(["studio"] * 995)
    assert messages.return_attributes(own, wanted) == ("year", "title", "genres", "studio")
    wanted.return_attribute_names.append("year")
    field, reason = refusal(wanted, partial(messages.return_attributes, own))
    assert (field, "1001" in reason) == ("return_attribute_names", True)


@BOTH
@pytest.mark.parametrize("name", ["", "Genres", "y" * 10_000])
@pytest.mark.parametrize("names", [("genres", "year"), ()])
def test_an_unknown_attribute_to_return_is_refused_and_the_known_ones_are_named(kind, name, names):
    for field, value in (
        ("return_attributes", {"paths": ["title", name]}),
        ("return_attribute_names", ["title", name]),
    ):
        wanted = request_of(kind, **{field: value})
        found, reason = refusal(wanted, partial(messages.return_attributes, snapshot(*names)))
        assert found == field
        assert reason.endswith(f"known: {', '.join(('title', *names))}")
        assert len(reason) < 150


# ---- plain and quick requests

PLAIN_FIELDS = {
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
        assert messages.is_plain(request) == (field.name in PLAIN_FIELDS), field.name


@pytest.fixture(scope="module")
def many_items():
    """The first user has seen 500 items, the second one more."""
    vectors = np.random.default_rng(1).normal(size=(2000, 3))
    return retrievable.snapshot(vectors, vectors[:3], seen=[range(500), range(501), []])


FIFTY = {"item_ids": ["item-1"] * 50}
MORE = {"item_ids": ["item-1"] * 51}
QUICK = [
    request_of("recommend", limit=100, exclude_seen=False, return_attributes={"paths": ["title"]}),
    request_of("recommend", user_id="user-0"),
    request_of("recommend", FIFTY),
    request_of("similar", FIFTY, limit=100),
]
SLOW = [
    request_of("recommend", user_id="user-1"),
    *(request_of(kind, **more) for kind in KINDS for more in ({"limit": 101}, {"exact": True})),
    *(request_of(kind, MORE) for kind in KINDS),
    pb.BatchRecommendRequest(requests=[request_of("recommend")]),
    pb.GetStatusRequest(),
]


@pytest.mark.parametrize("request_", [*QUICK, *SLOW], ids=str)
def test_what_may_look_at_much_is_not_quick_and_nothing_is_where_searches_are_not(many_items, request_):
    for microseconds in (500.0, 500.1):
        model = many_items.model
        rankers = {
            name: replace(getattr(model, name), query_microseconds=microseconds)
            for name in ("recommend", "similar")
        }
        found = messages.is_quick(replace(many_items, model=replace(model, **rankers)), request_)
        assert found == (request_ in QUICK and microseconds == 500.0)


def test_what_sums_many_neighbours_is_not_quick():
    """The users have seen 1, 20 and 300 items of 400 neighbours each."""
    items = 500
    links = [dict.fromkeys([*range(400)], 1.0) for _ in range(items)]
    seen = [[0], [*range(20)], [*range(300)]]
    own = retrievable.item_item_snapshot(links, seen=seen)
    for user, quick in (("user-0", True), ("user-1", True), ("user-2", False), ("nobody", True)):
        assert messages.is_quick(own, request_of("recommend", user_id=user)) == quick
    for count in (1, 50):
        session = {"item_ids": [f"item-{row}" for row in range(count)]}
        assert messages.is_quick(own, pb.RecommendRequest(session=session))
    assert messages.is_quick(own, pb.SimilarItemsRequest(item_id="item-0"))
