"""The facts in a manifest about the test of a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, kw_only=True)
class SegmentFacts:
    """The measures of a part of the test: of some users, or of the positives among some items.

    Attributes:
        by: the criterion, such as "user_activity" or the name of an attribute.
        value: the part, such as "low".
        rule: the meaning of the value, in words.
        users: the number of evaluated users with a positive in this part.
        interactions: the number of these positives.
        metrics: by name, such as "ndcg_at_10", without seen items.
        errors: the standard errors of the metrics, of two users or more.
    """

    by: str
    value: str
    rule: str
    users: Count
    interactions: Count
    metrics: dict[str, float]
    errors: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SimpleModelFacts:
    """A simple model on the test of a version, for comparison.

    Attributes:
        name: popular, item-knn or ease.
        users: the number of users that both were evaluated on.
        ndcg_at_10, model_ndcg_at_10: of the simple model and of the version, without seen items.
        error: the standard error of the difference; None for a single user.
        items: the number of items that the simple model was fitted to.
    """

    name: str
    users: Count
    ndcg_at_10: float
    model_ndcg_at_10: float
    error: float | None
    items: Count


@dataclass(frozen=True, kw_only=True)
class EvaluationFacts:
    """The test of a version, and how sure its metrics are.

    Attributes:
        test: fingerprint of the test, a SHA-256 (hex) of the evaluated users and their positives.
        users: the number of users with held-out positives.
        evaluated_users: how many of them were evaluated: all, or a sample.
        interactions: the number of positives of the evaluated users.
        errors: the standard errors of the metrics that are means over users, by name.
        segments: the measures of parts of the test.
        simple_models: the simple models that the version was compared with.
    """

    test: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    users: Count
    evaluated_users: Count
    interactions: Count
    errors: dict[str, float]
    segments: list[SegmentFacts] = field(default_factory=list)
    simple_models: list[SimpleModelFacts] = field(default_factory=list)
