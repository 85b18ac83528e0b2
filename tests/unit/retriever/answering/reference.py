"""What every question's answer should be, by plain Python and float64: the slow and obvious way.

It shares with the retriever what a question and its options are, and `FoldIn.parts`, whose sum is a
session's query; nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lightfm_retriever.publication.attributes import Attributes, Column, NumberColumn, TextColumn
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from retriever.answering.questions import (
    AnyCondition,
    NumberCondition,
    Options,
    UserFeatures,
    WeightedItems,
)
from retriever.answering.snapshot import Snapshot
from tests import retrievable
from tests.retrievable import DictIdMap

Subject = str | WeightedItems | UserFeatures
Vector = tuple[float, ...]

# What float32 may round away of the numbers of these tests.
TOLERANCE = 1e-4
# Numbers below 2¹¹ that are multiples of 2⁻¹² are added and multiplied in float32 without rounding, as
# long as what they are multiplied with are small whole numbers.
_GRAIN, _LARGEST = 2.0**12, 2.0**11


@dataclass(frozen=True)
class Catalogue:
    """What is published, by row, as plain lists.

    Attributes:
        item_ids: external ids.
        items, users: vectors, embedding then bias; users are "user-0" and so on.
        seen: for each user rows of items.
        features: feature name -> vector.
        popularity: for each item how many users chose it.
        texts, numbers: attribute name -> for each item its values; NaN for no number.
        fold_in: of a published file.
        links: of an item-item model, for each item the weights of its neighbours by row; then there
            are no vectors, and of users only how many there are.
        profiles: for each user rows of items; None for those seen.
    """

    item_ids: Sequence[str]
    items: Sequence[Vector]
    users: Sequence[Vector]
    seen: Sequence[frozenset[int]]
    features: dict[str, Vector]
    popularity: Sequence[int]
    texts: dict[str, Sequence[Sequence[str]]]
    numbers: dict[str, Sequence[float]]
    fold_in: FoldIn
    links: Sequence[dict[int, float]] | None = None
    profiles: Sequence[frozenset[int]] | None = None

    def snapshot(self, **indexes: Any) -> Snapshot:
        """The same as the retriever sees it; `indexes` are `recommend` and `similar`."""
        columns: list[Column] = [TextColumn(name, values) for name, values in self.texts.items()]
        columns += [NumberColumn(name, np.array(values)) for name, values in self.numbers.items()]
        popularity = np.array(self.popularity, dtype=np.int32)
        by_popularity = sorted(range(len(self.items)), key=lambda row: self.place(row, popularity[row]))
        common: dict[str, Any] = {
            "seen": [sorted(rows) for rows in self.seen],
            "item_ids": self.item_ids,
            "attributes": Attributes.build(columns, len(self.items)),
            "popularity": popularity,
            "popular_items": np.array(by_popularity, dtype=np.int32),
        }
        if self.links is not None:
            profiles = None if self.profiles is None else [sorted(rows) for rows in self.profiles]
            return retrievable.item_item_snapshot(self.links, profiles=profiles, **common)
        return retrievable.snapshot(
            self.items,
            self.users,
            **common,
            user_features=DictIdMap(list(self.features)),
            user_feature_vectors=np.array(list(self.features.values()), dtype=np.float32),
            fold_in=self.fold_in.array,
            **indexes,
        )

    def place(self, row: int, score: float) -> tuple[float, bytes]:
        """What the order of results goes by."""
        return -float(score), self.item_ids[row].encode()

    def row(self, item_id: str) -> int | None:
        return self.item_ids.index(item_id) if item_id in self.item_ids else None


@dataclass(frozen=True)
class Unknown:
    """The answer is an error that names this id."""

    kind: str
    external_id: str


@dataclass(frozen=True)
class NoMean:
    """The answer is an error: the items point in opposite directions."""


@dataclass(frozen=True)
class NotPublished:
    """The answer is an error: the model can't be asked so."""


@dataclass(frozen=True)
class Looked:
    """A subject, looked up.

    Attributes:
        source: what the answer is ranked by.
        scores: of all items, by row.
        rounded: whether float32 may round them.
        own: rows that are the subject's own.
        unknown: ids of the subject that aren't published.
        links: whether only items with a score above 0 may be returned.
    """

    source: str
    scores: Sequence[float]
    rounded: bool = False
    own: frozenset[int] = field(default_factory=frozenset)
    unknown: Sequence[str] = ()
    links: bool = False


@dataclass(frozen=True)
class Expected:
    """What an answer is to be.

    Attributes:
        looked: the subject.
        rows: of all items that may be returned, the best first.
        matching: how many items match the filter, excluded ones too.
        excluded: how many of these are excluded.
        unknown: ids of the request that aren't published; fewer than eleven are excluded here.
        examined: how many items match, or of an item-item model, have a score above 0.
        removed: how many of these may not be returned.
    """

    looked: Looked
    rows: Sequence[int]
    matching: int
    excluded: int
    unknown: Sequence[str]
    examined: int
    removed: int

    def short_reason(self, start: int, limit: int, options: Options) -> str | None:
        """Why a page that begins at `start` has fewer results than its limit."""
        if len(self.rows) >= start + limit:
            return None
        if len(self.rows) < self.matching - self.excluded:
            return "no_evidence"
        if self.matching >= start + limit:
            return "exclusions"
        return "filter" if options.conditions else "catalogue"


def recommend(
    catalogue: Catalogue, subject: Subject, options: Options
) -> Expected | Unknown | NoMean | NotPublished:
    """What Recommend should answer."""
    looked: Looked | Unknown | NotPublished
    if isinstance(subject, str):
        looked = _user(catalogue, subject, options)
    elif isinstance(subject, UserFeatures):
        looked = _features(catalogue, subject, options)
    else:
        looked = _session(catalogue, subject, options)
    if isinstance(looked, Unknown | NotPublished):
        return looked
    return _rank(
        catalogue, looked, options, leave_out=looked.own if options.exclude_seen else frozenset()
    )


def similar_items(
    catalogue: Catalogue, subject: Subject, options: Options
) -> Expected | Unknown | NoMean:
    """What SimilarItems should answer."""
    assert not isinstance(subject, UserFeatures)
    if isinstance(subject, str):
        alone = WeightedItems([subject])
        looked = _similar(catalogue, alone, options.unknown_ids or "error", options)
    else:
        looked = _similar(catalogue, subject, options.unknown_ids or "ignore", options)
    if isinstance(looked, Unknown | NoMean):
        return looked
    return _rank(catalogue, looked, options, leave_out=looked.own)


def matches(catalogue: Catalogue, conditions: Sequence[AnyCondition], row: int) -> bool:
    """Whether an item matches a filter."""
    return all(_holds(catalogue, condition, row) for condition in conditions)


def lightfm(catalogue: Catalogue, user: Sequence[float], bias: float) -> list[float]:
    """u·i + b_u + b_i."""
    return [
        math.fsum(x * y for x, y in zip(user, item[:-1], strict=True)) + bias + item[-1]
        for item in catalogue.items
    ]


def _holds(catalogue: Catalogue, condition: AnyCondition, row: int) -> bool:
    if isinstance(condition, NumberCondition):
        return condition.min <= catalogue.numbers[condition.attribute][row] <= condition.max
    own, asked = {*catalogue.texts[condition.attribute][row]}, {*condition.values}
    return {"any": bool(own & asked), "all": asked <= own, "none": not own & asked}[condition.kind]


def _rank(
    catalogue: Catalogue, looked: Looked, options: Options, *, leave_out: frozenset[int]
) -> Expected:
    excluded = leave_out | {catalogue.row(item_id) for item_id in options.exclude_item_ids}
    matching = [
        row for row in range(len(catalogue.items)) if matches(catalogue, options.conditions, row)
    ]
    eligible = [row for row in matching if row not in excluded]
    examined, removed = len(matching), len(matching) - len(eligible)
    returned = eligible
    if looked.links:
        returned = [row for row in eligible if looked.scores[row] > 0]
        examined = sum(score > 0 for score in looked.scores)
        removed = examined - len(returned)
    rows = sorted(returned, key=lambda row: catalogue.place(row, looked.scores[row]))
    absent = [item_id for item_id in options.exclude_item_ids if catalogue.row(item_id) is None]
    unknown = [*dict.fromkeys([*looked.unknown, *absent])]
    left_out = len(matching) - len(eligible)
    return Expected(looked, rows, len(matching), left_out, unknown, examined, removed)


def _user(catalogue: Catalogue, user_id: str, options: Options) -> Looked | Unknown:
    names = [f"user-{row}" for row in range(len(catalogue.users))]
    if user_id not in names:
        return _popular_or(Unknown("user", user_id), catalogue, options.unknown_ids, [user_id])
    row = names.index(user_id)
    if catalogue.links is not None:
        chosen = catalogue.seen if catalogue.profiles is None else catalogue.profiles
        weights = dict.fromkeys(chosen[row], 1.0)
        looked = Looked("personalized", _sums(catalogue, weights), own=catalogue.seen[row], links=True)
        return _if_linked(looked, weights, catalogue, options)
    *embedding, bias = catalogue.users[row]
    return Looked("personalized", lightfm(catalogue, embedding, bias), own=catalogue.seen[row])


def _features(
    catalogue: Catalogue, subject: UserFeatures, options: Options
) -> Looked | Unknown | NotPublished:
    names = list(dict.fromkeys(subject.features))
    if catalogue.links is not None:
        unknown = _popular_or(Unknown("feature", names[0]), catalogue, options.unknown_ids, names)
        return NotPublished() if isinstance(unknown, Unknown) else unknown
    unknown = [name for name in names if name not in catalogue.features]
    vectors = [catalogue.features[name] for name in names if name in catalogue.features]
    if unknown and (options.unknown_ids == "error" or not vectors):
        return _popular_or(Unknown("feature", unknown[0]), catalogue, options.unknown_ids, unknown)
    mean = [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]
    scores = lightfm(catalogue, mean[:-1], mean[-1])
    return Looked("features", scores, rounded=_is_rounded(*mean), unknown=unknown)


@dataclass(frozen=True)
class _Session:
    """Weights by row of the items that are known and count; all known rows; unknown ids."""

    weights: dict[int, float]
    own: frozenset[int]
    unknown: list[str]


def _weights(catalogue: Catalogue, items: WeightedItems) -> _Session:
    total: dict[str, float] = {}
    for item_id, weight in zip(
        items.item_ids, items.weights or [1.0] * len(items.item_ids), strict=True
    ):
        total[item_id] = total.get(item_id, 0.0) + weight
    rows = {item_id: catalogue.row(item_id) for item_id in total}
    known = {row: total[item_id] for item_id, row in rows.items() if row is not None}
    return _Session(
        {row: weight for row, weight in known.items() if weight > 0},
        frozenset(known),
        [item_id for item_id, row in rows.items() if row is None],
    )


def _session(catalogue: Catalogue, subject: WeightedItems, options: Options) -> Looked | Unknown:
    session = _weights(catalogue, subject)
    if session.unknown and (options.unknown_ids == "error" or not session.weights):
        error = Unknown("item", session.unknown[0])
        return _popular_or(error, catalogue, options.unknown_ids, session.unknown, session.own)
    if catalogue.links is not None:
        most = max(session.weights.values())
        weights = {row: weight / most for row, weight in session.weights.items()}
        looked = Looked(
            *("folded_in", _sums(catalogue, weights), _is_rounded(*weights.values())),
            *(session.own, session.unknown, True),
        )
        return _if_linked(looked, weights, catalogue, options)
    embeddings = np.array([catalogue.items[row][:-1] for row in session.weights], dtype=np.float32)
    weights = np.array([*session.weights.values()], dtype=np.float32)
    user = catalogue.fold_in.parts(embeddings, weights).sum(axis=0, dtype=np.float64).tolist()
    scores = lightfm(catalogue, user, 0)
    shares = [weight / sum(session.weights.values()) for weight in session.weights.values()]
    relative = [weight / max(session.weights.values()) for weight in session.weights.values()]
    rounded = _is_rounded(*user, *shares, *relative)
    return Looked("folded_in", scores, rounded=rounded, own=session.own, unknown=session.unknown)


def _similar(
    catalogue: Catalogue, subject: WeightedItems, unknown_ids: str, options: Options
) -> Looked | Unknown | NoMean:
    session = _weights(catalogue, subject)
    if session.unknown and (unknown_ids == "error" or not session.weights):
        error = Unknown("item", session.unknown[0])
        return _popular_or(error, catalogue, options.unknown_ids, session.unknown, session.own)
    if catalogue.links is not None:
        total = sum(session.weights.values())
        scores = [score / total for score in _sums(catalogue, session.weights)]
        rounded = _is_rounded(*scores, *(own / total for own in session.weights.values()))
        looked = Looked("similar", scores, rounded, session.own, session.unknown, links=True)
        return _if_linked(looked, session.weights, catalogue, options)
    units = np.array([item[:-1] for item in catalogue.items], dtype=np.float64)
    units /= np.array([math.hypot(*vector) for vector in units])[:, None]
    total = sum(session.weights.values())
    mean = sum(units[row] * (weight / total) for row, weight in session.weights.items())
    length = math.hypot(*mean)
    if length < TOLERANCE:
        return NoMean()
    scores = [math.fsum(unit * mean) / length for unit in units]
    # A root that is no power of 2 is rounded, and so is what is divided by it.
    rounded = len(session.weights) > 1 or _is_rounded(*units.ravel().tolist())
    return Looked("similar", scores, rounded=rounded, own=session.own, unknown=session.unknown)


def _sums(catalogue: Catalogue, weights: dict[int, float]) -> list[float]:
    """Sum the weights of neighbours of some items."""
    links = catalogue.links
    assert links is not None
    return [
        math.fsum(weight * links[row].get(other, 0) for row, weight in weights.items())
        for other in range(len(links))
    ]


def _if_linked(
    looked: Looked, weights: dict[int, float], catalogue: Catalogue, options: Options
) -> Looked | Unknown:
    """The popular items instead, if none has a neighbour and they are wanted."""
    assert catalogue.links is not None
    if any(catalogue.links[row] for row in weights):
        return looked
    error = Unknown("", "")
    popular = _popular_or(error, catalogue, options.unknown_ids, looked.unknown, looked.own)
    return looked if isinstance(popular, Unknown) else popular


def _popular_or(
    error: Unknown,
    catalogue: Catalogue,
    unknown_ids: str | None,
    unknown: Sequence[str],
    own: frozenset[int] = frozenset(),
) -> Looked | Unknown:
    if unknown_ids != "popular":
        return error
    return Looked("popular", [float(count) for count in catalogue.popularity], own=own, unknown=unknown)


def _is_rounded(*numbers: float) -> bool:
    """Whether float32 rounds sums of products of these."""
    return any(abs(number) > _LARGEST or number * _GRAIN % 1 for number in numbers)
