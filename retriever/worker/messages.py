"""Convert messages to questions, and report the field that is invalid."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.answering import batches, pages
from retriever.answering.near_misses import in_words, near_names
from retriever.answering.pages import Page
from retriever.answering.questions import (
    DEFAULT_LIMIT,
    MAX_CONDITIONS,
    MAX_LIMIT,
    MAX_REQUEST_BYTES,
    MAX_RETURNED_ATTRIBUTES,
    MAX_VALUES,
    SHORT_ID,
    AnyCondition,
    ItemSubject,
    NumberCondition,
    Options,
    Search,
    UnknownIds,
    UserFeatures,
    UserSubject,
    ValueCondition,
    WeightedItems,
    check_external_id,
)
from retriever.answering.snapshot import Snapshot
from retriever.errors import InvalidArgumentError
from retriever.worker.answer_messages import TITLE

Request: TypeAlias = pb.SimilarItemsRequest | pb.RecommendRequest

# An allow-list: a field that is added to the proto later isn't plain until it is listed here.
_PLAIN_FIELDS = frozenset(
    {
        *("user_id", "session", "features", "item_id", "items", "limit", "exclude_seen"),
        *("return_attributes", "return_attribute_names", "max_response_bytes"),
    }
)
# Limits of a quick call. Handing such a call to another thread would take longer than answering it.
# The microseconds are the duration of one search, as the trainer measured it.
_QUICK_MICROSECONDS = 500.0
_QUICK_RESULTS = 100
_QUICK_ITEMS = 50
_QUICK_SEEN = 500
_UNKNOWN_IDS: dict[int, UnknownIds | None] = {
    pb.UNKNOWN_IDS_UNSPECIFIED: None,
    pb.UNKNOWN_IDS_ERROR: "error",
    pb.UNKNOWN_IDS_IGNORE: "ignore",
    pb.UNKNOWN_IDS_POPULAR: "popular",
}
_KINDS: dict[str, Literal["any", "all", "none"]] = {"any_of": "any", "all_of": "all", "none_of": "none"}


def similar_items_question(request: pb.SimilarItemsRequest) -> tuple[ItemSubject, Options]:
    """Convert a request to its subject and options. Raises InvalidArgumentError."""
    subject: ItemSubject
    match request.WhichOneof("subject"):
        case "item_id":
            subject = _one_id("item_id", request.item_id)
        case "items":
            subject = WeightedItems(request.items.item_ids, request.items.weights, field="items")
        case _:
            raise InvalidArgumentError("subject", "is not set: set item_id or items")
    return subject, _options(request, exclude_seen=True)


def recommend_question(request: pb.RecommendRequest) -> tuple[UserSubject, Options]:
    """Convert a request to its subject and options. Raises InvalidArgumentError."""
    subject: UserSubject
    match request.WhichOneof("subject"):
        case "user_id":
            subject = _one_id("user_id", request.user_id)
        case "session":
            subject = WeightedItems(request.session.item_ids, request.session.weights)
        case "features":
            subject = UserFeatures(request.features.features)
        case _:
            raise InvalidArgumentError("subject", "is not set: set user_id, session or features")
    exclude_seen = request.exclude_seen if request.HasField("exclude_seen") else True
    return subject, _options(request, exclude_seen=exclude_seen)


def check_batch(batch: pb.BatchSimilarItemsRequest | pb.BatchRecommendRequest) -> None:
    """Raise InvalidArgumentError for a batch that is empty or too large."""
    requests: Sequence[Request] = batch.requests
    if not 1 <= len(requests) <= batches.MAX_REQUESTS:
        raise InvalidArgumentError(
            "requests", f"has {len(requests)} entries, but should have 1 to {batches.MAX_REQUESTS}"
        )
    # A request whose limit is out of range fails alone, so its limit doesn't count.
    limits = [one.limit if one.HasField("limit") else DEFAULT_LIMIT for one in requests]
    results = sum(limit for limit in limits if 1 <= limit <= MAX_LIMIT)
    if results > batches.MAX_RESULTS:
        raise InvalidArgumentError(
            "requests",
            f"have limits that add up to {results}, but should add up to at most "
            f"{batches.MAX_RESULTS}: send several batches",
        )
    _check_size("requests", batch.ByteSize())


def return_attributes(snapshot: Snapshot, request: Request) -> Sequence[str]:
    """Return the names of the attributes to return, each once.

    Raises InvalidArgumentError for a name that the version doesn't have.
    """
    names, paths = request.return_attribute_names, request.return_attributes.paths
    if not (names or paths):
        return ()
    if (count := len(names) + len(paths)) > MAX_RETURNED_ATTRIBUTES:
        raise InvalidArgumentError(
            "return_attribute_names",
            f"and return_attributes have {count} names together, but should have at most "
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


def is_plain(request: Request) -> bool:
    """Return whether a request sets only its subject, limit, exclude_seen and what to return."""
    return all(field.name in _PLAIN_FIELDS for field, _ in request.ListFields())


def is_quick(snapshot: Snapshot, request: Any) -> bool:
    """Estimate whether answering a request takes less than about a millisecond. Must be cheap."""
    if isinstance(request, pb.RecommendRequest):
        ranker, several, user_id = snapshot.model.recommend, request.session, request.user_id
    elif isinstance(request, pb.SimilarItemsRequest):
        ranker, several, user_id = snapshot.model.similar, request.items, ""
    else:
        return False
    items = len(several.item_ids)
    if request.limit > _QUICK_RESULTS or items > _QUICK_ITEMS or not is_plain(request):
        return False
    if user_id and (items := _seen_by(snapshot, user_id)) > _QUICK_SEEN:
        return False
    return ranker.microseconds(items or 1) <= _QUICK_MICROSECONDS


def _seen_by(snapshot: Snapshot, user_id: str) -> int:
    """Return how many items a user has seen; 0 for an unknown user."""
    row = snapshot.publication.users.row(user_id)
    return 0 if row is None else len(snapshot.publication.seen[row])


def _options(request: Request, *, exclude_seen: bool) -> Options:
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    if is_plain(request):
        return _plain_options(limit, exclude_seen)
    if request.unknown_ids not in _UNKNOWN_IDS:
        raise InvalidArgumentError(
            "unknown_ids", f"is {request.unknown_ids}, which isn't a value of UnknownIds"
        )
    if (size := request.ByteSize()) > MAX_REQUEST_BYTES:
        excluded = 2 * sum(map(len, request.exclude_item_ids)) > size
        _check_size("exclude_item_ids" if excluded else "filter", size)
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


def _one_id(field: str, external_id: str) -> str:
    if len(external_id) not in SHORT_ID:
        check_external_id(field, external_id)
    return external_id


def _check_size(field: str, size: int) -> None:
    if size > MAX_REQUEST_BYTES:
        raise InvalidArgumentError(
            field,
            f"makes the request {size} bytes long, but a request may have {MAX_REQUEST_BYTES}: send "
            "fewer entries",
        )


@functools.lru_cache(maxsize=4096)
def _plain_options(limit: int, exclude_seen: bool) -> Options:
    """Return the options of most requests, created once."""
    return Options(limit=limit, exclude_seen=exclude_seen)


def _page(request: Request) -> Page:
    same = copy.copy(request)
    for field in ("limit", "paginate", "page_token", "max_response_bytes"):
        same.ClearField(field)
    name = request.DESCRIPTOR.name.encode()
    return Page(
        pages.fingerprint(name + b":" + same.SerializeToString(deterministic=True)), request.page_token
    )


def _conditions(wanted: pb.Filter) -> Sequence[AnyCondition]:
    field = "filter.conditions"
    if not 1 <= len(wanted.conditions) <= MAX_CONDITIONS:
        raise InvalidArgumentError(
            field, f"has {len(wanted.conditions)} entries, but should have 1 to {MAX_CONDITIONS}"
        )
    conditions = [
        _condition(f"{field}[{place}]", condition) for place, condition in enumerate(wanted.conditions)
    ]
    values = sum(len(made.values) for made in conditions if isinstance(made, ValueCondition))
    if values > MAX_VALUES:
        raise InvalidArgumentError(
            field, f"have {values} values together, but should have at most {MAX_VALUES}"
        )
    return conditions


def _condition(field: str, condition: pb.Condition) -> AnyCondition:
    test = condition.WhichOneof("test")
    if test is None:
        raise InvalidArgumentError(f"{field}.test", "is not set: set any_of, all_of, none_of or range")
    if test == "range":
        return _range(f"{field}.range", condition.attribute, condition.range)
    values: Sequence[str] = getattr(condition, test).values
    if not values:
        raise InvalidArgumentError(
            f"{field}.{test}.values", "is empty, but should have at least one entry"
        )
    return ValueCondition(condition.attribute, _KINDS[test], values)


def _range(field: str, attribute: str, wanted: pb.Range) -> NumberCondition:
    low = wanted.min if wanted.HasField("min") else -math.inf
    high = wanted.max if wanted.HasField("max") else math.inf
    if not (wanted.HasField("min") or wanted.HasField("max")):
        raise InvalidArgumentError(field, "has neither min nor max: set at least one")
    for name, end in (("min", low), ("max", high)):
        if math.isnan(end):
            raise InvalidArgumentError(f"{field}.{name}", "isn't a number: set one, or leave it out")
    if low > high:
        raise InvalidArgumentError(field, f"has min {low:g} above max {high:g}: swap them")
    return NumberCondition(attribute, low, high)
