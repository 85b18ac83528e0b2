"""A model as it is evaluated and published, whichever engine fitted it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lightfm import LightFM

from lightfm_retriever.publication.manifest import Scalar
from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
from trainer.fitting.warm_start import ModelState


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a fit made.

    Attributes:
        embeddings: of items and users, by row.
        metrics: on the held-out interactions, by name.
        hyperparameters: by name, as the manifest tells them.
        libraries: the packages whose versions made the embeddings.
        model: LightFM's; None of another engine.
        state: what a later training can go on from; None when there is none.
        user_features: what was learned of each; None when there are none.
        warnings: in sentences.
    """

    embeddings: Embeddings
    metrics: dict[str, float] = field(default_factory=dict)
    hyperparameters: dict[str, Scalar] = field(default_factory=dict)
    libraries: Sequence[str] = ()
    model: LightFM | None = None
    state: ModelState | None = None
    user_features: UserFeatureVectors | None = None
    warnings: list[str] = field(default_factory=list)
