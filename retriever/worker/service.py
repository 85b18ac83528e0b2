"""Proto <-> queries: checks requests, asks, and fills in responses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting import statuses
from lightfm_retriever.hosting.observing.spans import Attribute
from retriever.answering import queries
from retriever.answering.batches import answer_all
from retriever.answering.queries import Plan, RankedRows
from retriever.answering.questions import Checkpoint, Options, UserSubject
from retriever.answering.snapshot import Snapshot
from retriever.control import ServiceState
from retriever.errors import AbandonedError, NothingLoadedError
from retriever.waiting import waiting_for
from retriever.worker import answer_messages, messages
from retriever.worker.fleet_messages import status_message
from retriever.worker.status import to_message, to_status

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["RetrieverService"].full_name

# What a request asks, and how that is looked up.
_ASKED: dict[type[Message], tuple[Callable[..., Any], Callable[..., Plan]]] = {
    pb.SimilarItemsRequest: (messages.similar_items_question, queries.plan_similar_items),
    pb.RecommendRequest: (messages.recommend_question, queries.plan_recommend),
}
_NOTHING = nullcontext()
_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response")

# Told of the answers that a call of a method was given: one, or those of a batch.
Answered: TypeAlias = Callable[[str, Iterable[RankedRows]], None]
# Told of each answer of Recommend, and what was asked.
Recommended: TypeAlias = Callable[[Snapshot, UserSubject, Options, RankedRows], None]


def look_away(*_: object) -> None:
    """Do nothing with what is told."""


def _handler(
    method: Callable[[RetrieverServicer, _Request, Checkpoint], _Response],
) -> Callable[[RetrieverServicer, _Request, grpc.ServicerContext], _Response]:
    """Answers with a status instead of an exception's text."""

    @wraps(method)
    def handle(self: RetrieverServicer, request: _Request, context: grpc.ServicerContext) -> _Response:
        def checkpoint(stage: str = "", **facts: Attribute) -> AbstractContextManager[object]:
            if not context.is_active():
                raise AbandonedError("the caller cancelled or its deadline passed")
            if self._span is None or not stage:
                return _NOTHING
            return self._span(stage, **facts)

        try:
            return method(self, request, checkpoint)
        except Exception as error:
            statuses.abort(context, to_status(error))

    return handle


class CurrentSnapshot:
    """Holds one snapshot, swapped as a whole.

    Reading and writing one attribute is atomic in CPython, so calls need no lock: each sees the old
    snapshot or the new one.
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None

    def get(self) -> Snapshot:
        """The snapshot for one request; NothingLoadedError when there is none."""
        snapshot = self._snapshot
        if snapshot is None:
            raise NothingLoadedError("none was committed")
        return snapshot

    def swap(self, snapshot: Snapshot) -> None:
        """Serve another snapshot from now on."""
        self._snapshot = snapshot

    @property
    def version(self) -> str:
        """The version that serves; empty while there is none."""
        snapshot = self._snapshot
        return "" if snapshot is None else snapshot.version


class RetrieverServicer(pb_grpc.RetrieverServiceServicer):
    """The RPCs.

    Args:
        current: what serves.
        fleet: returns what the parent last told about the whole service.
        answered, recommended: told of answers.
        span: records the stages of a call, if it is traced; None where no call is.
    """

    def __init__(
        self,
        current: CurrentSnapshot,
        fleet: Callable[[], ServiceState],
        *,
        answered: Answered = look_away,
        recommended: Recommended = look_away,
        span: Callable[..., AbstractContextManager[object]] | None = None,
    ) -> None:
        self._current = current
        self._fleet = fleet
        self._answered = answered
        self._recommended = recommended
        self._span = span

    def is_quick(self, request: Any) -> bool:
        """Whether a call may be answered on the thread that takes all calls."""
        try:
            return messages.is_quick(self._current.get(), request)
        except NothingLoadedError:
            return True

    @_handler
    def SimilarItems(  # noqa: N802
        self, request: pb.SimilarItemsRequest, checkpoint: Checkpoint
    ) -> pb.SimilarItemsResponse:
        """See the proto."""
        response = pb.SimilarItemsResponse()
        self._answer("SimilarItems", request, response, checkpoint)
        return response

    @_handler
    def Recommend(  # noqa: N802
        self, request: pb.RecommendRequest, checkpoint: Checkpoint
    ) -> pb.RecommendResponse:
        """See the proto."""
        response = pb.RecommendResponse()
        self._recommended(*self._answer("Recommend", request, response, checkpoint))
        return response

    def _answer(
        self, method: str, request: Any, response: answer_messages.Response, checkpoint: Checkpoint
    ) -> tuple[Snapshot, Any, Options, RankedRows]:
        """Make a new message the answer; returns what was asked of which snapshot, and its answer."""
        question, plan = _ASKED[type(request)]
        subject, options = question(request)
        most = answer_messages.most_bytes(request.max_response_bytes)
        snapshot = self._snapshot()
        attributes = messages.return_attributes(snapshot, request)
        planned = plan(snapshot, subject, options, checkpoint)
        answer = queries.answer(snapshot, planned, checkpoint)
        checkpoint()
        external_id = snapshot.publication.items.external_id
        answer_messages.fill_in(response, snapshot, answer, attributes, external_id)
        if answer_messages.may_be_too_large(attributes, most):
            answer_messages.check_size(response.ByteSize(), most)
        self._answered(method, (answer,))
        return snapshot, subject, options, answer

    @_handler
    def BatchSimilarItems(  # noqa: N802
        self, request: pb.BatchSimilarItemsRequest, checkpoint: Checkpoint
    ) -> pb.BatchSimilarItemsResponse:
        """See the proto."""
        response = pb.BatchSimilarItemsResponse()
        self._answer_all("BatchSimilarItems", request, response, checkpoint)
        return response

    @_handler
    def BatchRecommend(  # noqa: N802
        self, request: pb.BatchRecommendRequest, checkpoint: Checkpoint
    ) -> pb.BatchRecommendResponse:
        """See the proto."""
        response = pb.BatchRecommendResponse()
        self._answer_all("BatchRecommend", request, response, checkpoint)
        return response

    def _answer_all(self, method: str, batch: Any, response: Any, checkpoint: Checkpoint) -> None:
        """Add the version, and a result for each request."""
        messages.check_batch(batch)
        most = answer_messages.most_bytes(batch.max_response_bytes)
        snapshot = self._snapshot()
        names: list[Sequence[str]] = [()] * len(batch.requests)

        def look_up(place: int) -> Plan:
            # In the order of a call of its own, so that it fails with the same error.
            request = batch.requests[place]
            question, plan = _ASKED[type(request)]
            subject, options = question(request)
            names[place] = messages.return_attributes(snapshot, request)
            return plan(snapshot, subject, options, checkpoint)

        answers = answer_all(snapshot, range(len(names)), look_up, checkpoint=checkpoint)
        checkpoint()
        response.version = snapshot.version
        # Many are answered with the same items.
        external_id = cache(snapshot.publication.items.external_id)
        for answer, attributes in zip(answers, names, strict=True):
            result = response.results.add()
            if isinstance(answer, Exception):
                result.error.CopyFrom(to_message(answer))
            else:
                answer_messages.fill_in(result.response, snapshot, answer, attributes, external_id)
        answer_messages.check_size(response.ByteSize(), most)
        self._answered(method, (answer for answer in answers if isinstance(answer, RankedRows)))

    def _snapshot(self) -> Snapshot:
        try:
            return self._current.get()
        except NothingLoadedError:
            reason, passes = waiting_for(self._fleet(), now=time.monotonic())
            raise NothingLoadedError(reason, passes=passes) from None

    @_handler
    def GetStatus(  # noqa: N802
        self,
        request: pb.GetStatusRequest,  # noqa: ARG002
        checkpoint: Checkpoint,  # noqa: ARG002
    ) -> pb.GetStatusResponse:
        """See the proto."""
        return status_message(self._fleet())
