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
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError, TrainerError

DEFAULT_RECALL = 0.8
"""The least recall@10 where nothing is asked for, unless indexes were tuned for less."""

DEFAULT_AUC = 0.45
"""The least AUC where nothing is asked for and enough users are evaluated: 0.5 is chance."""

DEFAULT_LOSS = 0.5
"""The largest relative loss of precision@10 where nothing is asked for."""

_gate = partial(Option, ge=0, le=1, group="gates", metavar="SHARE")
_kept = partial(Option, ge=0, le=1, group="continuity", metavar="SHARE")
MAX_SHRINKAGE = _kept(
    "largest share of interactions, and of their weight, that may be lost (default: 0.5)"
)


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Thresholds, each None when it isn't asked for. All are shares.

    Attributes:
        min_recall: of both, as the manifest's `indexes.*.recall_at_10`.
        min_coverage: of the top ten of up to measurement.SAMPLED_USERS users. So many users can't name
            more than ten times as many items: a catalogue of 100,000 reaches 0.1 at most.
        max_relative_loss: 0.05 for at most 5 % less.
        min_users_kept, min_items_kept, min_pairs_kept: see trainer.promotion.continuity; of pairs those
            beyond what chance would leave.
    """

    min_precision_at_10: Annotated[
        float | None, _gate("lowest precision@10 on the test interactions, seen items excluded")
    ] = None
    min_auc: Annotated[
        float | None,
        _gate(
            "lowest AUC on the test interactions, seen items excluded (default: 0.45, of 100 "
            "users or more)"
        ),
    ] = None
    min_recall: Annotated[
        float | None,
        _gate("lowest recall@10 of both indexes (default: 0.8, or the target if that is lower)"),
    ] = None
    min_coverage: Annotated[
        float | None, _gate("lowest share of items that are in the top ten of any user")
    ] = None
    max_relative_loss: Annotated[
        float | None,
        _gate(
            "share of the label's version's precision@10 that may be lost",
            le=None,
            lt=1,
        ),
    ] = None
    min_users_kept: Annotated[
        float | None,
        _kept("lowest share of that version's users that the input still has (default: 0.5)"),
    ] = None
    min_items_kept: Annotated[
        float | None,
        _kept("lowest share of that version's items that the input still has (default: 0.5)"),
    ] = None
    min_pairs_kept: Annotated[
        float | None,
        _kept(
            "lowest share of users' seen items that they still have (default: 0.2; with --last-days 0)"
        ),
    ] = None
    allow_different_data: Annotated[
        bool, Option("publish and move the label, however little is kept", group="continuity")
    ] = False
    allow_unevaluated: Annotated[
        bool, Option("move the label even if hardly any user was evaluated", group="gates")
    ] = False

    def __post_init__(self) -> None:
        """Raise OptionError for a threshold out of range."""
        options.check(self, OptionError)


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
        precision_at_10, auc: of the test interactions among unseen items: what users get.
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
        wanted: str | None,
        warnings: Sequence[str],
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
        self.failed = list(failed)
