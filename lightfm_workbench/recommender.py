"""Answer questions from a version in this process, by the code that a retriever answers with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING, Any

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.errors import ArgumentError
from lightfm_workbench.frame import Frame
from lightfm_workbench.frames_in import is_frame, source_of
from retriever.answering.batches import MAX_REQUESTS, MAX_RESULTS
from retriever.answering.questions import DEFAULT_LIMIT, MAX_LIMIT

if TYPE_CHECKING:
    from typing import Unpack

    from lightfm_retriever.publication.reader import Publication
    from retriever.answering.snapshot import Snapshot
    from retriever.asking.answers import Answer, ScoredItem
    from retriever.asking.requests import (
        Id,
        Items,
        RecommendRequest,
        RequestFields,
        SimilarItemsRequest,
    )

_PAGES = ("paginate", "page_token")


class Recommender:
    """A model that answers questions: of a version on a volume, or fitted in this process."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the opened version that the answers come from."""
        raise NotImplementedError

    @property
    def publication(self) -> Publication:
        """Return the files of the version: id maps, vectors, seen items and others."""
        return self.snapshot.publication

    @property
    def user_ids(self) -> list[str]:
        """Return the ids of all known users."""
        return [*self.publication.users]

    @property
    def item_ids(self) -> list[str]:
        """Return the ids of all items."""
        return [*self.publication.items]

    def ask(self, request: RecommendRequest | SimilarItemsRequest) -> Answer:
        """Answer one request as a retriever does, with all details: pages, unknown ids and others.

        Args:
            request: the same as for retriever.client.RetrieverClient.

        Raises:
            RetrieverError: the request is invalid, or the version can't answer it.
        """
        from retriever.asking.answers import answer
        from retriever.worker.service import answer_one

        response, *_ = answer_one(request.to_message(), lambda: self.snapshot)
        return answer(response)

    def recommend(
        self,
        user_ids: Id | Iterable[Id] | Any = None,
        *,
        sessions: Iterable[Items] | Mapping[Any, Items] | None = None,
        features: Iterable[Iterable[str]] | Mapping[Any, Iterable[str]] | None = None,
        exclude_seen: bool | None = None,
        **options: Unpack[RequestFields],
    ) -> Frame:
        """Recommend items to users, to sessions or to users with some features.

        Args:
            user_ids: an id, several ids, or a frame with a column user_id.
            sessions: for each session its items, as a list of ids or weights by id; or a mapping from a
                name to such items.
            features: for each user the features, such as ["age:25-34"]; or a mapping from a name.
            exclude_seen: whether to leave out the items that a user has seen, or those of a session;
                None for true.
            **options: limit=10, titles, attributes, filter, exclude_item_ids, exact, search_effort,
                diversity, explain and unknown_ids, as in retriever.asking.requests.Request.

        Returns:
            A row for each result: user_id, session or features (the name, or the position from 0),
            rank from 1, item_id, score, source, and the columns that were asked for.

        Raises:
            ArgumentError: an argument is wrong.
            RetrieverError: a request is invalid, or the version doesn't have an id.
        """
        from retriever.asking.requests import RecommendRequest

        subjects = {"user_id": user_ids, "session": sessions, "features": features}
        asked_by = {name: value for name, value in subjects.items() if value is not None}
        if len(asked_by) != 1:
            needed = "exactly one of user_ids, sessions and features"
            raise ArgumentError("user_ids", None, needed, text=f"{needed} is needed")
        (kind, subject), *_ = asked_by.items()
        asked = _ids(subject, kind) if kind == "user_id" else _named(subject, kind)
        requests = (
            (name, RecommendRequest(**{kind: own}, exclude_seen=exclude_seen, **options))
            for name, own in asked
        )
        return self._frame(kind, requests, _columns_of(options))

    def similar(self, item_ids: Id | Iterable[Id] | Any, **options: Unpack[RequestFields]) -> Frame:
        """Find similar items for each item.

        Args:
            item_ids: an id, several ids, or a frame with a column item_id.
            **options: as for `recommend`.

        Returns:
            A row for each result: to_item_id (the item that was asked about), rank from 1, item_id,
            score, source, and the columns that were asked for.

        Raises the errors of `recommend`.
        """
        from retriever.asking.requests import SimilarItemsRequest

        requests = (
            (name, SimilarItemsRequest(own, **options)) for name, own in _ids(item_ids, "item_id")
        )
        return self._frame("to_item_id", requests, _columns_of(options))

    def _frame(
        self,
        kind: str,
        requests: Iterator[tuple[Any, RecommendRequest | SimilarItemsRequest]],
        columns: Mapping[str, Any],
    ) -> Frame:
        """Answer requests, some at a time, and make a frame of the results."""
        import pyarrow as pa

        rows: list[dict[str, Any]] = []
        names: list[Any] = []
        for name, answer in self._answers(requests):
            names.append(name)
            for rank, item in enumerate(answer.items, start=1):
                own = {kind: name, "rank": rank, "source": answer.source}
                rows.append({**own, **_cells(item, columns)})
        attributes = self.publication.attributes
        kinds = {} if attributes is None else {own.name: own.kind for own in attributes.facts}
        wanted = {
            name: pa.float64() if kinds.get(name) == "number" else type_
            for name, type_ in columns.items()
        }
        key = pa.int64() if names and isinstance(names[0], int) else pa.string()
        types = {kind: key, "rank": pa.int32(), "item_id": pa.string(), "score": pa.float32()}
        return Frame.of_rows(rows, {**types, "source": pa.string(), **wanted})

    def _answers(
        self, requests: Iterator[tuple[Any, RecommendRequest | SimilarItemsRequest]]
    ) -> Iterator[tuple[Any, Answer]]:
        """Yield names and answers: one as by Recommend, several as by BatchRecommend."""
        part = [*islice(requests, 1)]
        while part:
            # All requests have the same limit. One that is out of range is refused later.
            limit = min(MAX_LIMIT, max(1, int(part[0][1].limit or DEFAULT_LIMIT)))
            part += islice(requests, min(MAX_REQUESTS, MAX_RESULTS // limit) - 1)
            if len(part) == 1:
                yield part[0][0], self.ask(part[0][1])
            else:
                yield from zip((name for name, _ in part), self._batch(part), strict=True)
            part = [*islice(requests, 1)]

    def _batch(
        self, part: Sequence[tuple[Any, RecommendRequest | SimilarItemsRequest]]
    ) -> Iterator[Answer]:
        from recsys.retriever.v1 import retriever_service_pb2 as pb

        from retriever.asking.answers import answer
        from retriever.worker.answer_messages import fill_in
        from retriever.worker.service import answer_each

        snapshot, sent = self.snapshot, [request.to_message() for _, request in part]
        external_id = cache(snapshot.publication.items.external_id)
        for found, attributes in answer_each(sent, snapshot):
            if isinstance(found, Exception):
                raise found
            recommends = isinstance(sent[0], pb.RecommendRequest)
            response = pb.RecommendResponse() if recommends else pb.SimilarItemsResponse()
            fill_in(response, snapshot, found, attributes, external_id)
            yield answer(response)


def _ids(subject: Any, kind: str) -> Iterator[tuple[str, str]]:
    """Yield ids, as the name and as the subject of a question."""
    if is_frame(subject):
        table = source_of(subject, f"{kind}s", required=(kind,), optional=(), columns={})
        from trainer.data.files import tables

        with table.named():
            distinct, codes = tables.ids(table.path, table.table, kind)
        ids: Iterable[Any] = [distinct[code] for code in codes.tolist()]
    else:
        ids = [subject] if isinstance(subject, str | Integral) else subject
    for own in given.identifiers(f"{kind}s", ids, "an id, a list of ids, or a frame of them"):
        yield own, own


def _named(subject: Any, kind: str) -> Iterator[tuple[Any, Any]]:
    """Yield each session or each user's features, with a name: the key, or the position from 0."""
    if isinstance(subject, Mapping):
        yield from ((str(name), own) for name, own in subject.items())
        return
    expected = f"a list with the {kind} of each, or a mapping from names, such as {{'a': [...]}}"
    for place, (_, own) in enumerate(given.several(kind, subject, expected)):
        if isinstance(own, str):
            raise ArgumentError(f"{kind}[{place}]", own, f"a list: {kind} takes a list of lists")
        yield place, own


def _columns_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return Arrow's types of the columns that the options ask for."""
    import pyarrow as pa

    for name in _PAGES:
        if options.get(name):
            raise ArgumentError(name, options[name], "used with ask()")
    columns: dict[str, Any] = {"title": pa.string()} if options.get("titles") else {}
    columns |= {name: pa.list_(pa.string()) for name in options.get("attributes") or ()}
    if options.get("explain"):
        part = pa.struct({"item_id": pa.string(), "feature": pa.string(), "score": pa.float64()})
        columns |= {"bias": pa.float64(), "contributions": pa.list_(part)}
    return columns


def _cells(item: ScoredItem, columns: Mapping[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {"item_id": item.item_id, "score": item.score, **item.attributes}
    if "title" in columns:
        cells["title"] = item.title
    if (told := item.explanation) is not None:
        cells |= {"bias": told.bias, "contributions": [asdict(own) for own in told.contributions]}
    return cells
