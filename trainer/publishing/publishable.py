"""What a publication is made of, whatever model it is of."""

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


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is known of a publication before there is a model; rows are the id maps'.

    Attributes:
        items, users: external id <-> row.
        seen: for each user the rows of the items that aren't recommended again, ascending.
        held_out: for each user the rows of the test items, ascending; None when there are none.
        titles: for each item its title, or None.
        facts: about the data.
        attributes: of the items, by row.
    """

    items: ItemIds
    users: UserIds
    seen: Ragged
    held_out: Ragged | None = None
    titles: Sequence[str] | None = None
    facts: DatasetFacts
    attributes: Sequence[Column] = ()


@dataclass(frozen=True, kw_only=True)
class Publishable(Described, Trained):
    """A model, whose rows are the id maps', and what it is of.

    Attributes:
        popularity: (items,) the number of users with a positive of each; None for that of `seen`.
    """

    popularity: NDArray[np.int32] | None = None
