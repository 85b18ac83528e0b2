"""BPR: matrix factorisation by Bayesian personalized ranking.

Rendle et al. 2009, "BPR: Bayesian Personalized Ranking from Implicit Feedback". The package `implicit`
fits it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import COMPONENTS, EPOCHS, LEARNING_RATE
from trainer.models.implicit_package import EXTRA, fit_factors
from trainer.models.protocol import Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    from trainer.preparing.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class BprSettings:
    """The hyperparameters of BPR."""

    components: Annotated[int, COMPONENTS] = 128
    epochs: Annotated[int, EPOCHS] = 100
    learning_rate: Annotated[float, LEARNING_RATE] = 0.01
    regularization: Annotated[float, Option("L2 penalty", ge=0, lt=math.inf)] = 0.01

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


class Bpr(Family):
    """The family; see trainer.models.protocol."""

    name = "bpr"
    told = "matrix factorisation by pairwise ranking"
    settings = BprSettings
    promise = -1
    libraries: Sequence[str] = ("implicit", "scipy")
    package = "implicit"
    extra = EXTRA

    def candidates(self, shape: Shape) -> Sequence[BprSettings]:
        """See Family."""
        start = self.default(shape)
        others = ({"regularization": 0.001, "epochs": 150}, {"components": 32, "regularization": 0.05})
        return [start, *(replace(start, **own) for own in others)]

    def seconds(self, shape: Shape, settings: Any) -> float:
        """See Family: the pairs in each epoch."""
        pairs = shape.positives * (settings.components + 50)
        return float(0.1 + 3e-9 * settings.epochs * pairs)

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from trainer.models import factors

        matrix = factors.positives_of(dataset, weighted=False)
        options = {"factors": settings.components, "iterations": settings.epochs}
        options |= {name: getattr(settings, name) for name in ("learning_rate", "regularization")}
        return fit_factors("bpr", "BayesianPersonalizedRanking", options, matrix, fitting)
