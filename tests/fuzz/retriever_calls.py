"""Target: any message to any method of the retriever, over real snapshots, in this process."""

import math
from pathlib import Path
from random import Random
from typing import Any

import grpc
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import layout
from retriever.answering.snapshot import Snapshot, open_snapshot
from retriever.control import ServiceState
from retriever.worker.service import RetrieverServicer
from tests import retrievable
from tests.fuzz import mutation, published
from tests.fuzz.context import Context, UnansweredError
from tests.fuzz.messages import Maker
from tests.fuzz.runner import Execute, note

MAKER = Maker(
    {
        "": published.ITEM_IDS,
        "user_id": published.USER_IDS,
        "features": published.FEATURES,
        "attribute": ("genres", "year"),
        "values": published.GENRES,
        "paths": ("title", "genres", "year"),
        "page_token": ("",),
    }
)
_SERVICE = pb.DESCRIPTOR.services_by_name["RetrieverService"]
_METHODS = {own.name: getattr(pb, own.input_type.name) for own in _SERVICE.methods}
_SUBJECTS = {
    pb.SimilarItemsRequest: ("item_id", "items"),
    pb.RecommendRequest: ("user_id", "session", "features"),
}


def prepare(directory: Path) -> None:
    for backend in ("annoy", "exact"):
        published.publish(directory / backend, backend)
    retrievable.publish(directory / "old", backend="annoy", titles=False)


def start(directory: Path) -> Execute:
    snapshots = []
    for volume in sorted(directory.iterdir()):
        versions = layout.versions_dir(volume)
        if versions.is_dir():
            snapshots += [open_snapshot(volume, path.name) for path in versions.iterdir()]
    calls = [Calls(snapshot) for snapshot in (*snapshots, None)]

    def execute(random: Random) -> str:
        return random.choice(calls).ask(random)

    return execute


class Calls:
    """Calls a servicer of one snapshot, or of none."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        fleet = ServiceState(label="current")
        self._snapshot = snapshot
        self._servicer = RetrieverServicer(lambda: fleet)
        self._servicer.snapshot = snapshot

    def ask(self, random: Random, *, kind: str = "") -> str:
        method = random.choices(list(_METHODS), (4, 8, 1, 2, 0.1))[0]
        note(f"{kind}, {method}" if kind else method)
        request = _request(random, method)
        if random.random() < 0.8:
            MAKER.mutate(random, request)
        first, what = self._call(random, method, request)
        token = getattr(first, "next_page_token", "")
        if token:
            request.page_token = token
            if random.random() < 0.3:
                changed = mutation.mutate_bytes(random, token.encode()).decode("utf-8", "replace")
                request.page_token = changed
            second, what = self._call(random, method, request)
            if second is not None and request.page_token == token:
                assert not {item.item_id for item in first.items} & {
                    item.item_id for item in second.items
                }
        return f"{method} {what}"

    def _call(self, random: Random, method: str, request: Any) -> tuple[Any, str]:
        self._servicer.is_quick(request)
        context = Context(looks=random.choice((0, 1, 2, 1000, 1000)))
        try:
            response = getattr(self._servicer, method)(request, context)
        except UnansweredError as error:
            context.check(error)
            return None, context.code.name
        if method == "GetStatus":
            return response, "OK"
        assert self._snapshot is not None
        assert response.version == self._snapshot.version
        if not method.startswith("Batch"):
            _check(request, response)
            return response, f"OK {response.source} {response.method} {response.short_reason}"
        assert len(response.results) == len(request.requests)
        for own, result in zip(request.requests, response.results, strict=True):
            if result.WhichOneof("result") == "error":
                assert result.error.code != grpc.StatusCode.INTERNAL.value[0], result.error
            else:
                _check(own, result.response)
        return response, "OK"


def _request(random: Random, method: str) -> Any:
    request = _METHODS[method]()
    if method.startswith("Batch"):
        for _ in range(random.choice((0, 1, 2, 2, 3, 5, 20) if random.random() < 0.97 else (257,))):
            _ask(random, request.requests.add())
    elif method != "GetStatus":
        _ask(random, request)
    return request


def _ask(random: Random, request: Any) -> None:
    subject = random.choice(_SUBJECTS[type(request)])
    if subject in ("item_id", "user_id"):
        setattr(request, subject, MAKER.text(random, subject))
    else:
        MAKER.fill(random, getattr(request, subject), share=0.7)
    if random.random() < 0.5:
        request.limit = random.choice((1, 2, 10, 59, 60, 61, 1000))
    if random.random() < 0.3:
        request.paginate = True
    if random.random() < 0.3:
        MAKER.fill(random, request.filter.conditions.add(), share=0.6)
    for field in ("search_effort", "diversity"):
        if random.random() < 0.1:
            setattr(request, field, random.choice((0.1, 0.5, 1.0, mutation.number(random))))
    for field in ("exact", "explain"):
        setattr(request, field, random.random() < 0.2)
    if random.random() < 0.2:
        MAKER.fill(random, request.return_attributes, share=1.0)


def _check(request: Any, response: Any) -> None:
    limit = request.limit if request.HasField("limit") else 10
    ids = [item.item_id for item in response.items]
    assert len(ids) <= limit
    assert len({*ids}) == len(ids)
    assert not {*ids} & {*request.exclude_item_ids}
    scores = [item.score for item in response.items]
    assert all(map(math.isfinite, scores))
    if not request.diversity:
        assert scores == sorted(scores, reverse=True)
    assert len(ids) == limit or response.short_reason
    if isinstance(request, pb.SimilarItemsRequest):
        own = {request.item_id, *request.items.item_ids}
        assert not {*ids} & own
        assert response.source == pb.SOURCE_POPULAR or all(-1 <= score <= 1 for score in scores)
    elif request.exclude_seen or not request.HasField("exclude_seen"):
        assert not {*ids} & {*request.session.item_ids}
