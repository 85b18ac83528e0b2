"""Choose LightFM's hyperparameters from the size of the data.

The rule is that of the study in docs/explanation/choosing-a-model.md, over public data sets:

    item_alpha = 10 / items, user_alpha = 0.05 / users

LightFM shrinks all vectors of a side at each step, lazily. Between two steps of one item there are about
as many others as there are items. So an `item_alpha` of c / items is the same penalty in any catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The size of the data to learn from.

    Attributes:
        users, items: with at least one interaction.
        interactions: distinct pairs of a user and an item.
    """

    users: int
    items: int
    interactions: int

    @property
    def per_user(self) -> float:
        """The mean number of items of a user."""
        return self.interactions / max(1, self.users)

    @property
    def per_item(self) -> float:
        """The mean number of users of an item."""
        return self.interactions / max(1, self.items)
