"""LightFM: matrix factorisation that also learns from features (Kula 2015, arXiv:1507.08439)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from trainer.fitting.defaults import default_settings
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.protocol import EnoughError, Family, Fitted, Fitting, Shape

if TYPE_CHECKING:
    from trainer.preparing.dataset import Dataset


class LightFm(Family):
    """The family; see trainer.models.protocol."""

    name = "lightfm"
    told = "matrix factorisation with features"
    settings = Hyperparameters
    promise = 1
    libraries: Sequence[str] = ("rectools-lightfm", "scipy")
    uses_features = True
    uses_weights = True

    def default(self, shape: Shape) -> Hyperparameters:
        """See Family, and trainer.fitting.defaults, whose rule is for data without features.

        On MovieLens 100K with features of users, the rule's penalties cost a third of precision@10.
        """
        if shape.has_features:
            return Hyperparameters()
        own = default_settings(users=shape.users, items=shape.items, interactions=shape.positives)
        return Hyperparameters(**asdict(own))

    def filled(self, shape: Shape, given: Mapping[str, Any]) -> Hyperparameters:
        """See Family: the rule of the defaults is for WARP only."""
        if given.get("loss", "warp") == "warp":
            return replace(self.default(shape), **given)
        return Hyperparameters(**given)

    def candidates(self, shape: Shape) -> Sequence[Hyperparameters]:
        """See Family."""
        start = self.default(shape)
        others = [replace(start, max_sampled=50), Hyperparameters()]
        return [start, *(own for own in others if own != start)]

    def seconds(self, shape: Shape, settings: Any) -> float:
        """See Family: the pairs in each epoch, with their negatives."""
        pairs = shape.positives * (settings.components + 50)
        return float(0.1 + 5e-9 * (2 + settings.max_sampled**0.5) * settings.epochs * pairs)

    def fit(self, dataset: Dataset, settings: Any, fitting: Fitting) -> Fitted:
        """See Family."""
        from trainer.fitting.embeddings import extract_embeddings, learned
        from trainer.fitting.lightfm_model import learning_warnings, new_model, train
        from trainer.fitting.scores import VectorScores
        from trainer.fitting.warm_start import state_of

        own = replace(
            settings,
            seed=fitting.seed,
            threads=fitting.threads,
            sample_weights=fitting.sample_weights,
        )
        model = new_model(own) if fitting.start is None else fitting.start
        epoch = 0

        def scores() -> VectorScores:
            made = extract_embeddings(model, dataset)
            return VectorScores(made.item_vectors, made.user_vectors)

        def on_epoch() -> None:
            nonlocal epoch
            epoch += 1
            fitting.after_epoch(epoch, scores)

        with contextlib.suppress(EnoughError):
            # The model is trained in place, so that it can end early.
            train(dataset, own, on_epoch=on_epoch, start=model)
        state = state_of(model, dataset)
        warnings: list[str] = []
        if fitting.sample_weights:
            warnings += learning_warnings(dataset.train, name=dataset.name, loss=settings.loss)
        return Fitted(
            embeddings=extract_embeddings(model, dataset),
            model=model,
            state=state,
            user_features=learned(state),
            warnings=warnings,
        )
