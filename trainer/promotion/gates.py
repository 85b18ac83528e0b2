"""What a version has to pass before a label is moved to it. Pure: `measurement` measures.

Some gates hold where nothing is asked for, since what fails them would ruin what is served: somebody
was evaluated, the indexes find most of what they should, and users whom the version before knows get
nothing much worse. What a new input keeps of that version is trainer.promotion.continuity's.

precision@10 and AUC are those among the items that a user hasn't seen in the training data, since
these are what users get: `test_precision_at_10_unseen` and `test_auc_unseen` of the manifest, not the
ones among all items, which are mostly lower.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from trainer.errors import OptionError

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
