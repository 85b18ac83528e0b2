"""Look up the subject of a question: its query vector, and the parts that explain its scores.

A score is an inner product. If the query is a sum of parts, the score is the sum of the parts' scores.
Hu, Koren & Volinsky (2008, ICDM, section 5) explain recommendations in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.search_effort import Way
from lightfm_retriever.publication.storage.id_map import AnyIds, Rows
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import Float32Array, split_biases, unit_rows
from retriever.answer_words import Source
from retriever.answering.near_misses import in_words, near_misses, spelled_otherwise
from retriever.answering.questions import (
    ItemSubject,
    UnknownIds,
    UserFeatures,
    UserSubject,
    WeightedItems,
)
from retriever.answering.search import NOTHING
from retriever.answering.snapshot import Snapshot
from retriever.errors import InvalidArgumentError, NotPublishedError, UnknownIdError

MAX_CONTRIBUTIONS = 3
"""The largest number of contributions in an explanation."""

# Number of features that an error message names as examples.
_EXAMPLES = 3
# A shorter mean of unit vectors has no meaningful direction.
_SHORTEST_MEAN = 1e-4


@dataclass(frozen=True)
class Parts:
    """The parts of a query, for explanations.

    Attributes:
        names: item ids or features of the parts.
        vectors: (parts, components) float32 vectors of the parts.
        bias: the part of every score besides the item's bias.
        cosine: whether scores are cosines, that is inner products with items of length 1.
        of_features: whether the parts are features.
    """

    names: Sequence[str]
    vectors: Float32Array
    bias: float = 0.0
    cosine: bool = False
    of_features: bool = False


@dataclass(frozen=True)
class ScoreParts:
    """The parts of a score: the largest contributions by name, each above 0, and the sum of biases."""

    contributions: Sequence[tuple[str, float]] = ()
    bias: float = 0.0
    of_features: bool = False


class Subject(msgspec.Struct, frozen=True):
    """A subject that was looked up in a snapshot.

    Attributes:
        source: how the answer is ranked.
        query: (d,) float32; empty when the source is POPULAR.
        constant: added to each score: the user's bias.
        own: rows of the user's seen items, or of the items of the request, ascending.
        unknown: the ids that the version doesn't have.
        parts: computes the parts of the query; None when the source is POPULAR.
        way: the way of asking, if seen items are left out.
    """

    source: Source
    query: Float32Array
    constant: np.float32
    own: NDArray[np.int32]
    unknown: Sequence[str]
    parts: Callable[[], Parts] | None = None
    way: Way = "usual"


_ZERO = np.float32(0)
_ONE: Float32Array = np.ones(1, dtype=np.float32)
_NO_QUERY: Float32Array = np.empty(0, dtype=np.float32)


def user_subject(snapshot: Snapshot, subject: UserSubject, unknown_ids: UnknownIds | None) -> Subject:
    """Look up the user to recommend items to.

    Raises:
        UnknownIdError: the version doesn't have an id, and the request doesn't ignore that.
        NotPublishedError: the version lacks data that the subject needs.
    """
    if isinstance(subject, str):
        return _user(snapshot, subject, unknown_ids)
    if isinstance(subject, UserFeatures):
        return _features(snapshot, subject, unknown_ids)
    return _session(snapshot, subject, unknown_ids)


def item_subject(snapshot: Snapshot, subject: ItemSubject, unknown_ids: UnknownIds | None) -> Subject:
    """Look up the items to compare with.

    Raises:
        UnknownIdError: the version doesn't have an id, and the request doesn't ignore that.
        InvalidArgumentError: the items have no mean.
    """
    embeddings = snapshot.item_embeddings
    if isinstance(subject, str):
        row = snapshot.publication.items.row(subject)
        if row is None:
            return _unknown(snapshot, "item", [subject], unknown_ids or "error")
        query = embeddings[row]
        own = np.array([row], dtype=np.int32)

        def itself() -> Parts:
            return Parts([subject], unit_rows(query[None, :]), cosine=True)

        return Subject(Source.SIMILAR, query, _ZERO, own, (), itself)
    known = _known_items(snapshot, subject, unknown_ids)
    if isinstance(known, Subject):
        return known
    ids, rows, weights, own, unknown = known
    shares = (weights / weights.sum(dtype=np.float64)).astype(np.float32)
    weighted = unit_rows(embeddings[rows]) * shares[:, None]
    mean = weighted.sum(axis=0)
    length = float(np.sqrt(np.square(mean, dtype=np.float64).sum()))
    if length < _SHORTEST_MEAN:
        raise InvalidArgumentError(
            f"{subject.field}.item_ids",
            "have embeddings that cancel each other out, so they have no mean: send fewer items",
        )

    def each() -> Parts:
        return Parts(ids, weighted / np.float32(length), cosine=True)

    return Subject(Source.SIMILAR, mean, _ZERO, own, unknown, each, "items")


def explain(snapshot: Snapshot, subject: Subject, rows: Rows) -> Sequence[ScoreParts]:
    """Explain the score of each result."""
    if subject.parts is None:
        return [ScoreParts()] * len(rows)
    parts = subject.parts()
    embeddings = snapshot.item_embeddings[rows]
    if parts.cosine:
        embeddings = unit_rows(embeddings)
        biases = np.zeros(len(rows), dtype=np.float32)
    else:
        biases = snapshot.publication.item_vectors[rows, -1]
    explanations = []
    for own, bias in zip(embeddings @ parts.vectors.T, biases.tolist(), strict=True):
        largest = np.argsort(-own, kind="stable")[:MAX_CONTRIBUTIONS]
        told = [(parts.names[place], float(own[place])) for place in largest if own[place] > 0]
        explanations.append(ScoreParts(told, bias + parts.bias, parts.of_features))
    return explanations


def _user(snapshot: Snapshot, user_id: str, unknown_ids: UnknownIds | None) -> Subject:
    publication = snapshot.publication
    row = publication.users.row(user_id)
    if row is None:
        return _unknown(snapshot, "user", [user_id], unknown_ids or "error")
    vector = publication.user_vectors[row]
    seen = publication.seen[row]

    def of_seen() -> Parts:
        rows = seen
        if publication.fold_in is None or not len(rows):
            return Parts([], np.empty((0, len(vector) - 1), dtype=np.float32), bias=float(vector[-1]))
        vectors = _fold_in(snapshot).parts(
            snapshot.item_embeddings[rows], np.ones(len(rows), dtype=np.float32)
        )
        names = [publication.items.external_id(row) for row in rows.tolist()]
        return Parts(names, vectors, bias=float(vector[-1]))

    # The user's own bias doesn't change the order, but the score is LightFM's prediction.
    return Subject(Source.PERSONALIZED, _query(vector[:-1]), vector[-1], seen, (), of_seen)


def _session(snapshot: Snapshot, session: WeightedItems, unknown_ids: UnknownIds | None) -> Subject:
    known = _known_items(snapshot, session, unknown_ids)
    if isinstance(known, Subject):
        return known
    ids, rows, weights, own, unknown = known
    vectors = _fold_in(snapshot).parts(snapshot.item_embeddings[rows], weights)
    query = _query(vectors.sum(axis=0))
    return Subject(Source.FOLDED_IN, query, _ZERO, own, unknown, lambda: Parts(ids, vectors), "session")


def _features(snapshot: Snapshot, subject: UserFeatures, unknown_ids: UnknownIds | None) -> Subject:
    publication = snapshot.publication
    features = publication.user_features
    rows = {name: None if features is None else features.row(name) for name in subject.features}
    known = {name: row for name, row in rows.items() if row is not None}
    unknown = [name for name, row in rows.items() if row is None]
    if unknown and (not known or unknown_ids == "error"):
        return _unknown(snapshot, "feature", unknown, unknown_ids or "ignore")
    vectors = publication.user_feature_vectors
    assert vectors is not None  # noqa: S101 - published together with the names
    # LightFM represents a user who has only these features in the same way.
    each = vectors[[*known.values()]] / np.float32(len(known))
    mean = each.sum(axis=0)
    embeddings, _ = split_biases(each)

    def told() -> Parts:
        return Parts([*known], embeddings, bias=float(mean[-1]), of_features=True)

    return Subject(Source.FEATURES, _query(mean[:-1]), mean[-1], NOTHING, unknown, told, "features")


def _query(embedding: Float32Array) -> Float32Array:
    """Append a 1 to an embedding, so that inner products with item vectors add the item's bias."""
    return np.concatenate((embedding, _ONE))


def _known_items(
    snapshot: Snapshot, items: WeightedItems, unknown_ids: UnknownIds | None
) -> Subject | tuple[list[str], NDArray[np.int64], Float32Array, NDArray[np.int32], list[str]]:
    """Look up items.

    Returns ids, rows and weights of the known items with a weight above 0, then the rows of all known
    items, ascending, and the unknown ids.
    """
    weights: dict[str, float] = {}
    for item_id, weight in zip(items.item_ids, items.weights or repeat(1.0), strict=False):
        weights[item_id] = weights.get(item_id, 0.0) + weight
    rows = {item_id: snapshot.publication.items.row(item_id) for item_id in weights}
    unknown = [item_id for item_id, row in rows.items() if row is None]
    own = sorted(row for row in rows.values() if row is not None)
    used = [item_id for item_id, row in rows.items() if row is not None and weights[item_id] > 0]
    if unknown and (not used or unknown_ids == "error"):
        return _unknown(snapshot, "item", unknown, unknown_ids or "ignore", own)
    # Divide by the largest weight, so that none overflows in float32.
    largest = max(weights[item_id] for item_id in used)
    return (
        used,
        np.array([rows[item_id] for item_id in used], dtype=np.int64),
        np.array([weights[item_id] / largest for item_id in used], dtype=np.float32),
        np.array(own, dtype=np.int32),
        unknown,
    )


def _unknown(
    snapshot: Snapshot,
    kind: Literal["item", "user", "feature"],
    unknown: Sequence[str],
    unknown_ids: UnknownIds,
    own: Sequence[int] = (),
) -> Subject:
    """Return the popular items as the subject if the request wants that; else raise UnknownIdError."""
    if unknown_ids == "popular":
        return Subject(Source.POPULAR, _NO_QUERY, _ZERO, np.array(own, dtype=np.int32), unknown)
    publication, asked = snapshot.publication, unknown[0]
    features = publication.user_features
    if kind != "feature":
        # For ids, suggest other spellings only. Other users' ids are private. A longer search for items
        # would cost too much, because clients often ask for items that aren't published yet.
        near = spelled_otherwise(asked, publication.items if kind == "item" else publication.users)
        hint = in_words(near)
    elif features is None or not len(features):
        near = []
        hint = ", which has no user features: train with --user-features COLUMN,..."
    else:
        near = near_misses(asked, features)
        hint = in_words(near) or _columns(asked, features)
    if others := unknown[1:]:
        told = ", ".join(repr(own[:64]) for own in others[:_EXAMPLES])
        more = f" and {len(others) - _EXAMPLES} more" if len(others) > _EXAMPLES else ""
        hint += f"; nor {'is' if len(others) == 1 else 'are'} {told}{more}"
    raise UnknownIdError(kind, asked, snapshot.version, near=near, hint=hint)


def _columns(asked: str, features: AnyIds) -> str:
    """Return examples of features, for a feature that is similar to none."""
    column = asked.partition(":")[0]
    own = sorted(islice(features.starting_with(f"{column}:"), _EXAMPLES))
    some = own or sorted(islice(features.starting_with(""), _EXAMPLES))
    return f"; there are features such as {', '.join(map(repr, some))}"


def _fold_in(snapshot: Snapshot) -> FoldIn:
    array = snapshot.publication.fold_in
    if array is None:
        hint = "train again, or request a user_id or features"
        raise NotPublishedError("fold-in data for sessions", snapshot.version, hint)
    return FoldIn(array)
