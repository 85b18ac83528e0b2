"""Define the hyperparameters that a user may give, for any family of models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from lightfm_retriever.hosting import options
from lightfm_retriever.publication.manifest import Scalar
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import (
    COMPONENTS,
    EPOCHS,
    ITEM_ALPHA,
    LEARNING_RATE,
    LOSS,
    SAMPLE_WEIGHTS,
    THREADS,
    USER_ALPHA,
    Hyperparameters,
)
from trainer.index.tuning import SEED

UsersBy = Literal["auto", "trained", "fold-in"]
"""How users with a vector are represented: as trained, by fold-in of their items, or the better."""

COMMON = ("sample_weights", "seed", "threads")
"""The hyperparameters of every family."""


@dataclass(frozen=True, kw_only=True)
class GivenHyperparameters:
    """The hyperparameters with a flag of their own; None leaves the choice to the family.

    Those of one family only are set by `--set NAME=VALUE`.
    """

    loss: Annotated[str | None, LOSS] = None
    components: Annotated[int | None, COMPONENTS] = None
    learning_rate: Annotated[float | None, LEARNING_RATE] = None
    item_alpha: Annotated[float | None, ITEM_ALPHA] = None
    user_alpha: Annotated[float | None, USER_ALPHA] = None
    epochs: Annotated[int | None, EPOCHS] = None
    sample_weights: Annotated[bool, SAMPLE_WEIGHTS] = False
    seed: Annotated[int, SEED] = 42
    threads: Annotated[int, THREADS] = 1

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)
        if self.sample_weights and self.loss == "warp-kos":
            raise OptionError("--loss", self.loss, "another one with --sample-weights")

    def own(self) -> dict[str, Scalar]:
        """Return the given ones that not every family has."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in COMMON and value is not None
        }

    def of_lightfm(self) -> Hyperparameters:
        """Return LightFM's hyperparameters, with fixed defaults."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return Hyperparameters(**given)
