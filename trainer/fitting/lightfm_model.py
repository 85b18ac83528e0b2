"""Define the hyperparameters of LightFM, and train it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import DivergedError, OptionError
from trainer.index.tuning import MAX_THREADS, SEED

if TYPE_CHECKING:
    # Functions import these when they run: the flags need only the hyperparameters.
    import scipy.sparse as sp
    from lightfm import LightFM

    from trainer.preparing.dataset import Dataset

LOSSES = ("warp", "bpr", "logistic", "warp-kos")
_BY_MODEL = "(default: chosen by the model)"
LOSS = Option(f"loss function of lightfm {_BY_MODEL}", choices=LOSSES)
COMPONENTS = Option(f"number of dimensions of the embeddings {_BY_MODEL}", ge=1, le=4096)
LEARNING_RATE = Option(f"initial learning rate {_BY_MODEL}", gt=0, le=10)
ITEM_ALPHA = Option(f"L2 penalty of lightfm on item features {_BY_MODEL}", ge=0, le=1)
USER_ALPHA = Option(f"L2 penalty of lightfm on user features {_BY_MODEL}", ge=0, le=1)
MAX_SAMPLED = Option("negatives that WARP draws for a positive, at most", ge=1, le=10_000)
EPOCHS = Option(f"number of passes over the interactions {_BY_MODEL}", ge=1, le=10_000)
SAMPLE_WEIGHTS = Option("multiply each positive's loss by its weight")
THREADS = Option(
    "threads of training and evaluation; only 1 makes a model reproducible", ge=1, le=MAX_THREADS
)
# Measured on MovieLens 100K with --sample-weights: if all weights are smaller, the embeddings stay
# about as random as at the start, and the AUC is 0.85 instead of 0.92.
_LEARNABLE = 0.02
_STOPS_AT_SMALL = ("warp", "bpr")
# If all weights are larger, the AUC of BPR falls to 0.5. A single weight of 10,000 makes it fall from
# 0.86 to 0.69. WARP limits its steps.
_BEARABLE = 50.0
_RUINED_BY_LARGE = ("bpr", "logistic")
_FEW = 0.1


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """The options of LightFM, under LightFM's names.

    Losses: Kula 2015; WARP: Weston et al. 2011. The learning rate is the first one of the adagrad
    schedule (Duchi et al. 2011).
    """

    loss: Annotated[str, LOSS] = "warp"
    components: Annotated[int, COMPONENTS] = 64
    learning_rate: Annotated[float, LEARNING_RATE] = 0.05
    item_alpha: Annotated[float, ITEM_ALPHA] = 0.001
    user_alpha: Annotated[float, USER_ALPHA] = 0.0
    max_sampled: Annotated[int, MAX_SAMPLED] = 10
    epochs: Annotated[int, EPOCHS] = 20
    sample_weights: Annotated[bool, SAMPLE_WEIGHTS] = False
    seed: Annotated[int, SEED] = 42
    threads: Annotated[int, THREADS] = 1

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)
        if self.sample_weights and self.loss == "warp-kos":
            raise OptionError("--loss", self.loss, "another one with --sample-weights")


def new_model(hyperparameters: Hyperparameters) -> LightFM:
    """Return an untrained model."""
    from lightfm import LightFM

    return LightFM(
        no_components=hyperparameters.components,
        loss=hyperparameters.loss,
        learning_rate=hyperparameters.learning_rate,
        item_alpha=hyperparameters.item_alpha,
        user_alpha=hyperparameters.user_alpha,
        max_sampled=hyperparameters.max_sampled,
        random_state=np.random.RandomState(hyperparameters.seed),
    )


def train(
    dataset: Dataset,
    hyperparameters: Hyperparameters,
    *,
    on_epoch: Callable[[], None],
    start: LightFM | None = None,
) -> LightFM:
    """Fit a model, and call `on_epoch` after each epoch.

    A warm start continues with the model `start`, whose columns are those of the dataset (see
    warm_start). It is trained in place and returned. Then only the hyperparameters `epochs`,
    `sample_weights` and `threads` count.

    Raises:
        DivergedError: a number of the model isn't finite.
        OptionError: the loss needs more items.
    """
    model = new_model(hyperparameters) if start is None else start
    # LightFM only reads the matrix, so don't copy it.
    interactions = dataset.train.tocoo(copy=False)
    if model.loss == "warp-kos":
        # LightFM computes log(0) if it may draw more negatives than there are other items.
        if len(dataset.items) <= model.max_sampled:
            few = f"another one for {len(dataset.items)} items: it needs {model.max_sampled + 1}"
            raise OptionError("--loss", model.loss, few)
        # Only this loss treats every interaction as a positive, whatever its weight.
        interactions = dataset.train.multiply(dataset.train > 0).tocoo()
    for epoch in range(1, hyperparameters.epochs + 1):
        try:
            model.fit_partial(
                interactions,
                user_features=dataset.user_features,
                item_features=dataset.item_features,
                sample_weight=interactions if hyperparameters.sample_weights else None,
                num_threads=hyperparameters.threads,
            )
        except ValueError as error:
            if "finite" in str(error):
                raise DivergedError(epoch) from error
            raise
        on_epoch()
    return model


def learning_warnings(matrix: sp.csr_matrix, *, name: str, loss: str) -> Iterator[str]:
    """Warn of sample weights that would ruin a model without an error.

    LightFM multiplies its steps by the weights. `matrix` has the training interactions of `name`.
    """
    weights = matrix.data[matrix.data > 0]
    total, learnable = len(weights), np.count_nonzero(weights >= _LEARNABLE)
    if loss in _STOPS_AT_SMALL and learnable < total * _FEW:
        yield (
            f"only {learnable} of {total} positives of {name} weigh {_LEARNABLE:g} or more: with "
            f"--sample-weights and --loss {loss} the model learns hardly anything from the others; "
            "multiply the weights, or give a longer --half-life-days"
        )
    elif loss in _RUINED_BY_LARGE and weights.max() > _BEARABLE:
        yield (
            f"{np.count_nonzero(weights > _BEARABLE)} of {total} positives of {name} weigh more than "
            f"{_BEARABLE:g}, up to {weights.max():g}: with --sample-weights and --loss {loss} even a "
            "few such weights can ruin the model; divide the weights, or use --loss warp, which limits "
            "its steps"
        )
