"""Proto <-> queries: checks requests, asks, and fills in responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from publication import ragged
from publication.errors import InvalidIdError
from publication.id_map import check_id
from retriever import queries
from retriever.control import Fleet
from retriever.current import CurrentSnapshot
from retriever.errors import AbandonedError, InvalidArgumentError, NothingLoadedError
from retriever.queries import Checkpoint, Ranking, Search
from retriever.snapshot import Snapshot
from retriever.status import to_status

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["RetrieverService"].full_name

_ATTRIBUTES = frozenset({"title"})
_STATES = {
    "starting": pb.WORKER_STATE_STARTING,
    "booted": pb.WORKER_STATE_STARTING,
    "running": pb.WORKER_STATE_RUNNING,
    "down": pb.WORKER_STATE_DOWN,
}

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def _abort(context: grpc.ServicerContext, error: Exception) -> NoReturn:
    context.abort_with_status(to_status(error))
    raise AssertionError("abort_with_status always raises")


def _handler(
    method: Callable[[RetrieverServicer, _Request, Checkpoint], _Response],
) -> Callable[[RetrieverServicer, _Request, grpc.ServicerContext], _Response]:
    """Answer with a status instead of an exception's text."""

    @wraps(method)
    def handle(self: RetrieverServicer, request: _Request, context: grpc.ServicerContext) -> _Response:
        def checkpoint() -> None:
            if not context.is_active():
                raise AbandonedError("the caller cancelled or its deadline passed")

        try:
            return method(self, request, checkpoint)
        except Exception as error:
            _abort(context, error)

    return handle


class RetrieverServicer(pb_grpc.RetrieverServiceServicer):
    """The RPCs. `fleet` returns what the parent last told about the whole service."""

    def __init__(self, current: CurrentSnapshot, fleet: Callable[[], Fleet]) -> None:
        self._current = current
        self._fleet = fleet

    @_handler
    def SimilarItems(  # noqa: N802
        self, request: pb.SimilarItemsRequest, checkpoint: Checkpoint
    ) -> pb.SimilarItemsResponse:
        """See the proto."""
        _check("item_id", request.item_id)
        limit, attributes, search = _limit(request), _attributes(request), _search(request)
        snapshot = self._snapshot()
        ranking = queries.similar_items(
            snapshot, request.item_id, limit=limit, search=search, checkpoint=checkpoint
        )
        checkpoint()
        return pb.SimilarItemsResponse(
            items=_items(snapshot, ranking, attributes), version=snapshot.version
        )

    @_handler
    def Recommend(  # noqa: N802
        self, request: pb.RecommendRequest, checkpoint: Checkpoint
    ) -> pb.RecommendResponse:
        """See the proto."""
        if request.WhichOneof("subject") is None:
            raise InvalidArgumentError("subject", "is not set: set user_id")
        _check("user_id", request.user_id)
        limit, attributes, search = _limit(request), _attributes(request), _search(request)
        snapshot = self._snapshot()
        ranking = queries.recommend(
            snapshot,
            request.user_id,
            limit=limit,
            exclude_seen=request.exclude_seen if request.HasField("exclude_seen") else True,
            search=search,
            checkpoint=checkpoint,
        )
        checkpoint()
        return pb.RecommendResponse(
            items=_items(snapshot, ranking, attributes), version=snapshot.version
        )

    def _snapshot(self) -> Snapshot:
        try:
            return self._current.get()
        except NothingLoadedError:
            fleet = self._fleet()
            reason = fleet.label_problem or (fleet.failed[0].reason if fleet.failed else "")
            if not reason:
                raise
            raise NothingLoadedError(reason) from None

    @_handler
    def GetStatus(  # noqa: N802
        self,
        request: pb.GetStatusRequest,  # noqa: ARG002
        checkpoint: Checkpoint,  # noqa: ARG002
    ) -> pb.GetStatusResponse:
        """See the proto."""
        fleet = self._fleet()
        reload = fleet.last_reload
        return pb.GetStatusResponse(
            label=fleet.label,
            label_target=fleet.target,
            version=fleet.version,
            label_problem=fleet.label_problem,
            last_reload=None
            if reload is None
            else pb.ReloadOutcome(
                version=reload.version,
                succeeded=reload.succeeded,
                reason=reload.reason,
                duration_seconds=reload.seconds,
                ended_at=_timestamp(reload.ended_at),
                commit_spread_seconds=reload.commit_spread_seconds,
            ),
            workers=[
                pb.WorkerStatus(
                    index=worker.index,
                    pid=worker.pid,
                    state=_STATES[worker.state],
                    version=worker.version,
                    started_at=_timestamp(worker.started_at),
                    serving_since=_timestamp(worker.serving_since),
                    restarts=worker.restarts,
                    calls=worker.load.calls,
                    refused_calls=worker.load.refused,
                    calls_in_flight=worker.load.in_flight,
                    pss_bytes=worker.load.pss_bytes,
                )
                for worker in fleet.workers
            ],
            failed_versions=[
                pb.FailedVersion(
                    version=failed.version,
                    reason=failed.reason,
                    failed_at=_timestamp(failed.failed_at),
                )
                for failed in fleet.failed
            ],
        )


def _check(field: str, external_id: str) -> None:
    try:
        check_id(external_id)
    except InvalidIdError as error:
        raise InvalidArgumentError(field, error.reason) from error


def _limit(request: pb.SimilarItemsRequest | pb.RecommendRequest) -> int:
    limit = request.limit if request.HasField("limit") else queries.DEFAULT_LIMIT
    # Here too, since a request that can't be answered by any snapshot mustn't wait for one.
    queries.check_limit(limit)
    return limit


def _search(request: pb.SimilarItemsRequest | pb.RecommendRequest) -> Search:
    effort = request.search_effort if request.HasField("search_effort") else 1.0
    return Search(effort=effort, exact=request.exact)


def _attributes(request: pb.SimilarItemsRequest | pb.RecommendRequest) -> frozenset[str]:
    if not request.HasField("return_attributes"):
        return frozenset()
    paths = frozenset(request.return_attributes.paths)
    if unknown := sorted(paths - _ATTRIBUTES):
        known = ", ".join(sorted(_ATTRIBUTES))
        raise InvalidArgumentError(
            "return_attributes", f"{unknown[0][:64]!r} isn't an attribute; known: {known}"
        )
    return paths


def _items(snapshot: Snapshot, ranking: Ranking, attributes: frozenset[str]) -> Iterable[pb.ScoredItem]:
    rows, scores = ranking.rows.tolist(), ranking.scores.tolist()
    external_id = snapshot.publication.items.external_id
    titles = snapshot.publication.titles
    if "title" not in attributes or titles is None:
        return [
            pb.ScoredItem(item_id=external_id(row), score=score)
            for row, score in zip(rows, scores, strict=True)
        ]
    return [
        pb.ScoredItem(item_id=external_id(row), score=score, title=ragged.text(titles, row))
        for row, score in zip(rows, scores, strict=True)
    ]


def _timestamp(seconds: float) -> Any:
    if not seconds:
        return None
    timestamp = Timestamp()
    timestamp.FromNanoseconds(int(seconds * 1e9))
    return timestamp
