"""Convert answers to messages, limit their size, and extract the facts for logs and traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.message_sizes import DEFAULT_ANSWER_BYTES
from lightfm_retriever.hosting.observing.spans import Attributes
from lightfm_retriever.publication.attributes import MAX_VALUE_BYTES
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import ItemId, ItemRow
from retriever.answer_words import ShortReason, Source
from retriever.answering.model import MAX_CONTRIBUTIONS, ScoreParts
from retriever.answering.queries import RankedRows
from retriever.answering.questions import (
    ID_BYTES,
    MAX_ITEMS,
    MAX_LIMIT,
    MAX_NAMED_EXCLUDED,
    OTHER_BYTES,
    SMALL_BYTES,
)
from retriever.answering.snapshot import Snapshot
from retriever.errors import InvalidArgumentError

Response: TypeAlias = pb.SimilarItemsResponse | pb.RecommendResponse
TITLE = "title"
_SOURCES: dict[Source, Any] = {word: pb.Source.Value(f"SOURCE_{word.name}") for word in Source}
_SHORT_REASONS: dict[ShortReason, Any] = {
    word: pb.ShortReason.Value(f"SHORT_REASON_{word.name}") for word in ShortReason
}

# The most that an answer without attributes can take.
_BARE_BYTES = (
    MAX_LIMIT * (ID_BYTES + MAX_CONTRIBUTIONS * (ID_BYTES + SMALL_BYTES) + SMALL_BYTES)
    + (MAX_ITEMS + MAX_NAMED_EXCLUDED) * ID_BYTES
    + OTHER_BYTES
)


def fill_in(
    response: Response,
    snapshot: Snapshot,
    answer: RankedRows,
    attributes: Sequence[str],
    external_id: Callable[[ItemRow], ItemId],
) -> None:
    """Fill an answer into a new message. In place, because adding a message to another one copies it.

    `external_id` returns the id of an item row of the snapshot; it may be a cache.
    """
    response.version = snapshot.version
    response.source = _SOURCES[answer.source]
    response.method = pb.SEARCH_METHOD_EXACT if answer.exact else pb.SEARCH_METHOD_INDEX
    response.candidates = answer.candidates
    response.filtered = answer.filtered
    if answer.short is not None:
        response.short_reason = _SHORT_REASONS[answer.short]
    if answer.unknown:
        response.unknown_ids.extend(answer.unknown)
    if answer.unknown_values or answer.empty_ranges:
        _fill_in_what_matches_nothing(response, answer)
    if answer.next_page:
        response.next_page_token = answer.next_page
    add = response.items.add
    rows = answer.rows.tolist()
    for row, score in zip(rows, answer.scores.tolist(), strict=True):
        # Faster than passing both to `add`.
        item = add()
        item.item_id, item.score = external_id(row), score
    if attributes:
        for item, row in zip(response.items, rows, strict=True):
            _fill_in_attributes(item, snapshot, row, attributes)
    if answer.explanations:
        for item, explanation in zip(response.items, answer.explanations, strict=True):
            _fill_in_explanation(item.explanation, explanation)


def most_bytes(wanted: int) -> int:
    """Return the most bytes that an answer may have.

    `wanted` is max_response_bytes of the request, 0 for the default. Raises InvalidArgumentError for a
    negative number.
    """
    if wanted < 0:
        raise InvalidArgumentError(
            "max_response_bytes", f"is {wanted}, but should be at least 1, or 0 for the default"
        )
    return wanted or DEFAULT_ANSWER_BYTES


def may_be_too_large(attributes: Sequence[str], most: int) -> bool:
    """Return whether an answer with these attributes may have more bytes than `most`."""
    return bool(attributes) or most < _BARE_BYTES


def check_size(size: int, most: int) -> None:
    """Raise InvalidArgumentError for an answer of more bytes than `most`."""
    if size > most:
        raise InvalidArgumentError(
            "max_response_bytes",
            f"is {most}, but the answer would have {size} bytes: request fewer results or attributes, "
            f"or set it and the channel option grpc.max_receive_message_length to {size} or more",
        )


def call_facts(response: Any) -> Attributes:
    """Return the version and the number of results of a response, and how an answer was found."""
    if isinstance(response, pb.RecommendResponse | pb.SimilarItemsResponse):
        return {
            "version": response.version,
            "results": len(response.items),
            "source": pb.Source.Name(response.source).removeprefix("SOURCE_"),
            "exact": response.method == pb.SEARCH_METHOD_EXACT,
            "candidates": response.candidates,
        }
    if isinstance(response, pb.BatchRecommendResponse | pb.BatchSimilarItemsResponse):
        return {"version": response.version, "results": len(response.results)}
    return {}


def _fill_in_what_matches_nothing(response: Response, answer: RankedRows) -> None:
    for unknown in answer.unknown_values:
        response.unknown_filter_values.add(
            attribute=unknown.attribute, value=_cut(unknown.value), near=unknown.near
        )
    for empty in answer.empty_ranges:
        made = response.empty_filter_ranges.add(attribute=empty.attribute)
        if empty.least is not None and empty.greatest is not None:
            made.least, made.greatest = empty.least, empty.greatest


def _cut(value: str) -> str:
    """Return a value, cut and marked with "..." if it is longer than a value may be."""
    encoded = value.encode()
    if len(encoded) <= MAX_VALUE_BYTES:
        return value
    return encoded[:MAX_VALUE_BYTES].decode(errors="ignore") + "..."


def _fill_in_attributes(
    item: pb.ScoredItem, snapshot: Snapshot, row: ItemRow, names: Sequence[str]
) -> None:
    titles, attributes = snapshot.publication.titles, snapshot.publication.attributes
    for name in names:
        if name == TITLE:
            if titles is not None:
                item.title = ragged.text(titles, row)
            continue
        # return_attributes() has looked up all names.
        assert attributes is not None  # noqa: S101
        position = attributes.position(name)
        assert position is not None  # noqa: S101
        if attributes.kind(position) == "text":
            if texts := attributes.texts(position, row):
                item.attributes[name].texts.values.extend(texts)
        elif (number := attributes.number(position, row)) is not None:
            item.attributes[name].number = number


def _fill_in_explanation(message: pb.Explanation, explanation: ScoreParts) -> None:
    message.bias = explanation.bias
    for name, score in explanation.contributions:
        if explanation.of_features:
            message.contributions.add(feature=name, score=score)
        else:
            message.contributions.add(item_id=name, score=score)
