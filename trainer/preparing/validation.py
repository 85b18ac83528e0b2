"""Hold out validation interactions of the training interactions, to choose a model by."""

from __future__ import annotations

from dataclasses import replace

from trainer.data.features import FeatureTable
from trainer.data.interactions import Interactions
from trainer.preparing.dataset import Dataset, build_dataset, held_out
from trainer.preparing.splits import Split, Splitting

_BY_TIME = ("time", "leave-last-k")


def validation_split(test: Split) -> Split:
    """Return the split of the validation for a split of the test: by time if that is, else random."""
    return test if test in _BY_TIME else "random"


def build_validation(
    interactions: Interactions,
    *,
    items: FeatureTable,
    users: FeatureTable,
    splitting: Splitting,
    validation: Split | None = None,
) -> Dataset:
    """Build a dataset of the training interactions, whose test interactions serve for validation.

    Args:
        interactions, items, users: as for build_dataset.
        splitting: how the test interactions are held out; its count and share also hold here.
        validation: how to hold out validation interactions; None for `validation_split`.

    Raises:
        TrainerError: nothing is left to train on.
    """
    chosen = validation or validation_split(splitting.split)
    return build_dataset(
        interactions.where(~held_out(interactions, splitting)),
        items=items,
        users=users,
        splitting=replace(splitting, split=chosen),
    )
