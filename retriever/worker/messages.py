"""Messages <-> questions and answers: what each field means, and which one is wrong."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.attributes import MAX_VALUE_BYTES
from lightfm_retriever.publication.storage import ragged
from retriever.answering import batches, filters, pages, sizes
from retriever.answering.explanations import Explanation
from retriever.answering.filters import AnyCondition, Condition, RangeCondition
from retriever.answering.near_misses import in_words, near_names
from retriever.answering.pages import Page
from retriever.answering.queries import Answer
from retriever.answering.questions import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_RETURNED_ATTRIBUTES,
    ItemSubject,
    Options,
    Search,
    UnknownIds,
    UserFeatures,
    UserSubject,
    WeightedItems,
    check_external_id,
)
from retriever.answering.snapshot import Snapshot
from retriever.errors import InvalidArgumentError

Request: TypeAlias = pb.SimilarItemsRequest | pb.RecommendRequest
Response: TypeAlias = pb.SimilarItemsResponse | pb.RecommendResponse
Batch: TypeAlias = pb.BatchSimilarItemsRequest | pb.BatchRecommendRequest
TITLE = "title"

_UNKNOWN_IDS: dict[int, UnknownIds | None] = {
    pb.UNKNOWN_IDS_UNSPECIFIED: None,
    pb.UNKNOWN_IDS_ERROR: "error",
    pb.UNKNOWN_IDS_IGNORE: "ignore",
    pb.UNKNOWN_IDS_POPULAR: "popular",
}
_SOURCES = {
    "personalized": pb.SOURCE_PERSONALIZED,
    "folded_in": pb.SOURCE_FOLDED_IN,
    "features": pb.SOURCE_FEATURES,
    "popular": pb.SOURCE_POPULAR,
    "similar": pb.SOURCE_SIMILAR,
}
_SHORT = {
    "catalogue": pb.SHORT_REASON_CATALOGUE,
    "exclusions": pb.SHORT_REASON_EXCLUSIONS,
    "filter": pb.SHORT_REASON_FILTER,
    "page_limit": pb.SHORT_REASON_PAGE_LIMIT,
}


def similar_items_question(request: pb.SimilarItemsRequest) -> tuple[ItemSubject, Options]:
    """What is asked; raises InvalidArgumentError."""
    match request.WhichOneof("subject"):
        case "item_id":
            check_external_id("item_id", request.item_id)
            return request.item_id, _options(request, exclude_seen=True)
        case "items":
            items = WeightedItems(request.items.item_ids, request.items.weights, field="items")
            return items, _options(request, exclude_seen=True)
        case _:
            raise InvalidArgumentError("subject", "is not set: set item_id or items")


def recommend_question(request: pb.RecommendRequest) -> tuple[UserSubject, Options]:
    """What is asked; raises InvalidArgumentError."""
    exclude_seen = request.exclude_seen if request.HasField("exclude_seen") else True
    match request.WhichOneof("subject"):
        case "user_id":
            check_external_id("user_id", request.user_id)
            return request.user_id, _options(request, exclude_seen=exclude_seen)
        case "session":
            session = WeightedItems(request.session.item_ids, request.session.weights)
            return session, _options(request, exclude_seen=exclude_seen)
        case "features":
            features = UserFeatures(request.features.features)
            return features, _options(request, exclude_seen=exclude_seen)
        case _:
            raise InvalidArgumentError("subject", "is not set: set user_id, session or features")


def check_batch(batch: Batch) -> None:
    """Raise InvalidArgumentError for a batch that is empty or too large."""
    requests: Sequence[Request] = batch.requests
    if not 1 <= len(requests) <= batches.MAX_REQUESTS:
        raise InvalidArgumentError(
            "requests", f"has {len(requests)} entries, but should have 1 to {batches.MAX_REQUESTS}"
        )
    # One that is out of range fails alone, and adds nothing.
    limits = [one.limit if one.HasField("limit") else DEFAULT_LIMIT for one in requests]
    results = sum(limit for limit in limits if 1 <= limit <= MAX_LIMIT)
    if results > batches.MAX_RESULTS:
        raise InvalidArgumentError(
            "requests",
            f"have limits of {results} altogether, but should have at most {batches.MAX_RESULTS}",
        )
    sizes.check_request("requests", batch.ByteSize())


def return_attributes(snapshot: Snapshot, request: Request) -> Sequence[str]:
    """The attributes to return, each once; raises InvalidArgumentError for one that there isn't."""
    names, paths = request.return_attribute_names, request.return_attributes.paths
    if not (names or paths):
        return ()
    if (count := len(names) + len(paths)) > MAX_RETURNED_ATTRIBUTES:
        raise InvalidArgumentError(
            "return_attribute_names",
            f"make it {count} names with those of return_attributes, but there should be at most "
            f"{MAX_RETURNED_ATTRIBUTES}",
        )
    attributes = snapshot.publication.attributes
    for field, asked in (("return_attributes", paths), ("return_attribute_names", names)):
        for name in asked:
            if name != TITLE and (attributes is None or attributes.position(name) is None):
                known = [TITLE, *(() if attributes is None else (own.name for own in attributes.facts))]
                raise InvalidArgumentError(
                    field,
                    f"{name[:64]!r} isn't an attribute{in_words(near_names(name, known))}; "
                    f"known: {', '.join(known)}",
                )
    return tuple(dict.fromkeys([*paths, *names]))


def fill_in(
    response: Response,
    snapshot: Snapshot,
    answer: Answer,
    attributes: Sequence[str],
    external_id: Callable[[int], str],
) -> None:
    """Make a new message the answer. In place, since putting messages into others copies them.

    `external_id` is the items' of the snapshot, or remembers what it said.
    """
    response.version = snapshot.version
    response.source = _SOURCES[answer.source]
    response.method = pb.SEARCH_METHOD_EXACT if answer.exact else pb.SEARCH_METHOD_INDEX
    response.candidates = answer.candidates
    response.filtered = answer.filtered
    if answer.short is not None:
        response.short_reason = _SHORT[answer.short]
    if answer.unknown:
        response.unknown_ids.extend(answer.unknown)
    if answer.unknown_values or answer.empty_ranges:
        _fill_in_what_matches_nothing(response, answer)
    if answer.next_page:
        response.next_page_token = answer.next_page
    add = response.items.add
    rows = answer.rows.tolist()
    for row, score in zip(rows, answer.scores.tolist(), strict=True):
        # Quicker than giving both to `add`.
        item = add()
        item.item_id, item.score = external_id(row), score
    if attributes:
        for item, row in zip(response.items, rows, strict=True):
            _fill_in_attributes(item, snapshot, row, attributes)
    if answer.explanations:
        for item, explanation in zip(response.items, answer.explanations, strict=True):
            _fill_in_explanation(item.explanation, explanation)


def _fill_in_what_matches_nothing(response: Response, answer: Answer) -> None:
    for unknown in answer.unknown_values:
        response.unknown_filter_values.add(
            attribute=unknown.attribute, value=_cut(unknown.value), near=unknown.near
        )
    for empty in answer.empty_ranges:
        made = response.empty_filter_ranges.add(attribute=empty.attribute)
        if empty.least is not None and empty.greatest is not None:
            made.least, made.greatest = empty.least, empty.greatest


def _cut(value: str) -> str:
    """A value as it is, or the beginning of one that is longer than any can be, marked as such."""
    encoded = value.encode()
    if len(encoded) <= MAX_VALUE_BYTES:
        return value
    return encoded[:MAX_VALUE_BYTES].decode(errors="ignore") + "..."


def is_plain(request: Request) -> bool:
    """Whether a request sets no more than its subject, limit, exclude_seen and what to return."""
    return not (
        request.HasField("search_effort")
        or request.exact
        or request.exclude_item_ids
        or request.HasField("filter")
        or request.unknown_ids
        or request.paginate
        or request.page_token
        or request.diversity
        or request.explain
    )


def _options(request: Request, *, exclude_seen: bool) -> Options:
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    if is_plain(request):
        return _plain_options(limit, exclude_seen)
    if request.unknown_ids not in _UNKNOWN_IDS:
        raise InvalidArgumentError("unknown_ids", f"is {request.unknown_ids}, which has no meaning")
    if (size := request.ByteSize()) > sizes.MAX_REQUEST_BYTES:
        excluded = 2 * sum(map(len, request.exclude_item_ids)) > size
        sizes.check_request("exclude_item_ids" if excluded else "filter", size)
    effort = request.search_effort if request.HasField("search_effort") else None
    return Options(
        limit=limit,
        exclude_seen=exclude_seen,
        exclude_item_ids=request.exclude_item_ids,
        conditions=_conditions(request.filter) if request.HasField("filter") else (),
        search=Search(effort=effort, exact=request.exact),
        unknown_ids=_UNKNOWN_IDS[request.unknown_ids],
        diversity=request.diversity,
        explain=request.explain,
        page=_page(request) if request.paginate or request.page_token else None,
    )


@functools.lru_cache(maxsize=4096)
def _plain_options(limit: int, exclude_seen: bool) -> Options:
    """The options of most requests, made once."""
    return Options(limit=limit, exclude_seen=exclude_seen)


def _page(request: Request) -> Page:
    same = copy.copy(request)
    for field in ("limit", "paginate", "page_token", "max_response_bytes"):
        same.ClearField(field)
    name = request.DESCRIPTOR.name.encode()
    return Page(
        pages.fingerprint(name + b":" + same.SerializeToString(deterministic=True)),
        request.page_token,
    )


def _conditions(wanted: pb.Filter) -> Sequence[AnyCondition]:
    field = "filter.conditions"
    if not 1 <= len(wanted.conditions) <= filters.MAX_CONDITIONS:
        raise InvalidArgumentError(
            field,
            f"has {len(wanted.conditions)} entries, but should have 1 to {filters.MAX_CONDITIONS}",
        )
    conditions = [
        _condition(f"{field}[{place}]", condition) for place, condition in enumerate(wanted.conditions)
    ]
    values = sum(len(made.values) for made in conditions if isinstance(made, Condition))
    if values > filters.MAX_VALUES:
        raise InvalidArgumentError(
            field, f"have {values} values, but should have at most {filters.MAX_VALUES}"
        )
    return conditions


def _condition(field: str, condition: pb.Condition) -> AnyCondition:
    match condition.WhichOneof("test"):
        case "any_of":
            return Condition(condition.attribute, "any", _values(f"{field}.any_of", condition.any_of))
        case "all_of":
            return Condition(condition.attribute, "all", _values(f"{field}.all_of", condition.all_of))
        case "none_of":
            return Condition(
                condition.attribute, "none", _values(f"{field}.none_of", condition.none_of)
            )
        case "range":
            return _range(f"{field}.range", condition.attribute, condition.range)
        case _:
            raise InvalidArgumentError(
                f"{field}.test", "is not set: set any_of, all_of, none_of or range"
            )


def _values(field: str, values: pb.Values) -> Sequence[str]:
    if not values.values:
        raise InvalidArgumentError(f"{field}.values", "is empty, but should have at least one entry")
    return values.values


def _range(field: str, attribute: str, wanted: pb.Range) -> RangeCondition:
    low = wanted.min if wanted.HasField("min") else -math.inf
    high = wanted.max if wanted.HasField("max") else math.inf
    if not (wanted.HasField("min") or wanted.HasField("max")):
        raise InvalidArgumentError(field, "has neither min nor max")
    for name, end in (("min", low), ("max", high)):
        if math.isnan(end):
            raise InvalidArgumentError(f"{field}.{name}", "is no number: give one, or leave it out")
    if low > high:
        raise InvalidArgumentError(field, f"runs from {low:g} to {high:g}")
    return RangeCondition(attribute, low, high)


def _fill_in_attributes(
    item: pb.ScoredItem, snapshot: Snapshot, row: int, names: Sequence[str]
) -> None:
    titles, attributes = snapshot.publication.titles, snapshot.publication.attributes
    for name in names:
        if name == TITLE:
            if titles is not None:
                item.title = ragged.text(titles, row)
            continue
        # They were looked up before.
        assert attributes is not None  # noqa: S101
        position = attributes.position(name)
        assert position is not None  # noqa: S101
        if attributes.kind(position) == "text":
            if texts := attributes.texts(position, row):
                item.attributes[name].texts.values.extend(texts)
        elif (number := attributes.number(position, row)) is not None:
            item.attributes[name].number = number


def _fill_in_explanation(message: pb.Explanation, explanation: Explanation) -> None:
    message.bias = explanation.bias
    for name, score in explanation.contributions:
        if explanation.of_features:
            message.contributions.add(feature=name, score=score)
        else:
            message.contributions.add(item_id=name, score=score)
