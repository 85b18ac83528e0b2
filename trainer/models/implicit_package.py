"""Fit the models of the package `implicit`."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.errors import DivergedError, ExtraMissingError
from trainer.models.protocol import EnoughError, Fitted, Fitting

if TYPE_CHECKING:
    import scipy.sparse as sp

EXTRA = "models"


def fit_factors(
    module: str, of: str, options: Mapping[str, Any], matrix: sp.csr_matrix, fitting: Fitting
) -> Fitted:
    """Fit a model, such as `AlternatingLeastSquares` of the module `als`, to positives (users, items).

    Raises:
        ExtraMissingError: the package isn't installed.
        DivergedError: a factor isn't finite, or is too large to be served.
    """
    from threadpoolctl import threadpool_limits

    from trainer.models.sparse_rows import ADVICE

    with threadpool_limits(1), warnings.catch_warnings():
        # Its advice about threads of BLAS is followed by the line above.
        warnings.simplefilter("ignore")
        try:
            made = importlib.import_module(f"implicit.cpu.{module}")
        except ModuleNotFoundError as error:
            raise ExtraMissingError(f"--model {module}", EXTRA, str(error.name)) from error
        model = getattr(made, of)(**options, num_threads=fitting.threads, random_state=fitting.seed)

        def after_epoch(epoch: int, *_: Any) -> None:
            fitting.after_epoch(epoch + 1, lambda: _fitted(model, matrix).scores)

        try:
            model.fit(matrix, show_progress=False, callback=after_epoch)
        except EnoughError:
            pass
        except Exception as error:
            # The package defines its error in a module that it doesn't document.
            if type(error).__name__ == "ModelFitError":
                raise DivergedError(None, problem="a factor isn't finite", advice=ADVICE) from error
            raise
    return _fitted(model, matrix)


def _fitted(model: Any, matrix: sp.csr_matrix) -> Fitted:
    from trainer.models.factors import embeddings_of

    items, users, biases = model.item_factors, model.user_factors, None
    # BPR appends the biases of items, and a 1 to users.
    if items.shape[1] > model.factors:
        biases, items, users = items[:, -1].copy(), items[:, :-1].copy(), users[:, :-1].copy()
        # BPR never draws a row without a positive, so its numbers are still random.
        unknown = np.diff(matrix.tocsc().indptr) == 0
        if unknown.any():
            items[unknown], biases[unknown] = 0, biases[~unknown].min()
        users[np.diff(matrix.indptr) == 0] = 0
    return Fitted(embeddings=embeddings_of(items, users, biases))
