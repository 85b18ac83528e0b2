"""Answers of the service as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb


@dataclass(frozen=True)
class Contribution:
    """A part of a result's score. It comes from an item or from a feature; the other one is empty."""

    score: float
    item_id: str = ""
    feature: str = ""


@dataclass(frozen=True)
class Explanation:
    """Where a result's score comes from: the contributions, largest first, and the item's bias."""

    contributions: tuple[Contribution, ...]
    bias: float


@dataclass(frozen=True)
class ScoredItem:
    """One result.

    Attributes:
        item_id: external id of the item.
        score: how well the item fits. Its meaning depends on the answer's `source`.
        title: the item's title; empty if the request didn't ask for titles or the version has none.
        attributes: requested attributes that the item has, by name: lists of texts, or numbers.
        explanation: where the score comes from; None unless the request set `explain`.
    """

    item_id: str
    score: float
    title: str = ""
    attributes: dict[str, list[str] | float] = field(default_factory=dict, hash=False)
    explanation: Explanation | None = None


@dataclass(frozen=True)
class UnknownFilterValue:
    """A value in a condition on `attribute` that no item has.

    `near` lists values of items that may have been meant, the nearest first.
    """

    attribute: str
    value: str
    near: list[str] = field(default_factory=list, hash=False)


@dataclass(frozen=True)
class EmptyFilterRange:
    """A range in a condition on `attribute` that contains no item's number.

    `least` and `greatest` are the smallest and largest number of all items; None when no item has one.
    """

    attribute: str
    least: float | None = None
    greatest: float | None = None


@dataclass(frozen=True)
class Answer:
    """Results, best first, and how they were found.

    Attributes:
        items: the results.
        version: the version that all results come from.
        source: how the results are ranked: "personalized", "folded_in", "features", "popular" or
            "similar".
        method: "index", or "exact" if all items that may be returned were scored.
        candidates: number of items that were examined.
        filtered: number of examined items that a filter or an exclusion removed.
        short_reason: why there are fewer results than the limit: "catalogue", "exclusions", "filter",
            "page_limit" or "no_evidence"; None when there are as many.
        unknown_ids: ids or features of the request that the version doesn't have, including the first
            10 unknown exclusions.
        unknown_filter_values: values of the filter that no item has: usually mistakes.
        empty_filter_ranges: ranges of the filter that contain no item's number.
        next_page_token: the page_token of the next page. Empty when there is no next page, or when the
            request didn't ask for pages.

    If the service sends a word that this client doesn't know, the value is its number as text.
    """

    items: list[ScoredItem]
    version: str
    source: str = "unspecified"
    method: str = "unspecified"
    candidates: int = 0
    filtered: int = 0
    short_reason: str | None = None
    unknown_ids: list[str] = field(default_factory=list)
    unknown_filter_values: list[UnknownFilterValue] = field(default_factory=list)
    empty_filter_ranges: list[EmptyFilterRange] = field(default_factory=list)
    next_page_token: str = ""


def answer(response: pb.SimilarItemsResponse | pb.RecommendResponse) -> Answer:
    """Convert a response to an answer."""
    short = response.short_reason
    return Answer(
        items=[_item(item) for item in response.items],
        version=response.version,
        source=_SOURCES.get(response.source, str(response.source)),
        method=_METHODS.get(response.method, str(response.method)),
        candidates=response.candidates,
        filtered=response.filtered,
        short_reason=_SHORT_REASONS.get(short, str(short)) if short else None,
        unknown_ids=[*response.unknown_ids],
        unknown_filter_values=[
            UnknownFilterValue(one.attribute, one.value, [*one.near])
            for one in response.unknown_filter_values
        ],
        empty_filter_ranges=[
            EmptyFilterRange(
                one.attribute,
                one.least if one.HasField("least") else None,
                one.greatest if one.HasField("greatest") else None,
            )
            for one in response.empty_filter_ranges
        ],
        next_page_token=response.next_page_token,
    )


def _item(item: pb.ScoredItem) -> ScoredItem:
    attributes, explanation = item.attributes, None
    if item.HasField("explanation"):
        told = item.explanation
        parts = (Contribution(part.score, part.item_id, part.feature) for part in told.contributions)
        explanation = Explanation(tuple(parts), told.bias)
    return ScoredItem(
        item.item_id,
        item.score,
        item.title,
        # The map of a message has no defined order.
        {name: _value(attributes[name]) for name in sorted(attributes)} if attributes else {},
        explanation,
    )


def _value(value: pb.AttributeValue) -> list[str] | float:
    return value.number if value.WhichOneof("value") == "number" else [*value.texts.values]


def _words(enum: Any, prefix: str) -> dict[int, str]:
    """Return the name of each number of an enum, without prefix, in lower case."""
    return {number: name.removeprefix(prefix).lower() for name, number in enum.items()}


_SOURCES = _words(pb.Source, "SOURCE_")
_METHODS = _words(pb.SearchMethod, "SEARCH_METHOD_")
_SHORT_REASONS = _words(pb.ShortReason, "SHORT_REASON_")
