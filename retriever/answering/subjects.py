"""Look up the ids of a question's subject, and let the version's model make its query."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.id_map import AnyIds, Rows
from retriever.answer_words import Source
from retriever.answering.model import ZERO, KnownItems, ScoreParts, Subject
from retriever.answering.near_misses import in_words, near_misses, spelled_otherwise
from retriever.answering.questions import (
    ItemSubject,
    UnknownIds,
    UserFeatures,
    UserSubject,
    WeightedItems,
)
from retriever.answering.snapshot import Snapshot
from retriever.errors import NotPublishedError, UnknownIdError

# Number of features that an error message names as examples.
_EXAMPLES = 3


def user_subject(snapshot: Snapshot, subject: UserSubject, unknown_ids: UnknownIds | None) -> Subject:
    """Look up the user to recommend items to.

    Raises:
        UnknownIdError: the version doesn't have an id, and the request doesn't ignore that.
        NotPublishedError: the version lacks data that the subject needs.
    """
    if isinstance(subject, str):
        row = snapshot.publication.users.row(subject)
        if row is None:
            return _unknown(snapshot, "user", [subject], unknown_ids or "error")
        return _or_popular(snapshot.model.user(row), unknown_ids)
    if isinstance(subject, UserFeatures):
        return _features(snapshot, subject, unknown_ids)
    known = _known_items(snapshot, subject, unknown_ids)
    if isinstance(known, Subject):
        return known
    return _or_popular(snapshot.model.session(known), unknown_ids)


def item_subject(snapshot: Snapshot, subject: ItemSubject, unknown_ids: UnknownIds | None) -> Subject:
    """Look up the items to compare with.

    Raises:
        UnknownIdError: the version doesn't have an id, and the request doesn't ignore that.
        InvalidArgumentError: the items have no mean.
    """
    if isinstance(subject, str):
        row = snapshot.publication.items.row(subject)
        if row is None:
            return _unknown(snapshot, "item", [subject], unknown_ids or "error")
        return _or_popular(snapshot.model.item(subject, row), unknown_ids)
    known = _known_items(snapshot, subject, unknown_ids)
    if isinstance(known, Subject):
        return known
    return _or_popular(snapshot.model.alike(known), unknown_ids)


def explain(snapshot: Snapshot, subject: Subject, rows: Rows) -> Sequence[ScoreParts]:
    """Explain the score of each result."""
    if subject.parts is None:
        return [ScoreParts()] * len(rows)
    return snapshot.model.explain(subject.parts(), rows)


def _or_popular(subject: Subject, unknown_ids: UnknownIds | None) -> Subject:
    """Return the popular items if the model knows nothing of a subject, and the request wants them."""
    if subject.empty and unknown_ids == "popular":
        return _popular(subject.own, subject.unknown)
    return subject


def _popular(own: NDArray[np.int32], unknown: Sequence[str]) -> Subject:
    return Subject(Source.POPULAR, None, ZERO, own, unknown)


def _features(snapshot: Snapshot, subject: UserFeatures, unknown_ids: UnknownIds | None) -> Subject:
    facts, features = snapshot.publication.manifest, snapshot.publication.user_features
    if not snapshot.model.has_features and unknown_ids != "popular":
        hint = f"its model, {facts.family}, is an item-item model: request a user_id or a session"
        raise NotPublishedError("features of users", facts.version, hint, model=facts.family)
    rows = {name: None if features is None else features.row(name) for name in subject.features}
    known = {name: row for name, row in rows.items() if row is not None}
    unknown = [name for name, row in rows.items() if row is None]
    if unknown and (not known or unknown_ids == "error"):
        return _unknown(snapshot, "feature", unknown, unknown_ids or "ignore")
    return snapshot.model.features(known, unknown)


def _known_items(
    snapshot: Snapshot, items: WeightedItems, unknown_ids: UnknownIds | None
) -> Subject | KnownItems:
    """Look up items. Returns the popular items if none is known, and the request wants that."""
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
    most = max(weights[item_id] for item_id in used)
    return KnownItems(
        used,
        np.array([rows[item_id] for item_id in used], dtype=np.int64),
        np.array([weights[item_id] / most for item_id in used], dtype=np.float32),
        np.array(own, dtype=np.int32),
        unknown,
        items.field,
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
        return _popular(np.array(own, dtype=np.int32), unknown)
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
