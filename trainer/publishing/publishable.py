"""What a publication is made of, whatever model it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.attributes import Column
from lightfm_retriever.publication.manifest import DatasetFacts, Scalar
from lightfm_retriever.publication.storage.id_map import ItemIds, UserIds
from lightfm_retriever.publication.storage.ragged import Ragged
from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
from trainer.fitting.warm_start import ModelState


@dataclass(frozen=True)
class Publishable:
    """What a publication is made of; rows are the id maps'.

    Attributes:
        items, users: external id <-> row.
        embeddings: of items and users.
        seen: for each user the rows of the items that aren't recommended again, ascending.
        held_out: for each user the rows of the test items, ascending; None when there are none.
        titles: for each item its title, or None.
        facts: about the data.
        hyperparameters, metrics: of the model, by name.
        libraries: the packages whose versions made the embeddings.
        state: what a later training can go on from; None when there is none.
        popularity: (items,) the number of users with a positive of each; None for that of `seen`.
        user_features: what was learned of each; None when there are none.
        attributes: of the items, by row.
    """

    items: ItemIds
    users: UserIds
    embeddings: Embeddings
    seen: Ragged
    held_out: Ragged | None
    titles: Sequence[str] | None
    facts: DatasetFacts
    hyperparameters: dict[str, Scalar]
    metrics: dict[str, float]
    libraries: Sequence[str] = ()
    state: ModelState | None = None
    popularity: NDArray[np.int32] | None = None
    user_features: UserFeatureVectors | None = None
    attributes: Sequence[Column] = ()
