"""Questions: subjects and options, which are checked without a snapshot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lightfm_retriever.hosting.message_sizes import ID_FIELD_BYTES, whole_mib
from lightfm_retriever.publication.errors import InvalidIdError
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES, check_id
from retriever.answering.pages import Page
from retriever.errors import InvalidArgumentError

DEFAULT_LIMIT = 10
MAX_LIMIT = 1000
MIN_EFFORT = 0.1
MAX_EFFORT = 100.0
MAX_ITEMS = 1000
MAX_FEATURES = 100
MAX_EXCLUDED = 10_000
# How many unknown exclusions an answer lists. Some clients exclude many items that are gone.
MAX_NAMED_EXCLUDED = 10
MAX_RETURNED_ATTRIBUTES = 1000
MAX_CONDITIONS = 32
MAX_VALUES = 1000
SHORT_ID = range(1, MAX_ID_BYTES // 4 + 1)
"""Lengths in characters at which no id exceeds the limit in bytes: a fast check."""

ID_BYTES = MAX_ID_BYTES + ID_FIELD_BYTES
"""The most bytes that an id takes in a message."""

SMALL_BYTES = 64
"""The most bytes that an embedded message takes besides its texts, or a few numbers."""

OTHER_BYTES = 1024
"""The most bytes that all fields take that don't repeat."""

MAX_REQUEST_BYTES = whole_mib(
    max(MAX_ITEMS * (ID_BYTES + 4), MAX_FEATURES * ID_BYTES)
    + (MAX_EXCLUDED + MAX_VALUES + MAX_RETURNED_ATTRIBUTES) * ID_BYTES
    + MAX_CONDITIONS * (ID_BYTES + SMALL_BYTES)
    + OTHER_BYTES
)
"""The most bytes of a request or a batch: all fields at their limits, with texts as long as ids."""

UnknownIds = Literal["error", "ignore", "popular"]
Checkpoint = Callable[..., AbstractContextManager[object]]
"""Called between the stages of a query. It raises AbandonedError if the caller has stopped waiting.

With the name of the next stage and its facts, it returns a context that records the stage."""


def always_wanted(*_: str, **__: object) -> AbstractContextManager[object]:
    """Do nothing: a checkpoint that never raises and records nothing."""
    return nullcontext()


@dataclass(frozen=True)
class Search:
    """How hard to search.

    Attributes:
        effort: relative to the effort that was tuned for the version's recall, in
            MIN_EFFORT..MAX_EFFORT. If set, the index is used even when scoring every item would be
            faster. None: as tuned.
        exact: whether to score every item instead of using the index.
    """

    effort: float | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError if the effort is out of range."""
        # The comparison is written so that NaN is out of range.
        if self.effort is not None and not MIN_EFFORT <= self.effort <= MAX_EFFORT:
            raise InvalidArgumentError(
                "search_effort", f"is {self.effort:g}, but should be in {MIN_EFFORT:g}..{MAX_EFFORT:g}"
            )


AS_TUNED = Search()


@dataclass(frozen=True)
class WeightedItems:
    """Several items: a session, or the items that results should be similar to.

    Attributes:
        item_ids: external ids, 1 to MAX_ITEMS.
        weights: one for each id, finite, none negative and not all 0; empty for equal weights.
        field: the field of the request, for error messages.
    """

    item_ids: Sequence[str]
    weights: Sequence[float] = ()
    field: str = "session"

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError for a field out of range."""
        ids, weights = self.item_ids, self.weights
        _check_ids(f"{self.field}.item_ids", ids, MAX_ITEMS)
        if not weights:
            return
        field = f"{self.field}.weights"
        if len(weights) != len(ids):
            raise InvalidArgumentError(
                field, f"has {len(weights)} entries, but should have as many as item_ids, {len(ids)}"
            )
        for place, weight in enumerate(weights):
            if not 0 <= weight < math.inf:
                raise InvalidArgumentError(
                    f"{field}[{place}]", f"is {weight:g}, but should be a finite number of 0 or more"
                )
        if not any(weights):
            raise InvalidArgumentError(field, "are all 0, but at least one should be more")


@dataclass(frozen=True)
class UserFeatures:
    """Features of a user who isn't in the version: texts "column:value", 1 to MAX_FEATURES."""

    features: Sequence[str]

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError for a field out of range."""
        _check_ids("features.features", self.features, MAX_FEATURES)


@dataclass(frozen=True)
class ValueCondition:
    """A condition on a text attribute: the item has any, all or none of the values."""

    attribute: str
    kind: Literal["any", "all", "none"]
    values: Sequence[str]


@dataclass(frozen=True)
class NumberCondition:
    """A condition on a number attribute: min <= number <= max."""

    attribute: str
    min: float = -math.inf
    max: float = math.inf


AnyCondition: TypeAlias = ValueCondition | NumberCondition
UserSubject: TypeAlias = str | WeightedItems | UserFeatures
"""The user to recommend items to: an external id, a session, or features."""
ItemSubject: TypeAlias = str | WeightedItems
"""The item or items that results should be similar to."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a question.

    Attributes:
        limit: number of results, in 1..MAX_LIMIT.
        exclude_seen: whether to leave out the user's seen items or the items of the session.
        exclude_item_ids: external ids of items to leave out, at most MAX_EXCLUDED.
        conditions: conditions that all results must meet.
        search: how hard to search.
        unknown_ids: how to handle ids that the version doesn't have. None: "error" for a single id,
            "ignore" for several.
        diversity: in 0..1; see retriever.answering.diversity.
        explain: whether to return where each score comes from.
        page: the requested page; None for the first results without a token for the next page.
    """

    limit: int = DEFAULT_LIMIT
    exclude_seen: bool = True
    exclude_item_ids: Sequence[str] = ()
    conditions: Sequence[AnyCondition] = ()
    search: Search = AS_TUNED
    unknown_ids: UnknownIds | None = None
    diversity: float = 0.0
    explain: bool = False
    page: Page | None = None

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError for a field out of range."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidArgumentError("limit", f"is {self.limit}, but should be in 1..{MAX_LIMIT}")
        if len(self.exclude_item_ids) > MAX_EXCLUDED:
            raise InvalidArgumentError(
                "exclude_item_ids",
                f"has {len(self.exclude_item_ids)} entries, but should have at most {MAX_EXCLUDED}",
            )
        for place, external_id in enumerate(self.exclude_item_ids):
            if len(external_id) not in SHORT_ID:
                check_external_id(f"exclude_item_ids[{place}]", external_id)
        if not 0 <= self.diversity <= 1:
            raise InvalidArgumentError("diversity", f"is {self.diversity:g}, but should be in 0..1")
        if self.diversity and self.page is not None:
            raise InvalidArgumentError("diversity", "can't be combined with pages")


def check_external_id(field: str, external_id: str) -> None:
    """Raise InvalidArgumentError with the field's name if a text can't be an id."""
    try:
        check_id(external_id)
    except InvalidIdError as error:
        raise InvalidArgumentError(field, error.reason) from error


def _check_ids(field: str, ids: Sequence[str], most: int) -> None:
    if not 1 <= len(ids) <= most:
        raise InvalidArgumentError(field, f"has {len(ids)} entries, but should have 1 to {most}")
    for place, external_id in enumerate(ids):
        check_external_id(f"{field}[{place}]", external_id)
