"""What a version has to pass before a label is moved to it. Pure: `measurement` measures.

Some gates hold where nothing is asked for, since what fails them would ruin what is served: somebody
was evaluated, the indexes find most of what they should, and users whom the version before knows get
nothing much worse. What a new input keeps of that version is trainer.promotion.continuity's.

precision@10 and AUC are those among the items that a user hasn't seen in the training data, since
these are what users get: `test_precision_at_10_unseen` and `test_auc_unseen` of the manifest, not the
ones among all items, which are mostly lower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from trainer.errors import OptionError, TrainerError

DEFAULT_RECALL = 0.8
"""The least recall@10 where nothing is asked for, unless indexes were tuned for less."""

DEFAULT_AUC = 0.45
"""The least AUC where nothing is asked for and enough users are evaluated: 0.5 is chance."""

DEFAULT_LOSS = 0.5
"""The largest relative loss of precision@10 where nothing is asked for."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Thresholds, each None when it isn't asked for. All are shares.

    Attributes:
        min_precision_at_10: of the test interactions, unseen items only, in 0..1.
        min_auc: the same.
        min_recall: recall@10 of both indexes, as the manifest's `indexes.*.recall_at_10`, in 0..1.
        min_coverage: share of items that are among the top ten of at least one of up to
            measurement.SAMPLED_USERS users, in 0..1. So many users can't name more than ten times as
            many items: a catalogue of 100,000 reaches 0.1 at most.
        max_relative_loss: how much lower than that of the version that the label names now
            precision@10 may be, as a share of that, from 0 to below 1: 0.05 for at most 5 % less.
        min_users_kept, min_items_kept: share of the users and items of that version that are still
            there, in 0..1; see trainer.promotion.continuity.
        min_pairs_kept: share of what users in common had seen that they still have, beyond what chance
            would leave, in 0..1.
        allow_different_data: whether the new version may have little in common with that one.
        allow_unevaluated: whether a label may be moved to a version of which no user was evaluated.
    """

    min_precision_at_10: float | None = None
    min_auc: float | None = None
    min_recall: float | None = None
    min_coverage: float | None = None
    max_relative_loss: float | None = None
    min_users_kept: float | None = None
    min_items_kept: float | None = None
    min_pairs_kept: float | None = None
    allow_different_data: bool = False
    allow_unevaluated: bool = False

    def __post_init__(self) -> None:
        """Raise OptionError for a threshold out of range."""
        for name in (own.name for own in fields(self)):
            value = getattr(self, name)
            # Not `value < 0`, which NaN passes.
            if value is None or 0 <= value < 1:
                continue
            if name == "max_relative_loss":
                raise OptionError("--max-relative-loss", value, "from 0 to below 1")
            if value != 1:
                raise OptionError(f"--{name.replace('_', '-')}", value, "in 0..1")


@dataclass(frozen=True)
class GateResult:
    """How a version did at one gate.

    Attributes:
        name: the field of Gates, or what was compared.
        passed: whether the version passes it.
        measured: what it was held against, None when unknown; of max_relative_loss the loss, which is
            negative when the new version is better.
        required: the threshold.
        text: a sentence that says what was measured, and of a failure by how much or why.
    """

    name: str
    passed: bool
    measured: float | None
    required: float
    text: str


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


class DiscontinuityError(TrainerError):
    """An input that keeps too little of the version that a label names; `failed` says of what.

    `warnings` are those of the input, which may name the cause.
    """

    def __init__(
        self,
        label: str,
        version: str,
        failed: Sequence[GateResult],
        *,
        wanted: str | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        names = f"label {label!r} names"
        if wanted not in (None, label):
            names += f" and label {wanted!r} is held against"
        todo = "mend the input; for another catalogue, use another volume or --allow-different-data"
        lines = [
            f"nothing was published: too little is kept of version {version}, which {names}",
            *(own.text for own in failed),
            *(f"odd about the input: {warning}" for warning in warnings),
            todo,
        ]
        super().__init__("\n  ".join(lines))
        self.label = label
        self.version = version
        self.failed = list(failed)
