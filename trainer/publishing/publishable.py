"""Define the content of a publication, for any model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.attributes import Column
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.storage.id_map import ItemIds, UserIds
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.fitting.embeddings import Trained
from trainer.preparing.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Described:
    """The content of a publication before there is a model; rows are those of the id maps.

    Attributes:
        items, users: external id <-> row.
        seen: for each user the ascending rows of the items that aren't recommended again.
        held_out: for each user the ascending rows of the test items; None without test interactions.
        titles: the title of each item; None if there are no titles.
        facts: about the data.
        attributes: of the items, by row.
        item_feature_names, user_feature_names: the features that the model may learn from.
    """

    items: ItemIds
    users: UserIds
    seen: Ragged
    held_out: Ragged | None = None
    titles: Sequence[str] | None = None
    facts: DatasetFacts
    attributes: Sequence[Column] = ()
    item_feature_names: Sequence[str] = ()
    user_feature_names: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Publishable(Described, Trained):
    """A model with the content that it was made from; rows are those of the id maps.

    Attributes:
        popularity: (items,) int32, the number of users with a positive; None to count `seen`.
    """

    popularity: NDArray[np.int32] | None = None


def publishable(dataset: Dataset, trained: Trained) -> Publishable:
    """Join a model and the content that it was made from."""
    content = vars(described(dataset)) | vars(trained)
    return Publishable(**content, popularity=dataset.popularity())


def described(dataset: Dataset) -> Described:
    """Describe a dataset for its publication."""
    held_out = dataset.held_out()
    return Described(
        items=dataset.items,
        users=dataset.users,
        seen=dataset.seen(),
        held_out=held_out,
        titles=dataset.titles,
        facts=DatasetFacts(
            name=dataset.name,
            split=dataset.split,
            train_interactions=int(dataset.train.nnz),
            test_interactions=0 if held_out is None else len(held_out.values),
            item_features=dataset.item_columns,
            user_features=dataset.user_columns,
            weight=dataset.weight(),
        ),
        attributes=dataset.attributes,
        item_feature_names=dataset.item_feature_names,
        user_feature_names=dataset.user_feature_names,
    )
