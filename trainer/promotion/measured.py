"""What is measured of a version, alone and beside the one that it is to replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The version that a label names now beside the new one, both on the new one's test users.

    Attributes:
        version: what the label names; empty when it can't be read.
        precision_at_10: its precision@10; None when it can't be compared with.
        candidate_precision_at_10: that of the new version, of the same users by the same code. It may
            differ in the last digits from the manifest's, which LightFM's own evaluation gave, and by
            more when that drew other users of a large test part.
        trained_on: share of the positives that the label's version was trained on: what is held out
            now it knows then, and its precision is too high.
        common: the same of the users alone that both versions know; None when nobody is evaluated.
        problem: why it can't be compared with; empty when it can.
    """

    version: str
    precision_at_10: float | None = None
    candidate_precision_at_10: float | None = None
    trained_on: float = 0.0
    common: Common | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Common:
    """Two versions on the test users that both know, and on what neither was trained on.

    Attributes:
        users: how many users are evaluated.
        in_common: how many of them both versions know.
        known: how many of those have a positive that neither was trained on.
        before, after: precision@10 of the known ones by the version before and by the new one.
        error: standard error of the mean of `before` less `after` over these users.
    """

    users: int
    in_common: int
    known: int
    before: float = 0.0
    after: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the gates are held against. None and NaN both stand for what isn't known.

    Attributes:
        precision_at_10: of the test interactions among unseen items: what users get.
        auc: the same.
        trained_precision_at_10, popular_precision_at_10: of the same users by their own vectors and by
            what is popular; see trainer.evaluation.of_cold_users.
        evaluated_users: of the test interactions.
        users: all of the version.
        recall_at_10: by name of the index.
        target_recall: what the indexes were tuned for.
        coverage: see Gates.
        baseline: None when the label named nothing before.
    """

    precision_at_10: float | None = None
    auc: float | None = None
    trained_precision_at_10: float | None = None
    popular_precision_at_10: float | None = None
    evaluated_users: int = 0
    users: int = 0
    recall_at_10: Mapping[str, float] = field(default_factory=dict)
    target_recall: float | None = None
    coverage: float | None = None
    baseline: Baseline | None = None
