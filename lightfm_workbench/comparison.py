"""Compare two models on the same test users, with confidence intervals of the differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lightfm_workbench import evaluation
from lightfm_workbench.frame import Frame
from lightfm_workbench.recommender import Recommender
from trainer.errors import TrainerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lightfm_retriever.publication.reader import Publication
    from trainer.evaluation.evaluation import Evaluation

_SHOWN = "_at_10_unseen"


@dataclass(frozen=True)
class MetricDifference:
    """A metric of two models for the same users.

    Attributes:
        metric: its name.
        before, after: the means of the first and of the second model.
        difference: after less before.
        low, high: the 95 % confidence interval of the difference, from the differences of each user.
        users: the number of users for whom both have the metric.
    """

    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    users: int

    @property
    def is_certain(self) -> bool:
        """Return whether the interval leaves out 0, so that chance hardly explains the difference."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """The differences of two models.

    Attributes:
        differences: one for each metric that is a mean over users.
        users: the number of compared users.
        warnings: the interactions that don't count, one sentence each.
    """

    differences: Sequence[MetricDifference]
    users: int
    warnings: Sequence[str] = field(default_factory=list)

    def __getitem__(self, metric: str) -> MetricDifference:
        """Return the difference of one metric. Raises KeyError, which names all, for another name."""
        found = {own.metric: own for own in self.differences}
        if metric not in found:
            raise KeyError(f"{metric!r} isn't a metric; the metrics are {', '.join(found)}")
        return found[metric]

    def frame(self, *, all: bool = False) -> Frame:  # noqa: A002 - the usual word
        """Return a row for each metric: the fields of MetricDifference, and is_certain.

        These are the metrics at 10 without seen items; with `all` also those at other lengths.
        """
        import pyarrow as pa

        numbers = ("before", "after", "difference", "low", "high")
        types = {"metric": pa.string(), **dict.fromkeys(numbers, pa.float64())}
        types |= {"users": pa.int64(), "is_certain": pa.bool_()}
        rows = [
            {**vars(own), "is_certain": own.is_certain}
            for own in self.differences
            if all or own.metric.endswith(_SHOWN)
        ]
        return Frame.of_rows(rows, types)

    def __repr__(self) -> str:
        """Show the differences as a table."""
        return f"{self.users:,} users\n{self.frame()!r}"


def compare(before: Recommender, after: Recommender, test: Any = None, *, seed: int = 42) -> Comparison:
    """Compare two models on the same users and the same positives.

    Each ranks the items that it knows by exact scores, without those that the user has seen in its own
    training. The interval is of the mean of the users' differences, which is narrower than the
    intervals of both means, since easy and hard users are the same ones.

    Args:
        before, after: fitted models or versions.
        test: what `read` returns or takes as interactions. Only pairs count whose user and item both
            models know, and that neither was trained on; `warnings` says how many don't. None for the
            held-out interactions of both, which must be equal.
        seed: draws the users if there are more than 10,000.

    Raises:
        TrainerError: the models were tested on different interactions, or nothing is left for a test.
        InputError: the frame is wrong; names the column and the row.
    """
    both = before.publication, after.publication
    from trainer.evaluation.held_out_test import MAX_USERS

    users, items, warnings = _pairs(both, test)
    names = np.unique(users)
    if len(names) > MAX_USERS:
        drawn = np.random.default_rng(seed).choice(names, MAX_USERS, replace=False)
        chosen = np.isin(users, drawn)
        users, items, names = users[chosen], items[chosen], np.sort(drawn)
    found = [_evaluated(own, users, items, seed) for own in both]
    # The users of each in the order of their names.
    orders = []
    for own, publication in zip(found, both, strict=True):
        rows = publication.users.rows(names.tolist())
        orders.append(np.searchsorted(own.users, rows))
    return Comparison([*_differences(found, orders)], len(names), warnings)


def _pairs(
    both: tuple[Publication, Publication], test: Any
) -> tuple[NDArray[np.str_], NDArray[np.str_], list[str]]:
    """Return the user and the item of each common positive, and warnings. Raises TrainerError."""
    if test is None:
        own, other = (_held_out(publication) for publication in both)
        if own != other:
            raise TrainerError(
                f"the models were tested on different interactions ({len(own):,} and {len(other):,}, "
                f"{len(own & other):,} of them the same), so their metrics can't be compared: give the "
                "same interactions to both as `test`"
            )
        users, items = zip(*sorted(own), strict=True)
        return np.array(users), np.array(items), []
    user_ids, item_ids, warnings = evaluation.pairs_of(test)
    known = np.ones(len(user_ids), dtype=bool)
    seen = np.zeros(len(user_ids), dtype=bool)
    for publication in both:
        rows, columns = publication.users.rows(user_ids), publication.items.rows(item_ids)
        known &= (rows >= 0) & (columns >= 0)
        seen |= evaluation.are_seen(publication, rows, columns)
    warnings += evaluation.told(
        int((~known).sum()), len(known), "are of users or items that not both models know"
    )
    trained = int((known & seen).sum())
    warnings += evaluation.told(trained, len(known), "are pairs that a model was trained on")
    kept = known & ~seen
    if not kept.any():
        raise TrainerError(f"nothing is left to compare on: {'; '.join(warnings) or 'no positives'}")
    return np.array(user_ids)[kept], np.array(item_ids)[kept], warnings


def _held_out(publication: Publication) -> set[tuple[str, str]]:
    held_out, _ = evaluation.held_out_of(publication, None)
    pairs = zip(held_out.owners.tolist(), held_out.values.tolist(), strict=True)
    user, item = publication.users.external_id, publication.items.external_id
    return {(user(row), item(column)) for row, column in pairs}


def _evaluated(
    publication: Publication, users: NDArray[np.str_], items: NDArray[np.str_], seed: int
) -> Evaluation:
    from lightfm_retriever.publication.storage import ragged
    from trainer.evaluation.evaluation import evaluate
    from trainer.evaluation.of_versions import scores_of_version

    rows, columns = publication.users.rows(users.tolist()), publication.items.rows(items.tolist())
    held_out = ragged.of_pairs(rows, columns.astype(np.int32), len(publication.users))
    test = evaluation.test_of(publication, held_out)
    return evaluate(scores_of_version(publication), test, seed=seed)


def _differences(
    found: Sequence[Evaluation], orders: Sequence[NDArray[np.int64]]
) -> Iterator[MetricDifference]:
    from trainer.evaluation.confidence import mean_interval

    before, after = (own.values for own in found)
    for metric in before:
        if metric not in after:
            continue
        one, other = before[metric][orders[0]], after[metric][orders[1]]
        both = ~(np.isnan(one) | np.isnan(other))
        if not both.any():
            continue
        interval = mean_interval(other[both] - one[both])
        yield MetricDifference(
            metric=metric,
            before=float(one[both].mean()),
            after=float(other[both].mean()),
            difference=interval.mean,
            low=interval.low,
            high=interval.high,
            users=int(both.sum()),
        )
