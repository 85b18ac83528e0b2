"""Requests as plain values, and their conversion to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from functools import partial
from typing import Any, ClassVar, Generic, Literal, SupportsIndex, TypedDict, TypeVar, get_args

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.errors import ArgumentError
from retriever.asking.conditions import Condition, RangeCondition, TextCondition

Id = str | SupportsIndex
"""An external id: text, or a whole number, which is sent as its decimal digits."""

Items = Iterable[Id] | Mapping[Id, float]
"""External ids of items, or a mapping from ids to weights."""

UnknownIds = Literal["error", "ignore", "popular"]

_IDS = "a list of ids, such as ['50', '181']"
_Message = TypeVar("_Message", pb.RecommendRequest, pb.SimilarItemsRequest)


@dataclass(frozen=True, kw_only=True)
class Request(Generic[_Message]):
    """The options of both kinds of request. An option that isn't given has the service's default.

    Ids may be whole numbers, also NumPy's, which are sent as their decimal digits. Lists may be any
    iterable: tuples, sets, arrays, columns of a table, generators. They are read once, at creation.

    Attributes:
        limit: number of results, 1 to 1000; the service's default is 10.
        titles: whether to return the titles of the items.
        attributes: names of the attributes to return, such as "genres".
        search_effort: number of candidates that the index examines, relative to the tuned number, 0.1
            to 100.
        exact: whether to score every item instead of using the index.
        exclude_item_ids: items to leave out, at most 10000. Unknown ids have no effect.
        filter: one condition or several. Each result meets all of them.
        unknown_ids: how to handle ids that the version doesn't have. "error": the call fails. "ignore":
            the answer uses the known ids and lists the others. "popular": likewise, but if no id is
            known, the answer lists the most popular items. Default: "error" for one id, "ignore" for
            several.
        diversity: how much results should differ from one another, 0 to 1.
        explain: whether to return where each score comes from.
        paginate: whether to return a token for the next page.
        page_token: the `next_page_token` of the previous page.
    """

    limit: SupportsIndex | None = None
    titles: bool = False
    attributes: Iterable[str] = ()
    search_effort: float | None = None
    exact: bool = False
    exclude_item_ids: Iterable[Id] = ()
    filter: Condition | Iterable[Condition] = ()
    unknown_ids: UnknownIds | None = None
    diversity: float = 0.0
    explain: bool = False
    paginate: bool = False
    page_token: str = ""

    message: ClassVar[type[Any]]
    _subjects: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        """Raise ArgumentError for a field of a wrong type or value."""
        # A message would silently keep the last of several subjects.
        named = [name for name in self._subjects if getattr(self, name) is not None]
        if len(named) != 1:
            needed = f"exactly one of {', '.join(self._subjects)}"
            told = f", not {' and '.join(named)}" if named else "; none was given"
            text = f"{needed} is needed{told}"
            raise ArgumentError((named or self._subjects)[0], None, needed, text=text)
        for field in fields(self):
            value = getattr(self, field.name)
            # None stands for the default.
            if (read := _READERS.get(field.name)) is not None:
                made = field.default if value is None else read(field.name, value)
                object.__setattr__(self, field.name, made)

    def to_message(self) -> _Message:
        """Convert the request to a message. Fields that are None are not set."""
        sent: dict[str, Any] = {name: own for name, own in vars(self).items() if name in _READERS}
        names = [*["title"] * sent.pop("titles"), *sent.pop("attributes")]
        for name, make in _MAKERS.items():
            if sent.get(name) is not None:
                sent[name] = make(sent[name])
        made: _Message = self.message(return_attribute_names=dict.fromkeys(names), **sent)
        return made


@given.named_fields
@dataclass(frozen=True)
class RecommendRequest(Request[pb.RecommendRequest]):
    """Ask for items for one user. Set exactly one of `user_id`, `session` and `features`.

    Attributes:
        user_id: external id of a known user.
        session: items that an anonymous visitor or a new user interacted with.
        features: features of a new user, such as "age:25-34".
        exclude_seen: whether to leave out seen items: those of the user, or those of the session. The
            service's default is true.
    """

    user_id: Id | None = None
    _: KW_ONLY
    session: Items | None = None
    features: Iterable[str] | None = None
    exclude_seen: bool | None = None

    message = pb.RecommendRequest
    _subjects = ("user_id", "session", "features")


@given.named_fields
@dataclass(frozen=True)
class SimilarItemsRequest(Request[pb.SimilarItemsRequest]):
    """Ask for items similar to one item or to several. Set exactly one of `item_id` and `items`.

    Attributes:
        item_id: external id of an item.
        items: external ids of several items, optionally with weights.
    """

    item_id: Id | None = None
    _: KW_ONLY
    items: Items | None = None

    message = pb.SimilarItemsRequest
    _subjects = ("item_id", "items")


class RequestFields(TypedDict, total=False):
    """The fields of Request, as keyword arguments."""

    limit: SupportsIndex | None
    titles: bool
    attributes: Iterable[str]
    search_effort: float | None
    exact: bool
    exclude_item_ids: Iterable[Id]
    filter: Condition | Iterable[Condition]
    unknown_ids: UnknownIds | None
    diversity: float
    explain: bool
    paginate: bool
    page_token: str


class RecommendOptions(RequestFields, total=False):
    """The fields of RecommendRequest except user_id."""

    session: Items | None
    features: Iterable[str] | None
    exclude_seen: bool | None


class SimilarItemsOptions(RequestFields, total=False):
    """The fields of SimilarItemsRequest except item_id."""

    items: Items | None


def to_messages(requests: Any, kind: type[Request[Any]]) -> list[Any]:
    """Convert requests to messages. Messages stay as they are. Raises ArgumentError."""
    message = kind.message
    subject = "'3'" if kind is RecommendRequest else "'50'"
    each = f"{kind.__name__}({subject}, limit=5)"
    found: list[Any] = [
        given.one_of(name, one, (kind, message), f"a request, such as {each}")
        for name, one in given.several("requests", requests, f"a list of requests, such as [{each}]")
    ]
    return [one if isinstance(one, message) else one.to_message() for one in found]


def _items(argument: str, value: Any) -> Items:
    """Read ids, or weights by id."""
    if not isinstance(value, Mapping):
        expected = f"{_IDS}, or their weights by id, such as {{'50': 2.0, '181': 1.0}}"
        return given.identifiers(argument, value, expected)
    weights: dict[Id, float] = {}
    for key, weight in value.items():
        item_id = given.identifier(argument, key)
        if item_id in weights:
            raise ArgumentError(argument, value, f"weights by id, but has {item_id!r} twice")
        weights[item_id] = given.number(f"{argument}[{item_id!r}]", weight, "a weight, such as 2.0")
    return weights


def _conditions(argument: str, value: Any) -> tuple[Condition, ...]:
    example, kinds = "any_of('genres', 'Drama', 'War')", (TextCondition, RangeCondition)
    if isinstance(value, kinds):
        return (value,)
    expected = f"a list of conditions, such as [{example}, in_range('release_year', min=1990)]"
    return tuple(
        given.one_of(name, one, kinds, f"a condition, such as {example}")
        for name, one in given.several(argument, value, expected)
    )


def _unknown_ids(argument: str, value: Any) -> UnknownIds:
    words = get_args(UnknownIds)
    if not (isinstance(value, str) and value in words):
        raise ArgumentError(argument, value, f"one of {', '.join(map(repr, words))}")
    return value  # type: ignore[return-value]


def _weighted(items: Any) -> pb.WeightedItems:
    if isinstance(items, Mapping):
        return pb.WeightedItems(item_ids=items.keys(), weights=items.values())
    return pb.WeightedItems(item_ids=items)


def _filter(conditions: Any) -> pb.Filter | None:
    return pb.Filter(conditions=map(_condition, conditions)) if conditions else None


def _condition(condition: Condition) -> pb.Condition:
    if isinstance(condition, TextCondition):
        tests: dict[str, Any] = {condition.test: pb.Values(values=condition.values)}
        return pb.Condition(attribute=condition.attribute, **tests)
    return pb.Condition(
        attribute=condition.attribute, range=pb.Range(min=condition.min, max=condition.max)
    )


# The reader of each field's value; it raises ArgumentError.
_READERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("titles", "exact", "explain", "paginate", "exclude_seen"), given.flag),
    **dict.fromkeys(("user_id", "item_id"), given.identifier),
    **dict.fromkeys(("session", "items"), _items),
    "limit": partial(given.whole, expected="a whole number in 1..1000"),
    "search_effort": partial(given.number, expected="a number in 0.1..100"),
    "diversity": partial(given.number, expected="a number in 0..1"),
    "page_token": partial(given.text, expected="an answer's next_page_token"),
    "exclude_item_ids": partial(given.identifiers, expected=_IDS),
    "features": partial(
        given.texts,
        expected="a list of features, such as ['age:25-34', 'country:DE']",
        each="a feature, such as 'age:25-34'",
    ),
    "attributes": partial(
        given.texts,
        expected="a list of names, such as ['genres', 'release_year']",
        each="a name, such as 'genres'",
    ),
    "unknown_ids": _unknown_ids,
    "filter": _conditions,
}
# Converts a field's value to what is sent, where the two differ.
_MAKERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("session", "items"), _weighted),
    "features": lambda features: pb.UserFeatures(features=features),
    "unknown_ids": lambda word: f"UNKNOWN_IDS_{word.upper()}",
    "filter": _filter,
}
