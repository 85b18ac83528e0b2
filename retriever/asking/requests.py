"""What a caller may ask, as plain values, and as the messages that they are sent as."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias, TypedDict

from google.protobuf.field_mask_pb2 import FieldMask
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.asking.conditions import Condition, TextCondition

Items: TypeAlias = Sequence[str] | Mapping[str, float]
"""External ids of items, or how much each counts by its id."""

UnknownIds = Literal["error", "ignore", "popular"]

_UNKNOWN_IDS = {
    None: pb.UNKNOWN_IDS_UNSPECIFIED,
    "error": pb.UNKNOWN_IDS_ERROR,
    "ignore": pb.UNKNOWN_IDS_IGNORE,
    "popular": pb.UNKNOWN_IDS_POPULAR,
}
_TITLE = "title"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What both kinds of request have. What isn't given is as the service has it by default.

    Attributes:
        limit: number of results wanted, 1 to 1000; the service's default is 10.
        titles: whether to return the items' titles.
        attributes: names of the attributes to return, such as "genres".
        search_effort: how much to look at, relative to what was tuned, 0.1 to 100.
        exact: score every item, so that the answer is the true one.
        exclude_item_ids: items that aren't to be returned, at most 10000.
        filter: what all results must be like.
        unknown_ids: what to do about ids that the version doesn't have. "error": the call fails;
            "ignore": the answer is from the others and names them; "popular": so too, but when there
            are no others it is what is popular. By default "error" for one id, "ignore" for several.
        diversity: how much results should differ from one another, 0 to 1.
        explain: whether to say where each score comes from.
        paginate: whether the answer is to have a token for the results after it.
        page_token: of the answer to the same request before this one.
    """

    limit: int | None = None
    titles: bool = False
    attributes: Sequence[str] = ()
    search_effort: float | None = None
    exact: bool = False
    exclude_item_ids: Collection[str] = ()
    filter: Sequence[Condition] = ()
    unknown_ids: UnknownIds | None = None
    diversity: float = 0.0
    explain: bool = False
    paginate: bool = False
    page_token: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError or TypeError for what couldn't be sent as it is meant."""
        if self.unknown_ids not in _UNKNOWN_IDS:
            known = ", ".join(repr(word) for word in _UNKNOWN_IDS if word)
            raise ValueError(f"unknown_ids is {self.unknown_ids!r}, but should be one of {known}")
        for name in ("attributes", "exclude_item_ids"):
            _check_several(name, getattr(self, name))

    def _common(self) -> dict[str, Any]:
        """The fields of the message that both kinds have. Those that are None are not set."""
        paths = dict.fromkeys([*([_TITLE] if self.titles else []), *self.attributes])
        conditions = [_condition(condition) for condition in self.filter]
        return {
            "limit": self.limit,
            "return_attributes": FieldMask(paths=paths) if paths else None,
            "search_effort": self.search_effort,
            "exact": self.exact,
            "exclude_item_ids": self.exclude_item_ids,
            "filter": pb.Filter(conditions=conditions) if conditions else None,
            "unknown_ids": _UNKNOWN_IDS[self.unknown_ids],
            "paginate": self.paginate,
            "page_token": self.page_token,
            "diversity": self.diversity,
            "explain": self.explain,
        }


@dataclass(frozen=True)
class RecommendRequest(Request):
    """Items for one user: exactly one of the first three says who that is.

    Attributes:
        user_id: a known user.
        session: what somebody without a vector looked at or bought.
        features: what is known of a new user, such as "age:25-34".
        exclude_seen: whether what the user has seen, or the session's own items, is left out; the
            service's default is true.
    """

    user_id: str | None = None
    _: KW_ONLY
    session: Items | None = None
    features: Sequence[str] | None = None
    exclude_seen: bool | None = None

    def __post_init__(self) -> None:
        """Raise ValueError or TypeError for what couldn't be sent as it is meant."""
        super().__post_init__()
        _check_one(user_id=self.user_id, session=self.session, features=self.features)
        _check_several("session", self.session)
        _check_several("features", self.features)

    def to_message(self) -> pb.RecommendRequest:
        """The message. Raises ValueError for what none can hold, such as a number beyond 32 bits."""
        return pb.RecommendRequest(
            user_id=self.user_id,
            session=_weighted(self.session),
            features=None if self.features is None else pb.UserFeatures(features=self.features),
            exclude_seen=self.exclude_seen,
            **self._common(),
        )


@dataclass(frozen=True)
class SimilarItemsRequest(Request):
    """Items like one, or like several together: exactly one of the two.

    Attributes:
        item_id: the one.
        items: the several.
    """

    item_id: str | None = None
    _: KW_ONLY
    items: Items | None = None

    def __post_init__(self) -> None:
        """Raise ValueError or TypeError for what couldn't be sent as it is meant."""
        super().__post_init__()
        _check_one(item_id=self.item_id, items=self.items)
        _check_several("items", self.items)

    def to_message(self) -> pb.SimilarItemsRequest:
        """The message. Raises ValueError for what none can hold, such as a number beyond 32 bits."""
        return pb.SimilarItemsRequest(
            item_id=self.item_id, items=_weighted(self.items), **self._common()
        )


class Options(TypedDict, total=False):
    """The fields of Request, as keyword arguments."""

    limit: int | None
    titles: bool
    attributes: Sequence[str]
    search_effort: float | None
    exact: bool
    exclude_item_ids: Collection[str]
    filter: Sequence[Condition]
    unknown_ids: UnknownIds | None
    diversity: float
    explain: bool
    paginate: bool
    page_token: str


class RecommendOptions(Options, total=False):
    """Those of RecommendRequest but user_id."""

    session: Items | None
    features: Sequence[str] | None
    exclude_seen: bool | None


class SimilarItemsOptions(Options, total=False):
    """Those of SimilarItemsRequest but item_id."""

    items: Items | None


def _check_one(**subjects: object) -> None:
    # A message would keep the last of several without a word.
    given = [name for name, subject in subjects.items() if subject is not None]
    if len(given) != 1:
        raise ValueError(
            f"exactly one of {', '.join(subjects)} is needed, not {' and '.join(given) or 'none'}"
        )


def _check_several(name: str, values: object) -> None:
    # A text is a sequence too, of its characters.
    if isinstance(values, str):
        raise TypeError(f"{name} is the text {values!r}, but should be a list, such as [{values!r}]")


def _weighted(items: Items | None) -> pb.WeightedItems | None:
    if items is None:
        return None
    if isinstance(items, Mapping):
        return pb.WeightedItems(item_ids=items.keys(), weights=items.values())
    return pb.WeightedItems(item_ids=items)


def _condition(condition: Condition) -> pb.Condition:
    if isinstance(condition, TextCondition):
        tests: dict[str, Any] = {condition.test: pb.Values(values=condition.values)}
        return pb.Condition(attribute=condition.attribute, **tests)
    return pb.Condition(
        attribute=condition.attribute, range=pb.Range(min=condition.min, max=condition.max)
    )
