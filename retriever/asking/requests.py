"""What a caller may ask, as plain values, and as the messages that they are sent as."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, SupportsIndex, TypeAlias, TypedDict, cast

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.errors import ArgumentError
from retriever.asking.conditions import Condition, RangeCondition, TextCondition

Id: TypeAlias = str | SupportsIndex
"""An external id: text, or a whole number, which stands for its decimal digits."""

Items: TypeAlias = Iterable[Id] | Mapping[Id, float]
"""External ids of items, or how much each counts by its id."""

UnknownIds = Literal["error", "ignore", "popular"]

_UNKNOWN_IDS = {
    None: pb.UNKNOWN_IDS_UNSPECIFIED,
    "error": pb.UNKNOWN_IDS_ERROR,
    "ignore": pb.UNKNOWN_IDS_IGNORE,
    "popular": pb.UNKNOWN_IDS_POPULAR,
}

# What arguments should be, for errors.
_IDS = "a list of ids, such as ['50', '181']"
_ITEMS = "a list of ids, such as ['50', '181'], or their weights by id, such as {'50': 2.0, '181': 1.0}"
_FEATURES = "a list of features, such as ['age:25-34', 'country:DE']"
_ATTRIBUTES = "a list of names, such as ['genres', 'release_year']"
_FILTER = (
    "a list of conditions, such as [any_of('genres', 'Drama', 'War'), "
    "in_range('release_year', min=1990)]"
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What both kinds of request have. What isn't given is as the service has it by default.

    Ids may be whole numbers, also NumPy's, which are sent as their decimal digits. Lists may be of any
    kind: tuples, sets, arrays, columns of a table, generators; they are read once, when it is made.

    Attributes:
        limit: number of results wanted, 1 to 1000; the service's default is 10.
        titles: whether to return the items' titles.
        attributes: names of the attributes to return, such as "genres".
        search_effort: how much to look at, relative to what was tuned, 0.1 to 100.
        exact: score every item, so that the answer is the true one.
        exclude_item_ids: items that aren't to be returned, at most 10000; those that aren't in the
            version are of no effect.
        filter: what all results must be like: conditions, or one.
        unknown_ids: what to do about ids that the version doesn't have. "error": the call fails;
            "ignore": the answer is from the others and names them; "popular": so too, but when there
            are no others it is what is popular. By default "error" for one id, "ignore" for several.
        diversity: how much results should differ from one another, 0 to 1.
        explain: whether to say where each score comes from.
        paginate: whether the answer is to have a token for the results after it.
        page_token: of the answer to the same request before this one.
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

    def __post_init__(self) -> None:
        """Raise ArgumentError for what couldn't be sent as it is meant."""
        known = ", ".join(repr(word) for word in _UNKNOWN_IDS if word)
        unknown = self.unknown_ids
        if unknown is not None and not (isinstance(unknown, str) and unknown in _UNKNOWN_IDS):
            raise ArgumentError("unknown_ids", unknown, f"one of {known}")
        self._set("limit", None, given.whole, "a whole number in 1..1000")
        for name in ("titles", "exact", "explain", "paginate"):
            self._set(name, False, given.flag)
        self._set("search_effort", None, given.number, "a number in 0.1..100")
        self._set("diversity", 0.0, given.number, "a number in 0..1")
        self._set("page_token", "", given.text, "an answer's next_page_token")
        self._set("exclude_item_ids", (), given.identifiers, _IDS)
        self._set("attributes", (), given.texts, _ATTRIBUTES, each="a name, such as 'genres'")
        self._set("filter", (), _conditions)

    def _set(
        self, name: str, default: Any, read: Callable[..., Any], *expected: str, **each: str
    ) -> None:
        """Keep what is read of a field's value; what is missing is as it is by default."""
        value = getattr(self, name)
        made = default if value is None else read(name, value, *expected, **each)
        object.__setattr__(self, name, made)

    def _common(self) -> dict[str, Any]:
        """The fields of the message that both kinds have. Those that are None are not set."""
        names = dict.fromkeys([*["title"] * self.titles, *self.attributes])
        conditions = [_condition(condition) for condition in cast("tuple[Condition, ...]", self.filter)]
        return {
            "limit": self.limit,
            "return_attribute_names": names,
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


@given.named_fields
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

    user_id: Id | None = None
    _: KW_ONLY
    session: Items | None = None
    features: Iterable[str] | None = None
    exclude_seen: bool | None = None

    def __post_init__(self) -> None:
        """Raise ArgumentError for what couldn't be sent as it is meant."""
        super().__post_init__()
        _check_one(user_id=self.user_id, session=self.session, features=self.features)
        self._set("user_id", None, given.identifier)
        self._set("session", None, _items)
        self._set("features", None, given.texts, _FEATURES, each="a feature, such as 'age:25-34'")
        self._set("exclude_seen", None, given.flag)

    def to_message(self) -> pb.RecommendRequest:
        """The message."""
        return pb.RecommendRequest(
            user_id=cast("str | None", self.user_id),
            session=_weighted(self.session),
            features=None if self.features is None else pb.UserFeatures(features=self.features),
            exclude_seen=self.exclude_seen,
            **self._common(),
        )


@given.named_fields
@dataclass(frozen=True)
class SimilarItemsRequest(Request):
    """Items like one, or like several together: exactly one of the two.

    Attributes:
        item_id: the one.
        items: the several.
    """

    item_id: Id | None = None
    _: KW_ONLY
    items: Items | None = None

    def __post_init__(self) -> None:
        """Raise ArgumentError for what couldn't be sent as it is meant."""
        super().__post_init__()
        _check_one(item_id=self.item_id, items=self.items)
        self._set("item_id", None, given.identifier)
        self._set("items", None, _items)

    def to_message(self) -> pb.SimilarItemsRequest:
        """The message."""
        return pb.SimilarItemsRequest(
            item_id=cast("str | None", self.item_id), items=_weighted(self.items), **self._common()
        )


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
    """Those of RecommendRequest but user_id."""

    session: Items | None
    features: Iterable[str] | None
    exclude_seen: bool | None


class SimilarItemsOptions(RequestFields, total=False):
    """Those of SimilarItemsRequest but item_id."""

    items: Items | None


def to_messages(requests: Any, kind: type[Request], message: type) -> list[Any]:
    """The messages of requests of a kind, which they may be already. Raises ArgumentError."""
    subject = "'3'" if kind is RecommendRequest else "'50'"
    each = f"{kind.__name__}({subject}, limit=5)"
    found: list[Any] = [
        given.one_of(name, one, (kind, message), f"a request, such as {each}")
        for name, one in given.several("requests", requests, f"a list of requests, such as [{each}]")
    ]
    return [one if isinstance(one, message) else one.to_message() for one in found]


def _check_one(**subjects: object) -> None:
    # A message would keep the last of several without a word.
    named = [name for name, subject in subjects.items() if subject is not None]
    if len(named) != 1:
        needed = f"exactly one of {', '.join(subjects)}"
        given_ones = f", not {' and '.join(named)}" if named else "; none was given"
        text = f"{needed} is needed{given_ones}"
        raise ArgumentError(named[0] if named else next(iter(subjects)), None, needed, text=text)


def _items(argument: str, value: Any) -> Items:
    """Ids, or weights by id."""
    if not isinstance(value, Mapping):
        return given.identifiers(argument, value, _ITEMS)
    weights: dict[Id, float] = {}
    for key, weight in value.items():
        item_id = given.identifier(argument, key)
        if item_id in weights:
            raise ArgumentError(argument, value, f"weights by id, but has {item_id!r} twice")
        weights[item_id] = given.number(f"{argument}[{item_id!r}]", weight, "a weight, such as 2.0")
    return weights


def _conditions(argument: str, value: Any) -> tuple[Condition, ...]:
    each = "a condition, such as any_of('genres', 'Drama', 'War')"
    kinds = (TextCondition, RangeCondition)
    if isinstance(value, kinds):
        return (value,)
    return tuple(
        given.one_of(name, one, kinds, each) for name, one in given.several(argument, value, _FILTER)
    )


def _weighted(items: Any) -> pb.WeightedItems | None:
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
