"""Choose LightFM's hyperparameters from the size of the data.

The rule is that of the study in docs/explanation/choosing-a-model.md, over public data sets:

- A learning rate of 0.02 for 60 epochs. With higher rates, the vectors learn the training data by
  heart.
- Penalties on both sides, of 1 / items and 0.3 / users. LightFM shrinks all vectors of a side at each
  step. Between two steps of one item there are about as many others as there are items. So c / items is
  the same penalty in a catalogue of any size.
- Fewer epochs where users have hardly any history, since their vectors only learn those items by heart.
  Fewer, too, where there are many interactions: each epoch teaches more, and takes longer.
"""

from __future__ import annotations

from dataclasses import dataclass

_ITEM_STRENGTH = 1.0
_USER_STRENGTH = 0.3
# A penalty of a tiny set: the vectors must be able to learn.
_MOST_ALPHA = 0.01
_EPOCHS = 60
_FEWEST_EPOCHS = 10
# Users with fewer items on average have hardly any history.
_SHORT_HISTORY = 3
# About the number of interactions, times epochs, that a core takes two minutes for.
_MOST_STEPS = 20_000_000


@dataclass(frozen=True, kw_only=True)
class DefaultSettings:
    """Settings of LightFM with WARP, under LightFM's names."""

    components: int = 64
    learning_rate: float = 0.02
    item_alpha: float
    user_alpha: float
    epochs: int


def default_settings(*, users: int, items: int, interactions: int) -> DefaultSettings:
    """Return the settings for data of this size. Any size has some, even an empty one.

    Args:
        users, items: those with at least one interaction.
        interactions: distinct pairs of a user and an item.
    """
    return DefaultSettings(
        item_alpha=_alpha(_ITEM_STRENGTH, items),
        user_alpha=_alpha(_USER_STRENGTH, users),
        epochs=_epochs(users, interactions),
    )


def _alpha(strength: float, rows: int) -> float:
    """Return an L2 penalty of two digits, so that it can be read and typed."""
    return float(f"{min(_MOST_ALPHA, strength / max(1, rows)):.1e}")


def _epochs(users: int, interactions: int) -> int:
    if interactions < _SHORT_HISTORY * users:
        return _FEWEST_EPOCHS
    affordable = _MOST_STEPS // max(1, interactions)
    return max(_FEWEST_EPOCHS, min(_EPOCHS, affordable))
