"""Requests and responses, with a context that aborts and knows whether somebody waits."""

import weakref
from contextlib import nullcontext

import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.attributes import Attributes, TextColumn
from retriever import control
from retriever.answering import queries
from retriever.worker import messages, service
from retriever.worker.service import RetrieverServicer
from tests import retrievable
from tests.retrievable import FixedIndex
from tests.unit.retriever.worker.test_status import details_of

ITEMS = [[1, 0, 0.5], [0, 1, 0.25], [1, 1, 0], [-1, 0, 0]]
USERS = [[2, 1, 0.125], [0, 0, 0]]
TITLES = ["Zero", "", "Zwei – 二", "Three"]
VERSION = "20261124T043500Z-3fa9c1"
TITLE = {"paths": ["title"]}
MANY = 1_000_000


class AbortedError(Exception):
    """What a real context raises to leave the handler."""


class Context:
    """A call's context. The caller stops waiting after so many looks whether it still does."""

    status: grpc.Status

    def __init__(self, looks=MANY):
        self.looks = looks

    def is_active(self):
        self.looks -= 1
        return self.looks >= 0

    def abort_with_status(self, status):
        self.status = status
        raise AbortedError


class Caller:
    """Calls a servicer as gRPC does, and notes what it tells of its answers."""

    def __init__(self, snapshot=None, *, fleet=None):
        told = fleet or control.ServiceState(label="current")
        self.answered = []
        self.recommended = []
        self.servicer = RetrieverServicer(
            lambda: told,
            answered=lambda method, answers: self.answered.append((method, [*answers])),
            recommended=lambda *asked: self.recommended.append(asked),
        )
        self.servicer.snapshot = snapshot

    def ask(self, request, context=None):
        method = type(request).__name__.removesuffix("Request")
        return getattr(self.servicer, method)(request, context or Context())

    def refused(self, request, *, looks=MANY):
        """The status of a refused call."""
        context = Context(looks)
        with pytest.raises(AbortedError):
            self.ask(request, context)
        return context.status

    def bad_field(self, request):
        """The field that a BadRequest names."""
        status = self.refused(request)
        assert status.code is grpc.StatusCode.INVALID_ARGUMENT
        [violation] = details_of(status)[0]["fieldViolations"]
        assert status.details == "{field}: {description}".format_map(violation)
        return violation["field"]


def snapshot(**changes):
    return retrievable.snapshot(ITEMS, USERS, **{"seen": [[0], []], "titles": TITLES, **changes})


@pytest.fixture
def caller():
    return Caller(snapshot())


def recommend(**fields):
    return pb.RecommendRequest(**{"user_id": "user-0", **fields})


def similar(**fields):
    return pb.SimilarItemsRequest(**{"item_id": "item-0", **fields})


def users_batch(*fields):
    return pb.BatchRecommendRequest(requests=[pb.RecommendRequest(**one) for one in fields])


def items_batch(*fields):
    return pb.BatchSimilarItemsRequest(requests=[pb.SimilarItemsRequest(**one) for one in fields])


BATCHES = [items_batch({"item_id": "item-0"}), users_batch({"user_id": "user-0"}, {})]
ALL = pytest.mark.parametrize("request_", [similar(), recommend(), *BATCHES], ids=range(4))


# ---- answers


@pytest.mark.parametrize(
    ("request_", "scores"),
    [(similar(), [2**-0.5, 0, -1]), (recommend(), [3.125, 1.375, -1.875])],
    ids=["similar", "recommend"],
)
def test_a_question_is_answered_from_what_serves_and_the_answer_is_told_of(caller, request_, scores):
    request_.return_attributes.paths.append("title")
    response = caller.ask(request_)
    method = type(request_).__name__.removesuffix("Request")
    named = [("item-2", "Zwei – 二"), ("item-1", ""), ("item-3", "Three")]
    assert [(item.item_id, item.title) for item in response.items] == named
    assert [item.score for item in response.items] == pytest.approx(scores)
    assert response.version == VERSION
    [(told, [answer])] = caller.answered
    assert (told, [*answer.rows]) == (method, [2, 1, 3])
    if method == "Recommend":
        [(of, subject, options, recommended)] = caller.recommended
        assert (of, subject, recommended) == (caller.servicer.snapshot, "user-0", answer)
        assert options == messages.recommend_question(request_)[1]
    else:
        assert caller.recommended == []


@ALL
def test_an_answer_is_no_larger_than_the_caller_allows(caller, request_):
    request_ = type(request_).FromString(request_.SerializeToString())
    size = caller.ask(request_).ByteSize()
    for most in (size, 0):
        request_.max_response_bytes = most
        assert caller.ask(request_).ByteSize() == size
    for most in (size - 1, -1):
        request_.max_response_bytes = most
        assert caller.bad_field(request_) == "max_response_bytes"


# ---- the snapshot


def test_the_last_one_is_current_and_the_one_before_is_let_go(caller):
    old = weakref.ref(caller.servicer.snapshot)
    assert caller.ask(recommend()).version == caller.servicer.version == VERSION
    caller.answered.clear()
    caller.recommended.clear()
    caller.servicer.snapshot = snapshot(version="new")
    assert caller.ask(recommend()).version == caller.servicer.version == "new"
    assert old() is None
    assert Caller().servicer.version == ""


@ALL
def test_an_answer_is_from_one_snapshot_though_another_is_swapped_in_meanwhile(monkeypatch, request_):
    """Otherwise rows of one version would be named by the ids of another."""
    old = snapshot(titles=["old"] * 4, version="old")
    new = retrievable.snapshot(ITEMS[::-1], USERS, titles=["new"] * 4, version="new")
    for one in getattr(request_, "requests", [request_]):
        one.return_attributes.CopyFrom(pb.RecommendRequest(return_attributes=TITLE).return_attributes)
    expected = Caller(old).ask(request_)
    caller = Caller(old)
    real = messages.return_attributes

    def swap_and_go_on(*asked):
        # Whoever looks again, for a later entry for instance, finds another one.
        caller.servicer.snapshot = new
        return real(*asked)

    monkeypatch.setattr(messages, "return_attributes", swap_and_go_on)
    assert caller.ask(request_) == expected
    assert expected.version == "old"
    assert caller.servicer.version == "new"


@ALL
def test_without_a_snapshot_the_reason_is_what_the_parent_knows(request_):
    """Whoever calls needn't look into a log."""
    empty = control.ServiceState(label="current", label_problem="label 'x': empty")
    for fleet, reason, told in (
        (None, "LOADING", "the service is starting and hasn't read the volume yet"),
        (empty, "NOTHING_PUBLISHED", empty.label_problem),
    ):
        status = Caller(fleet=fleet).refused(request_)
        assert status.code is grpc.StatusCode.UNAVAILABLE
        assert status.details == f"no version is loaded: {told}"
        assert details_of(status)[0]["reason"] == reason


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (similar(item_id=""), "item_id"),
        (pb.RecommendRequest(), "subject"),
        (recommend(limit=1001), "limit"),
        (similar(max_response_bytes=-1), "max_response_bytes"),
        (users_batch(), "requests"),
    ],
)
def test_without_a_snapshot_a_bad_request_is_still_a_bad_request(request_, field):
    """A client that retries UNAVAILABLE would otherwise try for ever what can't succeed."""
    assert Caller().bad_field(request_) == field


@ALL
def test_a_call_is_quick_unless_it_may_look_at_much_and_always_while_nothing_is_loaded(request_):
    caller = Caller(snapshot())
    assert caller.servicer.is_quick(request_) == (not hasattr(request_, "requests"))
    assert Caller().servicer.is_quick(request_)


def test_the_stages_of_a_call_are_recorded_where_calls_are_traced():
    recorded = []

    def span(stage, **facts):
        recorded.append((stage, facts))
        return nullcontext()

    traced = RetrieverServicer(control.ServiceState, span=span)
    traced.snapshot = snapshot(attributes=Attributes.build([TextColumn("a", [["x"]] * 4)], 4))
    fields = {"filter": {"conditions": [{"attribute": "a", "any_of": {"values": ["x"]}}]}}
    traced.Recommend(recommend(**fields), Context())
    traced.BatchRecommend(users_batch({"user_id": "user-0"}, {"user_id": "user-1"}), Context())
    assert recorded == [("filter", {}), ("search", {}), ("search", {"questions": 2})]


# ---- callers that leave


@pytest.mark.parametrize(
    ("request_", "least"),
    [
        (similar(), 2),
        (recommend(), 2),
        # With searches of their own, so that there are more stages than those of a product.
        (users_batch(*[{"user_id": "user-0", "paginate": True}] * 3, {"user_id": "nobody"}), 5),
    ],
    ids=range(3),
)
def test_a_caller_that_leaves_gets_nothing_searched_or_made_from_then_on(request_, least, monkeypatch):
    index, context = FixedIndex(range(4)), Context()
    caller = Caller(snapshot(similar=index, recommend=index))
    assert caller.ask(request_, context)
    stages = MANY - context.looks
    assert stages >= least
    index.asked.clear()
    made = []
    monkeypatch.setattr(service.answer_messages, "fill_in", lambda *_: made.append(1))
    for looks in range(stages):
        assert caller.refused(request_, looks=looks).code is grpc.StatusCode.CANCELLED
        assert looks or index.asked == []
    assert made == []


# ---- batches


def rounded(response):
    """A product of matrices rounds otherwise than one of a matrix and a vector."""
    for item in response.items:
        item.score = round(item.score, 4)
    return response


BAD = code_pb2.INVALID_ARGUMENT
USER_ENTRIES = [
    ({"user_id": "user-0", "return_attributes": TITLE}, None),
    ({"user_id": "nobody"}, code_pb2.NOT_FOUND),
    ({"user_id": ""}, BAD),
    ({"user_id": "user-1", "limit": 2, "exclude_item_ids": ["item-0"]}, None),
    ({"user_id": "user-0", "return_attributes": {"paths": ["color"]}}, BAD),
    ({"session": {"item_ids": ["item-0"]}}, code_pb2.FAILED_PRECONDITION),
    ({"user_id": "user-1", "paginate": True, "limit": 3}, None),
    ({"user_id": "user-1", "page_token": "forged"}, BAD),
    ({}, BAD),
]
ITEM_ENTRIES = [
    ({"item_id": "nothing"}, code_pb2.NOT_FOUND),
    ({"item_id": "item-1", "return_attributes": TITLE}, None),
    ({"items": {"item_ids": ["item-0", "item-2", "nothing"]}, "explain": True}, None),
    # They point in opposite directions.
    ({"items": {"item_ids": ["item-0", "item-3"]}}, BAD),
]


@pytest.mark.parametrize(
    ("batch", "entries"), [(users_batch, USER_ENTRIES), (items_batch, ITEM_ENTRIES)]
)
def test_each_entry_of_a_batch_gets_what_a_call_of_its_own_would_get_details_included(
    caller, batch, entries
):
    request = batch(*(fields for fields, _ in entries))
    response = caller.ask(request)
    assert response.version == VERSION
    [(method, told)] = caller.answered
    assert method == type(request).__name__.removesuffix("Request")
    codes = [code for _, code in entries]
    assert len(told) == codes.count(None)
    for own, code, result in zip(request.requests, codes, response.results, strict=True):
        if code is None:
            assert rounded(result.response) == rounded(caller.ask(own))
        else:
            (_, data), *_ = caller.refused(own).trailing_metadata
            assert result.error == status_pb2.Status.FromString(data)
            assert (result.error.code, len(result.error.details)) == (code, 1)


def test_an_unexpected_error_is_for_the_log_only_and_in_a_batch_its_entrys(caller, monkeypatch, caplog):
    monkeypatch.setattr(queries, "explain", lambda *_: 1 / 0)
    status = caller.refused(recommend(explain=True))
    assert status.code is grpc.StatusCode.INTERNAL
    nobody = {"user_id": "nobody"}
    # That what is popular wasn't published only the search finds out.
    others = nobody, {**nobody, "unknown_ids": pb.UNKNOWN_IDS_POPULAR}, {"user_id": "user-1"}
    batch = users_batch({"user_id": "user-1", "explain": True}, *others)
    first, *rest = (result.error for result in caller.ask(batch).results)
    codes = [code_pb2.NOT_FOUND, code_pb2.FAILED_PRECONDITION, code_pb2.OK]
    assert [first.code, *(error.code for error in rest)] == [code_pb2.INTERNAL, *codes]
    assert (first.message, len(first.details)) == (status.details, 0)
    assert "division" not in first.message
    assert "ZeroDivisionError" in caplog.text


def test_the_status_is_answered_though_nobody_waits_and_before_the_parent_told_anything():
    """It costs nothing, and a probe that is late still wants to know."""
    status = Caller().ask(pb.GetStatusRequest(), Context(looks=0))
    assert (status.label, status.version) == ("current", "")
