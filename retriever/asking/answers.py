"""What the service answers, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recsys.retriever.v1 import retriever_service_pb2 as pb


@dataclass(frozen=True)
class Contribution:
    """A part of a result's score, which comes from an item or from a feature: the other is empty."""

    score: float
    item_id: str = ""
    feature: str = ""


@dataclass(frozen=True)
class Explanation:
    """Where a result's score comes from: what contributed most, the largest first, and its own bias."""

    contributions: tuple[Contribution, ...]
    bias: float


@dataclass(frozen=True)
class ScoredItem:
    """One result.

    Attributes:
        item_id: external id of the item.
        score: how well it fits; what it means depends on the answer's source.
        title: empty when none was asked for or published.
        attributes: those that were asked for and that the item has, by name: the values of a text
            attribute, or a number.
        explanation: None unless it was asked for.
    """

    item_id: str
    score: float
    title: str = ""
    attributes: dict[str, list[str] | float] = field(default_factory=dict, hash=False)
    explanation: Explanation | None = None


@dataclass(frozen=True)
class UnknownFilterValue:
    """A value of a condition on `attribute` that no item has, as it was asked.

    `near` are values that items have and that may have been meant, the nearest first.
    """

    attribute: str
    value: str
    near: list[str] = field(default_factory=list, hash=False)


@dataclass(frozen=True)
class EmptyFilterRange:
    """A range of a condition on `attribute` that no item's number is in.

    `least` and `greatest` are of the numbers that items have; None when no item has one.
    """

    attribute: str
    least: float | None = None
    greatest: float | None = None


@dataclass(frozen=True)
class Answer:
    """Results, best first, and how they were found.

    Attributes:
        version: that all results come from.
        source: what they are ranked by: "personalized", "folded_in", "features", "popular" or
            "similar".
        method: "index", or "exact": all items that may be returned were ranked.
        candidates: number of items that were looked at.
        filtered: number of those that a filter or an exclusion kept out.
        short_reason: why there are fewer than were asked for: "catalogue", "exclusions", "filter" or
            "page_limit"; None when there aren't.
        unknown_ids: those of the request's ids or features that the version doesn't have; of exclusions
            the first 10.
        unknown_filter_values: those of the filter that no item has, which are mostly mistakes.
        empty_filter_ranges: those of the filter that no item's number is in.
        next_page_token: to ask for the results after these; empty when there are none, or when the
            request wasn't for pages.

    A word that is newer than this client is the number that the wire has for it.
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
    """The answer that a response is."""
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
        # A message's map has no order.
        {name: _value(attributes[name]) for name in sorted(attributes)} if attributes else {},
        explanation,
    )


def _value(value: pb.AttributeValue) -> list[str] | float:
    return value.number if value.WhichOneof("value") == "number" else [*value.texts.values]


def _words(enum: Any, prefix: str) -> dict[int, str]:
    """The names of an enum's numbers, as words."""
    return {number: name.removeprefix(prefix).lower() for name, number in enum.items()}


_SOURCES = _words(pb.Source, "SOURCE_")
_METHODS = _words(pb.SearchMethod, "SEARCH_METHOD_")
_SHORT_REASONS = _words(pb.ShortReason, "SHORT_REASON_")
