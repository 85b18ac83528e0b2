"""Fit one candidate, and value it on the validation interactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.manifest import Scalar, TrialFacts
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.errors import TrainerError
from trainer.evaluation import measures
from trainer.evaluation.held_out_test import rows_of
from trainer.fitting.folding import folded_users, servable_fold_in
from trainer.fitting.scores import UserScores, VectorScores, top
from trainer.index.exact import sample
from trainer.models.given import COMMON, UsersBy
from trainer.models.protocol import EnoughError, Family, Fitted, Fitting
from trainer.preparing.dataset import Dataset

K = 10
MAX_USERS = 3000
"""The most users of a validation: a standard error of about 0.005."""

# A fit with epochs is validated this many times, and ends after so many without a better value.
_VALIDATIONS = 10
_PATIENCE = 2


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The validation interactions.

    Attributes:
        dataset: the training interactions without them; they are its test interactions.
        users: the rows of the evaluated users.
        positives: the validation positives of each of these users.
        seen, profiles: of all users, see Dataset.
    """

    dataset: Dataset
    users: NDArray[np.int64]
    positives: Ragged
    seen: Ragged
    profiles: Ragged

    @classmethod
    def of(cls, dataset: Dataset, *, seed: int) -> Validation:
        """Choose the users.

        Raises:
            TrainerError: no user has a positive validation interaction.
        """
        held_out = dataset.held_out()
        if held_out is None:
            raise TrainerError(
                f"{dataset.name}: no user has a positive interaction for validation, so no model can "
                "be chosen: name one with --model, or give more interactions"
            )
        users = np.flatnonzero(np.diff(held_out.offsets))
        users = users[sample(len(users), MAX_USERS, seed=seed)]
        return cls(
            dataset=dataset,
            users=users,
            positives=rows_of(held_out, users),
            seen=dataset.seen(),
            profiles=dataset.profiles(),
        )

    def ndcg(self, scores: UserScores) -> float:
        """Return the mean NDCG@10 of the users, without seen items; see evaluation.measures."""
        found = top(scores, self.users, self.seen, K)
        return float(measures.of_top(found, self.positives, scores.items)["ndcg"].mean())


@dataclass(frozen=True, kw_only=True)
class Trying:
    """How to try a candidate.

    Attributes:
        users_by: how users are represented.
        ends_early: whether a fit with epochs ends when it no longer improves, and keeps the best number
            of epochs.
        clock: seconds.
    """

    users_by: UsersBy = "auto"
    ends_early: bool = True
    clock: Callable[[], float] = time.monotonic


def try_out(
    family: Family,
    settings: object,
    validation: Validation,
    fitting: Fitting,
    how: Trying,
) -> TrialFacts:
    """Fit and validate a candidate. An error that the data or the settings cause makes it a failed one.

    See Trying for the options.
    """
    clock = how.clock
    started = clock()
    total = family.epochs(settings)
    values: dict[int, float] = {}

    def after_epoch(epoch: int, scores: Callable[[], UserScores]) -> None:
        step = max(1, total // _VALIDATIONS)
        if total == 1 or not how.ends_early or (epoch % step and epoch != total):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            values[epoch] = validation.ndcg(scores())
        best = max(values, key=lambda one: values[one])
        if epoch - best >= _PATIENCE * step:
            raise EnoughError

    told = shown(settings)
    try:
        fitted = family.fit(validation.dataset, settings, replace(fitting, after_epoch=after_epoch))
        found = _values(fitted, validation, fitting.seed, how.users_by)
    except (TrainerError, VectorError) as error:
        seconds = round(clock() - started, 3)
        return TrialFacts(
            model=family.name, settings=told, state="failed", seconds=seconds, reason=str(error)
        )
    trained, folded = found
    # The fold-in was learned after the last epoch.
    better = folded is not None and folded > max([trained, *values.values()])
    is_folded = folded is not None and (better or how.users_by == "fold-in")
    if values:
        best = max(values, key=lambda one: values[one])
        told["epochs"] = max(values) if is_folded else best
        trained = max(trained, values[best])
    return TrialFacts(
        model=family.name,
        settings=told,
        state="complete",
        ndcg_at_10=folded if is_folded else trained,
        folded_in=is_folded,
        trained_ndcg_at_10=None if fitted.embeddings is None else trained,
        folded_ndcg_at_10=folded,
        seconds=round(clock() - started, 3),
    )


def shown(settings: object) -> dict[str, Scalar]:
    """Return settings by name, without those that all families have."""
    names = [own.name for own in fields(settings) if own.name not in COMMON]  # type: ignore[arg-type]
    return {name: getattr(settings, name) for name in names}


def _values(
    fitted: Fitted, validation: Validation, seed: int, users_by: UsersBy
) -> tuple[float, float | None]:
    """Return NDCG@10 by the model's own scores, and by fold-in; None without vectors."""
    # A diverging model may have scores beyond float32. They rank badly, but aren't an error.
    with np.errstate(over="ignore", invalid="ignore"):
        trained = validation.ndcg(fitted.scores)
        made = fitted.embeddings
        if made is None or users_by == "trained":
            return trained, None
        fold_in = servable_fold_in(made, validation.profiles, seed=seed)
        if fold_in is None:
            return trained, None
        users = folded_users(fold_in, made, validation.profiles)
        return trained, validation.ndcg(VectorScores(made.item_vectors, users))
