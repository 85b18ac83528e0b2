"""The RPCs: check a request, search, and fill in the response."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from typing import Any

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

# By request type: the call, the response type, the function that reads the question, and the planner.
_ASKED: dict[type[Message], tuple[str, type[Any], Callable[..., Any], Callable[..., Plan]]] = {
    getattr(pb, f"{call}Request"): (call, getattr(pb, f"{call}Response"), question, plan)
    for name, question, plan in (
        ("SimilarItems", messages.similar_items_question, queries.plan_similar_items),
        ("Recommend", messages.recommend_question, queries.plan_recommend),
    )
    for call in (name, f"Batch{name}")
}
_NOTHING = nullcontext()


def look_away(*_: object) -> None:
    """Do nothing with the arguments."""


def _handler(
    method: Callable[[RetrieverServicer, Any, Checkpoint], Any],
) -> Callable[[RetrieverServicer, Any, grpc.ServicerContext], Any]:
    """Make a method abort the call with a gRPC status when it raises an exception."""

    @wraps(method)
    def handle(self: RetrieverServicer, request: Any, context: grpc.ServicerContext) -> Any:
        def checkpoint(stage: str = "", **facts: Attribute) -> AbstractContextManager[object]:
            if not context.is_active():
                raise AbandonedError("the caller cancelled the call or its deadline passed")
            if self._span is None or not stage:
                return _NOTHING
            return self._span(stage, **facts)

        try:
            return method(self, request, checkpoint)
        except Exception as error:
            statuses.abort(context, to_status(error))

    return handle


class RetrieverServicer(pb_grpc.RetrieverServiceServicer):
    """The RPCs.

    Args:
        fleet: returns the state of the whole service, as the parent sent it last.
        answered: called with the answers of a call: one, or those of a batch.
        recommended: called with each answer of Recommend and its question.
        span: records the stages of a traced call; None when tracing is off.

    Attributes:
        snapshot: the served version, None for none. Replacing it needs no lock: assignment is atomic in
            CPython, and each call reads it once.
    """

    def __init__(
        self,
        fleet: Callable[[], ServiceState],
        *,
        answered: Callable[[str, Iterable[RankedRows]], None] = look_away,
        recommended: Callable[[Snapshot, UserSubject, Options, RankedRows], None] = look_away,
        span: Callable[..., AbstractContextManager[object]] | None = None,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self._fleet = fleet
        self._answered = answered
        self._recommended = recommended
        self._span = span

    @property
    def version(self) -> str:
        """The served version; empty while there is none."""
        snapshot = self.snapshot
        return "" if snapshot is None else snapshot.version

    def is_quick(self, request: Any) -> bool:
        """Return whether a call may be answered on the thread that receives all calls."""
        snapshot = self.snapshot
        return snapshot is None or messages.is_quick(snapshot, request)

    @_handler
    def _answer(self, request: Any, checkpoint: Checkpoint) -> Any:
        call, answers, question, plan = _ASKED[type(request)]
        subject, options = question(request)
        most = answer_messages.most_bytes(request.max_response_bytes)
        snapshot = self._taken()
        attributes = messages.return_attributes(snapshot, request)
        planned = plan(snapshot, subject, options, checkpoint)
        answer = queries.answer(snapshot, planned, checkpoint)
        checkpoint()
        response = answers()
        external_id = snapshot.publication.items.external_id
        answer_messages.fill_in(response, snapshot, answer, attributes, external_id)
        if answer_messages.may_be_too_large(attributes, most):
            answer_messages.check_size(response.ByteSize(), most)
        self._answered(call, (answer,))
        if call == "Recommend":
            self._recommended(snapshot, subject, options, answer)
        return response

    @_handler
    def _answer_all(self, batch: Any, checkpoint: Checkpoint) -> Any:
        call, answers, question, plan = _ASKED[type(batch)]
        messages.check_batch(batch)
        most = answer_messages.most_bytes(batch.max_response_bytes)
        snapshot = self._taken()
        names: list[Sequence[str]] = [()] * len(batch.requests)

        def look_up(place: int) -> Plan:
            # In the same order as for a single call, so that it fails with the same error.
            request = batch.requests[place]
            subject, options = question(request)
            names[place] = messages.return_attributes(snapshot, request)
            return plan(snapshot, subject, options, checkpoint)

        answered = answer_all(snapshot, range(len(names)), look_up, checkpoint=checkpoint)
        checkpoint()
        response = answers(version=snapshot.version)
        # Many answers of a batch contain the same items.
        external_id = cache(snapshot.publication.items.external_id)
        for answer, attributes in zip(answered, names, strict=True):
            result = response.results.add()
            if isinstance(answer, Exception):
                result.error.CopyFrom(to_message(answer))
            else:
                answer_messages.fill_in(result.response, snapshot, answer, attributes, external_id)
        answer_messages.check_size(response.ByteSize(), most)
        self._answered(call, (answer for answer in answered if isinstance(answer, RankedRows)))
        return response

    SimilarItems: Any = _answer
    Recommend: Any = _answer
    BatchSimilarItems: Any = _answer_all
    BatchRecommend: Any = _answer_all

    def _taken(self) -> Snapshot:
        """Return the snapshot for one call. NothingLoadedError says why there is none."""
        snapshot = self.snapshot
        if snapshot is None:
            reason, passes = waiting_for(self._fleet(), now=time.monotonic())
            raise NothingLoadedError(reason, passes=passes)
        return snapshot

    @_handler
    def GetStatus(self, _: pb.GetStatusRequest, __: Checkpoint) -> pb.GetStatusResponse:  # noqa: N802
        """Return the state of the service; see the proto."""
        snapshot = self.snapshot
        indexes = None if snapshot is None else snapshot.publication.manifest.indexes
        return status_message(self._fleet(), indexes)
