"""ALS: implicit matrix factorisation by alternating least squares.

Hu, Koren & Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets"; the conjugate
gradient solver is Takács, Pilászy & Tikk 2011. The package `implicit` fits it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import COMPONENTS, EPOCHS
from trainer.models.implicit_package import EXTRA, fit_factors
from trainer.models.protocol import Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    from trainer.preparing.dataset import Dataset


WEIGHTS = ("none", "log")


@dataclass(frozen=True, kw_only=True)
class AlsSettings:
    """The hyperparameters of ALS."""

    components: Annotated[int, COMPONENTS] = 128
    epochs: Annotated[int, EPOCHS] = 15
    regularization: Annotated[float, Option("L2 penalty", ge=0, lt=math.inf)] = 30.0
    alpha: Annotated[
        float, Option("how much more a seen pair counts than an unseen one", gt=0, lt=math.inf)
    ] = 10.0
    weights: Annotated[
        str, Option("weights of pairs: all 1, or 1 + log of the weight", choices=WEIGHTS)
    ] = "none"

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


class Als(Family):
    """The family; see trainer.models.protocol."""

    name = "als"
    told = "matrix factorisation by least squares"
    settings = AlsSettings
    promise = 3
    libraries: Sequence[str] = ("implicit", "scipy")
    package = "implicit"
    extra = EXTRA
    uses_weights = True

    def default(self, shape: Shape) -> AlsSettings:
        """See Family: a penalty above the largest singular value leaves nothing but zeros."""
        if not shape.squares:
            return AlsSettings()
        # The length of the interactions' product with a vector of equal numbers is a lower bound.
        start = AlsSettings()
        bound = start.alpha * math.sqrt(shape.squares / shape.items)
        return AlsSettings(regularization=min(start.regularization, float(f"{bound / 2:.2g}")))

    def candidates(self, shape: Shape) -> Sequence[AlsSettings]:
        """See Family."""
        start = self.default(shape)
        more = (
            (128, 30.0, 3.0),
            (128, 10.0, 1.0),
            (128, 100.0, 10.0),
            (64, 30.0, 3.0),
            (128, 3.0, 1.0),
        )
        others = [replace(start, components=c, regularization=r, alpha=a) for c, r, a in more]
        if not shape.is_weighted:
            return [start, *others]
        logs = [replace(own, weights="log") for own in (start, *others[:2])]
        return [start, logs[0], others[0], logs[1], others[1], logs[2], *others[2:]]

    def around(self, settings: Any) -> Sequence[AlsSettings]:
        """See Family."""
        return [
            replace(settings, regularization=settings.regularization * 3),
            replace(settings, regularization=settings.regularization / 3),
            replace(settings, components=min(256, settings.components * 2)),
            replace(settings, components=max(8, settings.components // 2)),
            replace(settings, alpha=settings.alpha * 2),
            replace(settings, alpha=settings.alpha / 2),
        ]

    def seconds(self, shape: Shape, settings: Any) -> float:
        """See Family: the pairs, and the product of all factors, in each epoch."""
        # The product is dense, so each of its numbers takes a third of the time of a pair's.
        rows = (shape.users + shape.items) * settings.components / 3
        return float(0.1 + 6e-9 * settings.epochs * settings.components * (shape.positives + rows))

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from trainer.models import factors

        options = {"factors": settings.components, "iterations": settings.epochs}
        options |= {"regularization": settings.regularization, "alpha": settings.alpha}
        matrix = factors.positives_of(dataset, weighted=fitting.sample_weights)
        if settings.weights == "log" and not fitting.sample_weights:
            matrix = factors.positives_of(dataset, weighted=True)
            matrix.data = 1 + np.log(np.maximum(1, matrix.data))
        return fit_factors("als", "AlternatingLeastSquares", options, matrix, fitting)
