"""The thresholds and results of gates. `measurement` measures a version, and `judging` decides.

Some gates always hold, since a version that fails them would harm users. Enough users must be
evaluated, the indexes must reach a recall, and recommendations for known users mustn't get much worse.
trainer.promotion.continuity compares new input with the previous version.

precision@10 and AUC exclude the items that the user has seen in the training data, as recommendations
do. They are `test_precision_at_10_unseen` and `test_auc_unseen` of the manifest. The metrics over all
items are mostly lower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
from trainer.errors import OptionError, TrainerError

DEFAULT_RECALL = 0.8
"""The default of the least recall@10; the target is used if the indexes were tuned for less."""

DEFAULT_AUC = 0.45
"""The default of the least AUC if enough users are evaluated. Chance gives 0.5."""

DEFAULT_LOSS = 0.5
"""The default of the largest relative loss of precision@10."""

SIMPLE_MODELS = ("popular", "item-knn", "ease")
"""The simple models that each version is compared with; see trainer.evaluation.simple_models."""


_gate = partial(Option, ge=0, le=1, group="gates", metavar="SHARE")
_kept = partial(Option, ge=0, le=1, group="continuity", metavar="SHARE")
MAX_SHRINKAGE = _kept(
    "largest share of interactions, and of their weight, that may be lost (default: 0.5)"
)


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The thresholds of the gates: shares in [0, 1]; None for the default.

    Attributes:
        min_recall: of both indexes, for the way of asking with the lowest recall@10 in the manifest.
        min_coverage: share of the catalogue in the top ten of a sample, see
            measurement.SAMPLED_USERS. The sample has at most ten items a user, so a catalogue of
            100,000 reaches 0.1 at most.
        max_relative_loss: 0.05 allows at most 5 % less.
        min_users_kept, min_items_kept, min_pairs_kept: see trainer.promotion.continuity. Pairs are
            corrected for chance.
    """

    min_precision_at_10: Annotated[
        float | None, _gate("lowest precision@10 on the test interactions, seen items excluded")
    ] = None
    min_ndcg_at_10: Annotated[
        float | None, _gate("lowest NDCG@10 on the test interactions, seen items excluded")
    ] = None
    min_metric: Annotated[
        dict[str, float],
        Option(
            "lowest values of any metrics of the manifest, such as test_recall_at_20_unseen=0.1",
            group="gates",
            metavar="NAME=VALUE,...",
            read=partial(options.numbers, example="popular=1.5"),
        ),
    ] = field(default_factory=dict)
    min_auc: Annotated[
        float | None,
        _gate(
            "lowest AUC on the test interactions, seen items excluded (default: 0.45, of 100 "
            "users or more)"
        ),
    ] = None
    min_recall: Annotated[
        float | None,
        _gate(
            "lowest recall@10 of both indexes, for each kind of question (default: 0.8, or the target "
            "if that is lower)"
        ),
    ] = None
    min_coverage: Annotated[
        float | None, _gate("lowest share of items that are in the top ten of any user")
    ] = None
    min_lift_over: Annotated[
        dict[str, float],
        Option(
            "lowest NDCG@10 relative to a simple model's, such as popular=1.5; of "
            f"{', '.join(SIMPLE_MODELS)}",
            group="gates",
            metavar="MODEL=RATIO,...",
            read=partial(options.numbers, example="popular=1.5"),
        ),
    ] = field(default_factory=dict)
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
        for name, ratio in self.min_lift_over.items():
            if name not in SIMPLE_MODELS:
                raise OptionError("--min-lift-over", name, f"one of {', '.join(SIMPLE_MODELS)}")
            if not 0 < ratio < math.inf:
                raise OptionError("--min-lift-over", f"{name}={ratio}", "a ratio above 0")
        for name, value in self.min_metric.items():
            if not math.isfinite(value):
                raise OptionError("--min-metric", f"{name}={value}", "a finite number")


@dataclass(frozen=True)
class GateResult:
    """The result of one gate.

    Attributes:
        name: the field of Gates, or the name of the comparison.
        passed: whether the version passes.
        measured: the measured value; None if unknown. For max_relative_loss it is the loss, which is
            negative if the new version is better.
        required: the threshold.
        text: a sentence with the measured value and, if the gate failed, the reason.
    """

    name: str
    passed: bool
    measured: float | None
    required: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The comparison of the version that the label names with the new one, on the new test users.

    Attributes:
        version: the version that the label names; "" if it can't be read.
        precision_at_10: precision@10 of that version; None if it can't be compared.
        candidate_precision_at_10: precision@10 of the new version, for the same users and by the same
            code. It may differ a little from the manifest, where LightFM evaluated the version, and
            more if that evaluation drew other users.
        trained_on: the share of the held-out positives that the label's version was trained on. They
            make its precision too high.
        common: the comparison over the users that both versions know; None if there are none.
        problem: why the versions can't be compared; "" if they can.
    """

    version: str
    precision_at_10: float | None = None
    candidate_precision_at_10: float | None = None
    trained_on: float = 0.0
    common: Common | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Common:
    """Two versions on the test users that both know, on positives that neither was trained on.

    Attributes:
        users: the number of evaluated users.
        in_common: how many of them both versions know.
        known: how many of those have a positive that neither version was trained on.
        before, after: precision@10 for the `known` users by the previous and by the new version.
        error: the standard error of the mean difference `before` - `after` over these users.
    """

    users: int
    in_common: int
    known: int
    before: float = 0.0
    after: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The measured values that the gates judge. None and NaN mean unknown.

    Attributes:
        metrics: all metrics of the manifest.
        evaluation: of the manifest; None if nothing was held out, or for an older version.
        precision_at_10, auc: on the test interactions, without seen items.
        trained_precision_at_10, popular_precision_at_10: for the same users by their own vectors and by
            the most popular items; see trainer.evaluation.of_cold_users.
        evaluated_users: the number of users with test interactions.
        users: the number of users of the version.
        recall_at_10: by name of the index, the lowest of all kinds of question.
        worst_question: by name of the index, the kind of question with that recall; missing if it is
            the usual one.
        is_exact: whether the version has no index, since all its answers are exact.
        target_recall: the recall that the indexes were tuned for.
        coverage: see Gates.
        baseline: None if the label named no version.
        family: the model's own family; "" if unknown.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluation: EvaluationFacts | None = None
    precision_at_10: float | None = None
    auc: float | None = None
    trained_precision_at_10: float | None = None
    popular_precision_at_10: float | None = None
    evaluated_users: int = 0
    users: int = 0
    recall_at_10: Mapping[str, float] = field(default_factory=dict)
    worst_question: Mapping[str, str] = field(default_factory=dict)
    is_exact: bool = False
    target_recall: float | None = None
    coverage: float | None = None
    baseline: Baseline | None = None
    family: str = ""


class DiscontinuityError(TrainerError):
    """The input keeps too little of the version that a label names.

    `failed` has the failed comparisons. The message also shows the `warnings` of the input, since they
    may name the cause.
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
            names += f" and label {wanted!r} is compared with"
        todo = "fix the input; for another catalogue, use another volume or --allow-different-data"
        lines = [
            f"nothing was published: the input keeps too little of version {version}, which {names}",
            *(own.text for own in failed),
            *(f"warning about the input: {warning}" for warning in warnings),
            todo,
        ]
        super().__init__("\n  ".join(lines))
        self.failed = list(failed)
