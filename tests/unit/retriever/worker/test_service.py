"""Requests and responses, with a context that aborts and knows whether somebody waits."""

from __future__ import annotations

from typing import get_args

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import code_pb2, error_details_pb2, status_pb2
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.release import release
from retriever import control
from retriever.answering import batches, queries
from retriever.parent.worker_process import State
from retriever.worker import answer_messages, messages, service
from retriever.worker.current import CurrentSnapshot
from retriever.worker.service import SERVICE_NAME, RetrieverServicer
from tests import retrievable
from tests.retrievable import FixedIndex

ITEMS = [[1, 0, 0.5], [0, 1, 0.25], [1, 1, 0], [-1, 0, 0]]
USERS = [[2, 1, 0.125], [0, 0, 0]]
TITLES = ["Zero", "", "Zwei – 二", "Three"]


class AbortedError(Exception):
    """What a real context raises to leave the handler."""


class Context:
    """A call's context. The caller stops waiting after so many looks whether it still does."""

    status: grpc.Status

    def __init__(self, *, looks=1_000_000):
        self.looks = looks

    def is_active(self):
        self.looks -= 1
        return self.looks >= 0

    def abort_with_status(self, status):
        self.status = status
        raise AbortedError


class Caller:
    """Calls a servicer as gRPC does."""

    def __init__(self, *snapshots, fleet=None):
        self.current = CurrentSnapshot()
        for snapshot in snapshots:
            self.current.swap(snapshot)
        told = fleet or control.ServiceState(label="current")
        self._servicer = RetrieverServicer(self.current, lambda: told)

    def similar_items(self, **fields):
        return self._servicer.SimilarItems(pb.SimilarItemsRequest(**fields), Context())

    def recommend(self, **fields):
        return self._servicer.Recommend(pb.RecommendRequest(**fields), Context())

    def status(self):
        return self._servicer.GetStatus(pb.GetStatusRequest(), Context())

    def refused(self, request):
        """The status of a refused call, and its first detail."""
        context = Context()
        call = {
            pb.SimilarItemsRequest: self._servicer.SimilarItems,
            pb.RecommendRequest: self._servicer.Recommend,
            pb.BatchSimilarItemsRequest: self._servicer.BatchSimilarItems,
            pb.BatchRecommendRequest: self._servicer.BatchRecommend,
        }[type(request)]
        with pytest.raises(AbortedError):
            call(request, context)
        (_, data), *_ = context.status.trailing_metadata
        detail, *_ = status_pb2.Status.FromString(data).details
        return context.status, detail


@pytest.fixture
def caller():
    return Caller(retrievable.snapshot(ITEMS, USERS, seen=[[0], []], titles=TITLES))


def bad_field(caller, request):
    """The field that a BadRequest names."""
    status, detail = caller.refused(request)
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    bad_request = error_details_pb2.BadRequest()
    assert detail.Unpack(bad_request)
    [violation] = bad_request.field_violations
    assert status.details == f"{violation.field}: {violation.description}"
    return violation.field


def reason(caller, request, code):
    status, detail = caller.refused(request)
    assert status.code is code
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    return info.reason


def pairs(response):
    return [(item.item_id, item.score) for item in response.items]


def test_similar_items_are_answered_with_cosines_and_the_version(caller):
    response = caller.similar_items(item_id="item-0")
    assert pairs(response) == [
        ("item-2", pytest.approx(2**-0.5)),
        ("item-1", 0),
        ("item-3", -1),
    ]
    assert response.version == "20261124T043500Z-3fa9c1"


def test_recommendations_are_answered_with_scores_and_the_version(caller):
    response = caller.recommend(user_id="user-0")
    assert pairs(response) == [("item-2", 3.125), ("item-1", 1.375), ("item-3", -1.875)]
    assert response.version == "20261124T043500Z-3fa9c1"


@pytest.mark.parametrize(("exclude", "seen"), [(None, False), (True, False), (False, True)])
def test_what_was_seen_is_left_out_unless_told_not_to(caller, exclude, seen):
    fields = {} if exclude is None else {"exclude_seen": exclude}
    found = [item.item_id for item in caller.recommend(user_id="user-0", **fields).items]
    assert ("item-0" in found) == seen


def test_a_limit_is_kept_and_its_default_is_ten():
    items = [[row + 1, 1, 0] for row in range(30)]
    caller = Caller(retrievable.snapshot(items, USERS))
    for fields, count in (({}, 10), ({"limit": 1}, 1), ({"limit": 1000}, 30)):
        assert len(caller.recommend(user_id="user-0", **fields).items) == count
        assert len(caller.similar_items(item_id="item-0", **fields).items) == min(count, 29)


@pytest.mark.parametrize("limit", [0, -1, 1001, 2**31 - 1, -(2**31)])
def test_a_limit_out_of_range_is_refused_by_name(caller, limit):
    assert bad_field(caller, pb.SimilarItemsRequest(item_id="item-0", limit=limit)) == "limit"
    assert bad_field(caller, pb.RecommendRequest(user_id="user-0", limit=limit)) == "limit"


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, 1.0),
        ({"search_effort": 1}, 1.0),
        ({"search_effort": 0.5}, 0.5),
        ({"search_effort": 100}, 100.0),
    ],
)
def test_the_effort_is_the_requests_and_one_by_default(fields, effort):
    index = FixedIndex(range(4))
    caller = Caller(retrievable.snapshot(ITEMS, USERS, similar=index, recommend=index))
    caller.recommend(user_id="user-0", limit=1, **fields)
    caller.similar_items(item_id="item-0", limit=1, **fields)
    assert index.efforts == [effort] * 2


def test_the_least_effort_may_be_asked_for_though_a_float_is_not_quite_what_was_written():
    """A request carries 0.1 as the float nearest to it, which is a little more."""
    index = FixedIndex(range(4))
    caller = Caller(retrievable.snapshot(ITEMS, USERS, similar=index, recommend=index))
    caller.recommend(user_id="user-0", limit=1, search_effort=0.1)
    caller.similar_items(item_id="item-0", limit=1, search_effort=0.1)
    assert index.efforts == [pytest.approx(0.1)] * 2


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("effort", [0, -1, 0.05, 100.5, 101, float("nan"), float("inf"), float("-inf")])
def test_an_effort_out_of_range_is_refused_by_name(caller, effort, exact):
    for request in (
        pb.SimilarItemsRequest(item_id="item-0", search_effort=effort, exact=exact),
        pb.RecommendRequest(user_id="user-0", search_effort=effort, exact=exact),
        # Whoever is asked for: it is looked up later.
        pb.RecommendRequest(user_id="nobody", search_effort=effort, exact=exact),
    ):
        assert bad_field(caller, request) == "search_effort"
        status, _ = caller.refused(request)
        assert "but should be in 0.1..100" in status.details


def test_an_exact_answer_is_the_true_one_whatever_the_index_finds():
    useless = FixedIndex([3])
    caller = Caller(retrievable.snapshot(ITEMS, USERS, similar=useless, recommend=useless))
    truth = Caller(retrievable.snapshot(ITEMS, USERS))
    for exact, asked in ((False, [1, 2]), (True, [])):
        useless.asked.clear()
        recommended = caller.recommend(user_id="user-0", limit=1, exact=exact)
        similar = caller.similar_items(item_id="item-0", limit=1, exact=exact)
        assert useless.asked == asked
        assert (pairs(recommended) == pairs(truth.recommend(user_id="user-0", limit=1))) == exact
        assert (pairs(similar) == pairs(truth.similar_items(item_id="item-0", limit=1))) == exact


@pytest.mark.parametrize("external_id", ["", "x" * 513, "é" * 257])
def test_an_id_that_is_empty_or_too_long_is_refused_by_name(caller, external_id):
    assert bad_field(caller, pb.SimilarItemsRequest(item_id=external_id)) == "item_id"
    assert bad_field(caller, pb.RecommendRequest(user_id=external_id)) == "user_id"


def test_a_request_for_nobody_is_refused(caller):
    assert bad_field(caller, pb.RecommendRequest(limit=3)) == "subject"


def test_an_unknown_id_is_not_found(caller):
    code = grpc.StatusCode.NOT_FOUND
    for external_id in ("nobody", "x" * 512, "item-0\0"):
        assert reason(caller, pb.SimilarItemsRequest(item_id=external_id), code) == "ITEM_NOT_FOUND"
        assert reason(caller, pb.RecommendRequest(user_id=external_id), code) == "USER_NOT_FOUND"


@pytest.mark.parametrize("paths", [[], ["title"], ["title", "title"]])
def test_titles_come_when_they_are_asked_for(caller, paths):
    mask = FieldMask(paths=paths)
    response = caller.similar_items(item_id="item-0", return_attributes=mask)
    assert [item.title for item in response.items] == (
        ["Zwei – 二", "", "Three"] if paths else [""] * 3
    )
    response = caller.recommend(user_id="user-0", return_attributes=mask)
    assert [item.title for item in response.items] == (
        ["Zwei – 二", "", "Three"] if paths else [""] * 3
    )


def test_titles_are_empty_when_the_publication_has_none():
    caller = Caller(retrievable.snapshot(ITEMS, USERS))
    response = caller.similar_items(item_id="item-0", return_attributes=FieldMask(paths=["title"]))
    assert [item.title for item in response.items] == [""] * 3


@pytest.mark.parametrize("path", ["", "Title", "title.text", "genre", "x" * 10_000])
def test_an_unknown_attribute_is_refused_and_the_known_ones_are_named(caller, path):
    mask = FieldMask(paths=["title", path])
    for request in (
        pb.SimilarItemsRequest(item_id="item-0", return_attributes=mask),
        pb.RecommendRequest(user_id="user-0", return_attributes=mask),
    ):
        assert bad_field(caller, request) == "return_attributes"
        status, _ = caller.refused(request)
        assert "known: title" in status.details
        assert len(status.details) < 200


def test_without_a_snapshot_both_are_unavailable_with_a_reason():
    caller = Caller()
    for request in (pb.SimilarItemsRequest(item_id="1"), pb.RecommendRequest(user_id="1")):
        assert reason(caller, request, grpc.StatusCode.UNAVAILABLE) == "LOADING"


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (control.ServiceState(label="current", label_problem="label 'x': empty"), "label 'x': empty"),
        (
            control.ServiceState(
                label="current",
                target="v1",
                failed=[
                    control.FailedVersion("v2", "what came before", 2.0),
                    control.FailedVersion("v1", "items.trie is broken", 1.0),
                ],
            ),
            "version v1, which label current names, can't be served: items.trie is broken",
        ),
        (
            control.ServiceState(
                label="current",
                label_problem="label 'x': empty",
                failed=[control.FailedVersion("v2", "items.trie is broken", 2.0)],
            ),
            "label 'x': empty",
        ),
    ],
)
def test_without_a_snapshot_the_reason_is_what_the_parent_knows(fleet, expected):
    """Whoever calls needn't look into a log."""
    caller = Caller(fleet=fleet)
    for request in (pb.SimilarItemsRequest(item_id="1"), pb.RecommendRequest(user_id="1")):
        assert reason(caller, request, grpc.StatusCode.UNAVAILABLE) == "NOTHING_PUBLISHED"
        assert caller.refused(request)[0].details == f"no publication is loaded: {expected}"


def test_with_a_snapshot_a_problem_of_the_label_is_none_of_a_call():
    fleet = control.ServiceState(label="current", label_problem="unreadable")
    caller = Caller(retrievable.snapshot(ITEMS, USERS), fleet=fleet)
    assert len(caller.recommend(user_id="user-0").items) == 4


QUESTIONS = [pb.SimilarItemsRequest(item_id="item-0"), pb.RecommendRequest(user_id="user-0")]


def call(caller, request, context):
    servicer = caller._servicer
    ask = servicer.SimilarItems if isinstance(request, pb.SimilarItemsRequest) else servicer.Recommend
    return ask(request, context)


@pytest.mark.parametrize("request_", QUESTIONS, ids=["similar_items", "recommend"])
def test_a_caller_that_left_is_searched_nothing(request_):
    index = FixedIndex(range(4))
    caller = Caller(retrievable.snapshot(ITEMS, USERS, similar=index, recommend=index))
    context = Context(looks=0)
    with pytest.raises(AbortedError):
        call(caller, request_, context)
    assert context.status.code is grpc.StatusCode.CANCELLED
    assert index.asked == []


@pytest.mark.parametrize("request_", QUESTIONS, ids=["similar_items", "recommend"])
def test_a_caller_that_leaves_during_the_search_gets_no_answer_made(request_, monkeypatch):
    caller = Caller(retrievable.snapshot(ITEMS, USERS))
    context = Context()
    assert call(caller, request_, context)
    stages = 1_000_000 - context.looks
    assert stages >= 2
    made = []
    monkeypatch.setattr(service.answer_messages, "fill_in", lambda *_: made.append(1))
    for looks in range(stages):
        context = Context(looks=looks)
        with pytest.raises(AbortedError):
            call(caller, request_, context)
        assert context.status.code is grpc.StatusCode.CANCELLED
    assert made == []


def test_without_a_snapshot_a_bad_request_is_still_a_bad_request():
    """A client that retries UNAVAILABLE would otherwise try for ever what can't succeed."""
    caller = Caller()
    assert bad_field(caller, pb.SimilarItemsRequest(item_id="")) == "item_id"
    assert bad_field(caller, pb.RecommendRequest()) == "subject"
    assert bad_field(caller, pb.SimilarItemsRequest(item_id="1", limit=0)) == "limit"
    assert bad_field(caller, pb.RecommendRequest(user_id="1", limit=1001)) == "limit"
    assert bad_field(caller, pb.SimilarItemsRequest(item_id="1", search_effort=0)) == "search_effort"
    assert bad_field(caller, pb.RecommendRequest(user_id="1", search_effort=101)) == "search_effort"


@pytest.mark.parametrize("call", ["recommend", "similar_items"])
def test_an_answer_is_from_one_snapshot_though_another_is_swapped_in_meanwhile(monkeypatch, call):
    """Otherwise rows of one version would be named by the ids of another."""
    caller = Caller()
    old = retrievable.snapshot(ITEMS, USERS, titles=["old"] * 4, version="old")
    new = retrievable.snapshot(ITEMS[::-1], USERS, titles=["new"] * 4, version="new")
    # Whoever looks again finds another one.
    monkeypatch.setattr(caller.current, "get", iter([old, new, new, new]).__next__)
    asked = {"user_id": "user-0"} if call == "recommend" else {"item_id": "item-0"}
    response = getattr(caller, call)(**asked, return_attributes=FieldMask(paths=["title"]))
    assert response.version == "old"
    assert {item.title for item in response.items} == {"old"}
    alone = Caller(old)
    assert pairs(response) == pairs(getattr(alone, call)(**asked))


# ---- batches


def users_batch(*fields):
    return pb.BatchRecommendRequest(requests=[pb.RecommendRequest(**one) for one in fields])


def items_batch(*fields):
    return pb.BatchSimilarItemsRequest(requests=[pb.SimilarItemsRequest(**one) for one in fields])


def results(caller, request, context=None):
    """What each entry of a batch got: its answer or its error."""
    servicer = caller._servicer
    ask = (
        servicer.BatchRecommend
        if isinstance(request, pb.BatchRecommendRequest)
        else servicer.BatchSimilarItems
    )
    response = ask(request, context or Context())
    assert response.version == "20261124T043500Z-3fa9c1"
    assert len(response.results) == len(request.requests)
    return [getattr(one, one.WhichOneof("result")) for one in response.results]


def status_alone(caller, request):
    """The google.rpc status of a call of its own."""
    context = Context()
    with pytest.raises(AbortedError):
        call(caller, request, context)
    (_, data), *_ = context.status.trailing_metadata
    return status_pb2.Status.FromString(data)


def rounded(response):
    """A product of matrices rounds otherwise than one of a matrix and a vector."""
    for item in response.items:
        item.score = round(item.score, 4)
    return response


TITLE = FieldMask(paths=["title"])
GOOD_AND_BAD_USERS = [
    {"user_id": "user-0", "return_attributes": TITLE},
    {"user_id": "nobody"},
    {"user_id": ""},
    {"user_id": "user-1", "limit": 2, "exclude_item_ids": ["item-0"]},
    {"user_id": "user-0", "exclude_item_ids": ["x" * 513]},
    {"user_id": "user-0", "limit": 1001},
    {"user_id": "user-0", "return_attributes": FieldMask(paths=["color"])},
    {"session": pb.WeightedItems(item_ids=["item-0"])},
    {"user_id": "user-1", "paginate": True, "limit": 3},
    {"user_id": "user-1", "page_token": "forged"},
    {},
]
USER_CODES = [
    None,
    code_pb2.NOT_FOUND,
    code_pb2.INVALID_ARGUMENT,
    None,
    code_pb2.INVALID_ARGUMENT,
    code_pb2.INVALID_ARGUMENT,
    code_pb2.INVALID_ARGUMENT,
    code_pb2.FAILED_PRECONDITION,
    None,
    code_pb2.INVALID_ARGUMENT,
    code_pb2.INVALID_ARGUMENT,
]
GOOD_AND_BAD_ITEMS = [
    {"item_id": "nothing"},
    {"item_id": "item-1", "return_attributes": TITLE},
    {"items": pb.WeightedItems(item_ids=["item-0", "item-2", "nothing"]), "explain": True},
    {"items": pb.WeightedItems(item_ids=["item-0"], weights=[-1])},
    # They point in opposite directions.
    {"items": pb.WeightedItems(item_ids=["item-0", "item-3"])},
]
ITEM_CODES = [code_pb2.NOT_FOUND, None, None, code_pb2.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT]


@pytest.mark.parametrize(
    ("batch", "codes"),
    [
        (users_batch(*GOOD_AND_BAD_USERS), USER_CODES),
        (items_batch(*GOOD_AND_BAD_ITEMS), ITEM_CODES),
    ],
    ids=["recommend", "similar_items"],
)
def test_each_entry_of_a_batch_gets_what_a_call_of_its_own_would_get_details_included(
    caller, batch, codes
):
    for request, code, result in zip(batch.requests, codes, results(caller, batch), strict=True):
        if code is None:
            assert rounded(result) == rounded(call(caller, request, Context()))
        else:
            assert result == status_alone(caller, request)
            assert result.code == code
            assert len(result.details) == 1


def test_a_batch_that_is_empty_or_too_large_is_refused_as_a_whole(caller):
    one = {"user_id": "user-0"}
    assert bad_field(caller, users_batch()) == "requests"
    assert bad_field(caller, items_batch()) == "requests"
    assert bad_field(caller, users_batch(*[one] * 257)) == "requests"
    assert bad_field(caller, items_batch(*[{"item_id": "item-0"}] * 257)) == "requests"
    assert bad_field(caller, users_batch(*[{**one, "limit": 1000}] * 11)) == "requests"
    assert len(results(caller, users_batch(*[one] * 256))) == 256
    # Whatever is loaded.
    assert bad_field(Caller(), users_batch()) == "requests"


def test_without_a_snapshot_a_batch_is_unavailable_as_a_whole():
    for batch in (users_batch({"user_id": "1"}, {}), items_batch({"item_id": "1"})):
        assert reason(Caller(), batch, grpc.StatusCode.UNAVAILABLE) == "LOADING"


@pytest.mark.parametrize("batch", ["recommend", "similar_items"])
def test_a_whole_batch_is_from_one_snapshot_though_another_is_swapped_in_meanwhile(monkeypatch, batch):
    caller = Caller()
    old = retrievable.snapshot(ITEMS, USERS, titles=["old"] * 4, version="old")
    new = retrievable.snapshot(ITEMS[::-1], USERS, titles=["new"] * 4, version="new")
    caller.current.swap(old)
    real = messages.return_attributes

    def swap_and_go_on(*asked):
        # Between the entries, so that the later ones would find another one if they looked.
        caller.current.swap(new)
        return real(*asked)

    monkeypatch.setattr(messages, "return_attributes", swap_and_go_on)
    if batch == "recommend":
        one = {"user_id": "user-0", "return_attributes": TITLE}
        response = caller._servicer.BatchRecommend(users_batch(*[one] * 3), Context())
        alone = Caller(old).recommend(**one)
    else:
        one = {"item_id": "item-0", "return_attributes": TITLE}
        response = caller._servicer.BatchSimilarItems(items_batch(*[one] * 3), Context())
        alone = Caller(old).similar_items(**one)
    assert caller.current.get() is new
    assert response.version == "old"
    for result in response.results:
        assert rounded(result.response) == rounded(alone)
        assert result.response.version == "old"
        assert {item.title for item in result.response.items} == {"old"}


def test_a_caller_that_leaves_during_a_batch_gets_no_answer_made(caller, monkeypatch):
    # With searches of their own, so that there are more stages than those of a product.
    batch = users_batch(*[{"user_id": "user-0", "paginate": True}] * 3, {"user_id": "nobody"})
    context = Context()
    results(caller, batch, context)
    stages = 1_000_000 - context.looks
    assert stages >= 5
    made = []
    monkeypatch.setattr(answer_messages, "fill_in", lambda *_: made.append(1))
    for looks in range(stages):
        context = Context(looks=looks)
        with pytest.raises(AbortedError):
            results(caller, batch, context)
        assert context.status.code is grpc.StatusCode.CANCELLED
    assert made == []


def test_an_unexpected_error_in_a_batch_is_its_entrys_and_for_the_log_only(caller, monkeypatch, caplog):
    monkeypatch.setattr(batches, "finish", lambda _, plan, found: found.rows[plan.options.limit])
    (first, second) = results(
        caller, users_batch({"user_id": "user-1", "limit": 1000}, {"user_id": "nobody"})
    )
    assert first.code == code_pb2.INTERNAL
    assert "index" not in first.message
    assert not first.details
    assert "IndexError" in caplog.text
    assert second.code == code_pb2.NOT_FOUND


def test_an_unexpected_error_tells_its_caller_nothing(monkeypatch, caplog):
    caller = Caller(retrievable.snapshot(ITEMS, USERS))
    monkeypatch.setattr(queries, "recommend", lambda *_, **__: 1 / 0)
    context = Context()
    with pytest.raises(AbortedError):
        caller._servicer.Recommend(pb.RecommendRequest(user_id="user-0"), context)
    assert context.status.code is grpc.StatusCode.INTERNAL
    assert "division" not in context.status.details
    assert "ZeroDivisionError" in caplog.text


def test_the_status_is_what_the_parent_told():
    fleet = control.ServiceState(
        label="canary",
        target="v2",
        version="v1",
        label_problem="a problem",
        served_problem="a changed",
        last_reload=control.ReloadFacts("v2", False, "broken", 0.25, 1_800_000_000.5, 0.125),
        workers=[
            control.WorkerFacts(
                *(0, 123, "running", "v1", 1_700_000_000.0, 1_700_000_001.0, 2),
                control.Load(calls=10, refused=3, in_flight=2, pss_bytes=1 << 33),
            ),
            control.WorkerFacts(1, 124, "starting", "", 1_700_000_002.0, 0, 0),
            control.WorkerFacts(2, 0, "down", "", 0, 0, 3),
            control.WorkerFacts(3, 125, "booted", "v1", 1_700_000_003.0, 0, 0),
        ],
        failed=[
            control.FailedVersion("v2", "Too many open files", 1_800_000_000.0, passing=True),
            control.FailedVersion("v0", "torn", 1_600_000_000.0),
        ],
    )
    status = Caller(fleet=fleet).status()
    assert (status.label, status.label_target, status.version) == ("canary", "v2", "v1")
    assert (status.label_problem, status.served_problem) == ("a problem", "a changed")
    last = status.last_reload
    assert (last.version, last.succeeded, last.reason, last.duration_seconds) == (
        "v2",
        False,
        "broken",
        0.25,
    )
    assert last.ended_at.ToNanoseconds() == 1_800_000_000_500_000_000
    assert last.commit_spread_seconds == 0.125
    assert [
        (failed.version, failed.reason, failed.failed_at.seconds, failed.retried)
        for failed in status.failed_versions
    ] == [
        ("v2", "Too many open files", 1_800_000_000, True),
        ("v0", "torn", 1_600_000_000, False),
    ]
    assert [(worker.index, worker.pid, worker.restarts) for worker in status.workers] == [
        (0, 123, 2),
        (1, 124, 0),
        (2, 0, 3),
        (3, 125, 0),
    ]
    busy, idle, *_ = status.workers
    assert (busy.calls, busy.refused_calls, busy.calls_in_flight, busy.pss_bytes) == (10, 3, 2, 1 << 33)
    assert (idle.calls, idle.refused_calls, idle.calls_in_flight, idle.pss_bytes) == (0, 0, 0, 0)
    assert [pb.WorkerState.Name(worker.state) for worker in status.workers] == [
        "WORKER_STATE_RUNNING",
        "WORKER_STATE_STARTING",
        "WORKER_STATE_DOWN",
        "WORKER_STATE_STARTING",
    ]
    assert [worker.version for worker in status.workers] == ["v1", "", "", "v1"]
    assert [worker.HasField("started_at") for worker in status.workers] == [True, True, False, True]
    assert [worker.HasField("serving_since") for worker in status.workers] == [True] + [False] * 3


def test_the_status_is_answered_before_the_parent_told_anything():
    status = Caller().status()
    assert status.label == "current"
    assert not status.HasField("last_reload")
    assert not status.workers
    assert not status.failed_versions


def test_every_state_of_a_worker_has_a_name_in_the_status():
    assert {*get_args(State)} == service._STATES.keys()


def test_the_status_is_answered_whoever_waits():
    """It costs nothing, and a probe that is late still wants to know."""
    caller = Caller()
    assert caller._servicer.GetStatus(pb.GetStatusRequest(), Context(looks=0)).label == "current"


def test_the_services_name_is_the_protos():
    assert SERVICE_NAME == "recsys.retriever.v1.RetrieverService"


def test_the_status_says_which_release_answers(caller):
    assert caller._servicer.GetStatus(pb.GetStatusRequest(), Context()).software_version == release()
