"""Evaluate any model on given interactions, by the trainer's measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lightfm_workbench.data import Data, read
from lightfm_workbench.frame import Frame
from lightfm_workbench.recommender import Recommender
from trainer.errors import TrainerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
    from lightfm_retriever.publication.reader import Publication
    from lightfm_retriever.publication.storage.ragged import Ragged
    from trainer.evaluation.held_out_test import HeldOutTest


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation.

    Attributes:
        metrics: by name, as in the manifest of a version.
        facts: the test, its fingerprint, the standard errors and the segments.
        warnings: the interactions that don't count, one sentence each.
    """

    metrics: dict[str, float]
    facts: EvaluationFacts
    warnings: Sequence[str] = field(default_factory=list)

    def frame(self) -> Frame:
        """Return a row for each metric: metric, value and standard_error."""
        import pyarrow as pa

        types = {"metric": pa.string(), "value": pa.float64(), "standard_error": pa.float64()}
        errors = self.facts.errors
        rows = [
            {"metric": name, "value": value, "standard_error": errors.get(name)}
            for name, value in self.metrics.items()
        ]
        return Frame.of_rows(rows, types)


def evaluate(model: Recommender, test: Data | Any = None, *, seed: int = 42) -> EvaluationResult:
    """Evaluate a model on interactions, by exact scores and without the items that a user has seen.

    Args:
        model: a fitted model or a version.
        test: what `read` returns or takes as interactions; None for those that the model's own split
            held out. Weights of 0 or less are no positives. Users and items that the model doesn't
            know don't count, nor do pairs that it was trained on; `warnings` says how many.
        seed: draws the evaluated users if there are more than 10,000.

    Raises:
        TrainerError: no interaction is left for a test.
        InputError: the frame is wrong; names the column and the row.
    """
    from trainer.evaluation.evaluation import evaluate as evaluate_scores
    from trainer.evaluation.of_dataset import facts_of
    from trainer.evaluation.of_versions import scores_of_version

    publication = model.publication
    held_out, warnings = held_out_of(publication, test)
    own = test_of(publication, held_out)
    found = evaluate_scores(scores_of_version(publication), own, seed=seed)
    facts = facts_of(found, own, publication.items, publication.users)
    return EvaluationResult(found.metrics(), facts, warnings)


def held_out_of(publication: Publication, test: Any) -> tuple[Ragged, list[str]]:
    """Return for each user the rows of test positives, and warnings; raises TrainerError for none."""
    from lightfm_retriever.publication.storage import ragged

    if test is None:
        if publication.held_out is None:
            raise TrainerError("the model's split held nothing out: give interactions as `test`")
        return publication.held_out, []
    users, items, warnings = pairs_of(test)
    rows = publication.users.rows(users), publication.items.rows(items)
    known = (rows[0] >= 0) & (rows[1] >= 0)
    warnings += told(int((~known).sum()), len(known), "are of users or items that the model lacks")
    owners, values = (own[known] for own in rows)
    is_seen = are_seen(publication, owners, values)
    warnings += told(int(is_seen.sum()), len(known), "are pairs that the model was trained on")
    owners, values = owners[~is_seen], values[~is_seen]
    if not len(owners):
        text = "; ".join(warnings) or "no interaction has a weight above 0"
        raise TrainerError(f"nothing is left to evaluate on: {text}")
    return ragged.of_pairs(owners, values.astype(np.int32), len(publication.users)), warnings


def pairs_of(test: Any) -> tuple[list[str], list[str], list[str]]:
    """Return the user and item ids of the positives of a test, each pair once, and warnings."""
    data = test if isinstance(test, Data) else read(test, name="test")
    own = data.source.interactions
    positive = own.weights > 0
    pairs = np.unique(np.stack([own.users[positive], own.items[positive]], axis=1), axis=0)
    users, items = pairs.T.tolist() if len(pairs) else ([], [])
    return (
        [own.user_ids[row] for row in users],
        [own.item_ids[row] for row in items],
        [*data.warnings],
    )


def told(count: int, total: int, what: str) -> list[str]:
    """Return a sentence about test interactions that don't count; nothing for none."""
    return [f"{count:,} of {total:,} test interactions {what}"] if count else []


def are_seen(
    publication: Publication, owners: NDArray[np.int64], values: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return for each pair of a user's row and an item's row whether the model was trained on it."""
    count = len(publication.items)
    seen = publication.seen
    trained = seen.owners * np.int64(count) + seen.values
    return np.isin(owners * np.int64(count) + values, trained)


def test_of(publication: Publication, held_out: Ragged) -> HeldOutTest:
    """Return the test of a model with given positives."""
    from trainer.evaluation.held_out_test import HeldOutTest
    from trainer.evaluation.segments import usual
    from trainer.preparing.dataset import id_ranks, seen_popularity

    popularity, ranks = publication.popularity, publication.id_ranks
    if popularity is None:
        popularity = seen_popularity(publication.seen, len(publication.items))
    return HeldOutTest(
        seen=publication.seen,
        held_out=held_out,
        popularity=popularity,
        ties=id_ranks(publication.items) if ranks is None else ranks,
        segments=usual(publication.seen, popularity),
    )
