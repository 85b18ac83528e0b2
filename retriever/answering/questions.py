"""What may be asked: subjects and options, checked before any snapshot is looked at."""

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
# Of exclusions that the publication doesn't have: who excludes what it has no more sends many.
MAX_NAMED_EXCLUDED = 10
MAX_RETURNED_ATTRIBUTES = 1000
MAX_CONDITIONS = 32
MAX_VALUES = 1000
SHORT_ID = range(1, MAX_ID_BYTES // 4 + 1)
"""Numbers of letters that no id is too long with, whatever they are: a look at these is quick."""

ID_BYTES = MAX_ID_BYTES + ID_FIELD_BYTES
"""The most that an id takes in a message."""

SMALL_BYTES = 64
"""The same for a message within another one, beside its texts, and for a few numbers."""

OTHER_BYTES = 1024
"""The same for all fields that don't repeat."""

MAX_REQUEST_BYTES = whole_mib(
    max(MAX_ITEMS * (ID_BYTES + 4), MAX_FEATURES * ID_BYTES)
    + (MAX_EXCLUDED + MAX_VALUES + MAX_RETURNED_ATTRIBUTES) * ID_BYTES
    + MAX_CONDITIONS * (ID_BYTES + SMALL_BYTES)
    + OTHER_BYTES
)
"""What a request may have, or a batch: all that fields may hold, each text as long as an id may be."""

UnknownIds = Literal["error", "ignore", "popular"]
Checkpoint = Callable[..., AbstractContextManager[object]]
"""Called between the stages of a query; it raises when nobody waits for the answer any more.

Given the name of the stage that begins, and facts of it by name, it returns what records the stage."""


def always_wanted(*_: str, **__: object) -> AbstractContextManager[object]:
    """The checkpoint that never raises, and records nothing."""
    return nullcontext()


@dataclass(frozen=True)
class Search:
    """How hard to search.

    Attributes:
        effort: relative to the effort that was tuned for the publication's recall, in
            MIN_EFFORT..MAX_EFFORT. The index is then asked even where it would take less time to look
            at every item. None: as tuned.
        exact: look at every item instead of asking the index.
    """

    effort: float | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError unless the effort is in range."""
        # Written so that NaN is out of range too.
        if self.effort is not None and not MIN_EFFORT <= self.effort <= MAX_EFFORT:
            raise InvalidArgumentError(
                "search_effort", f"is {self.effort:g}, but should be in {MIN_EFFORT:g}..{MAX_EFFORT:g}"
            )


AS_TUNED = Search()


@dataclass(frozen=True)
class WeightedItems:
    """Several items: a session, or what results are to be like.

    Attributes:
        item_ids: external ids, 1 to MAX_ITEMS.
        weights: as many, finite, none negative and not all 0; empty when all count the same.
        field: the request's field that they come from, for messages.
    """

    item_ids: Sequence[str]
    weights: Sequence[float] = ()
    field: str = "session"

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError unless all is in range."""
        ids, weights = self.item_ids, self.weights
        _check_ids(f"{self.field}.item_ids", ids, MAX_ITEMS)
        if not weights:
            return
        field = f"{self.field}.weights"
        if len(weights) != len(ids):
            raise InvalidArgumentError(
                field, f"has {len(weights)} entries, but there are {len(ids)} item_ids"
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
    """What is known of a user who isn't in the publication: names "column:value", 1 to MAX_FEATURES."""

    features: Sequence[str]

    def __post_init__(self) -> None:
        """Raise InvalidArgumentError unless all is in range."""
        _check_ids("features.features", self.features, MAX_FEATURES)


@dataclass(frozen=True)
class ValueCondition:
    """What one attribute must be like: `any`, `all` or `none` of the values."""

    attribute: str
    kind: Literal["any", "all", "none"]
    values: Sequence[str]


@dataclass(frozen=True)
class NumberCondition:
    """The number that one attribute must be: min <= number <= max."""

    attribute: str
    min: float = -math.inf
    max: float = math.inf


AnyCondition: TypeAlias = ValueCondition | NumberCondition
UserSubject: TypeAlias = str | WeightedItems | UserFeatures
"""Who is asking: a user's external id, a session, or features."""
ItemSubject: TypeAlias = str | WeightedItems
"""What to be like: an item's external id, or several items."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may be returned, how much of it, and how.

    Attributes:
        limit: number of results wanted, in 1..MAX_LIMIT.
        exclude_seen: whether a user's seen items or a session's own are left out.
        exclude_item_ids: external ids that aren't to be returned, at most MAX_EXCLUDED.
        conditions: what all results must be like.
        search: how hard to search.
        unknown_ids: what to do about ids that the publication doesn't have; None: "error" for a single
            id, "ignore" for several.
        diversity: in 0..1; see retriever.answering.diversity.
        explain: whether to say where each score comes from.
        page: which results of the ranking; None for the first ones, without a token for the next.
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
        """Raise InvalidArgumentError unless all is in range."""
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
    """Raise InvalidArgumentError that names the field unless this may be an id."""
    try:
        check_id(external_id)
    except InvalidIdError as error:
        raise InvalidArgumentError(field, error.reason) from error


def _check_ids(field: str, ids: Sequence[str], most: int) -> None:
    if not 1 <= len(ids) <= most:
        raise InvalidArgumentError(field, f"has {len(ids)} entries, but should have 1 to {most}")
    for place, external_id in enumerate(ids):
        check_external_id(f"{field}[{place}]", external_id)
