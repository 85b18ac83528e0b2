"""Export a trained model as the published vectors: of items, of users, and of user features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from lightfm import LightFM

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import TooLongError
from lightfm_retriever.publication.facts.evaluation import EvaluationFacts
from lightfm_retriever.publication.manifest import Scalar, TrialFacts
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES, AnyIds, IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    check_indexable,
    check_length,
    fold_biases,
    split_biases,
    user_queries,
)
from lightfm_retriever.publication.writer import Staging
from trainer.errors import DivergedError
from trainer.fitting.scores import UserScores, model_scores
from trainer.fitting.warm_start import ModelState
from trainer.preparing.dataset import Dataset


@dataclass(frozen=True)
class Embeddings:
    """The vectors of items and users, by rows of the dataset.

    Attributes:
        item_vectors, user_vectors: (n, components + 1) float32, embedding then bias.
    """

    item_vectors: Float32Array
    user_vectors: Float32Array

    @property
    def item_embeddings(self) -> Float32Array:
        """Return (items, components) without biases, which SimilarItems compares by cosine."""
        return split_biases(self.item_vectors)[0]

    @property
    def queries(self) -> Float32Array:
        """Return (users, components + 1), `[u, 1]`: inner products with item_vectors rank items."""
        return user_queries(self.user_vectors)

    @property
    def components(self) -> int:
        """Return the number of dimensions of the embeddings, without bias."""
        return int(self.item_vectors.shape[1]) - 1


@dataclass(frozen=True)
class UserFeatureVectors:
    """The features that can describe a user without a vector.

    Attributes:
        names: "column:value", distinct.
        vectors: (n, components + 1) float32, embedding then bias of each.
    """

    names: Sequence[str]
    vectors: Float32Array

    def check_servable(self) -> None:
        """Raise TooLongError for a vector that is too long to be served, VectorError if not finite."""
        check_length(self.vectors, what="user feature vector")

    def stage(self, staging: Staging) -> None:
        """Write the names as an id map, and the vectors in the order of its rows."""
        id_map: AnyIds = IdMap.build(self.names)
        rows = [id_map.row(name) for name in self.names]
        vectors = np.empty_like(self.vectors)
        vectors[np.array(rows, dtype=np.int64)] = self.vectors
        staging.add_id_map(layout.USER_FEATURES, id_map)
        staging.add_array(layout.USER_FEATURE_VECTORS, vectors)

    def alone(self, dataset: Dataset) -> Float32Array:
        """Return a vector for each user by these features alone, (users, components + 1) float32.

        As in LightFM it is the mean of the feature vectors, since a row of the feature matrix is
        divided by its number of entries. A user without features has a row of zeros.
        """
        own = {name: column for column, name in enumerate(dataset.user_feature_names)}
        columns = [len(dataset.users) + own[name] for name in self.names]
        has: sp.csr_matrix = (dataset.user_features[:, columns] > 0).astype(np.float32)
        counts = np.asarray(has.sum(axis=1), dtype=np.float32)
        vectors: Float32Array = (has @ self.vectors / np.maximum(counts, 1)).astype(np.float32)
        return vectors


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model, for evaluation and publication, from any engine.

    It has either embeddings or neighbours.

    Attributes:
        embeddings: of items and users, by row; None for an item-item model.
        neighbours: of the items, by row; None for a model of vectors.
        profiles: for each user the ascending rows of the items whose neighbours count, which are those
            with a positive interaction in training; None for a model of vectors.
        family: the name of the model's family in the manifest, such as "ease"; "" for none.
        metrics: on the held-out interactions, by name.
        evaluation: the test, and how sure the metrics are; None if nothing was held out.
        hyperparameters: by name, as in the manifest.
        libraries: the packages that made the embeddings; the manifest has their versions.
        model: the model of LightFM; None from another engine.
        state: the state for a warm start; None if there is none.
        user_features: the vectors of user features; None if there are none.
        fold_in: the fold-in that made the users' vectors; None if they were trained.
        trials: the candidates that the model was chosen among.
        warnings: one sentence each.
    """

    embeddings: Embeddings | None = None
    neighbours: Neighbours | None = None
    profiles: Ragged | None = None
    family: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    evaluation: EvaluationFacts | None = None
    hyperparameters: dict[str, Scalar] = field(default_factory=dict)
    libraries: Sequence[str] = ()
    model: LightFM | None = None
    state: ModelState | None = None
    user_features: UserFeatureVectors | None = None
    fold_in: FoldIn | None = None
    trials: Sequence[TrialFacts] = ()
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise ValueError unless there is all of one kind of model."""
        is_item_item = self.neighbours is not None
        if is_item_item == (self.embeddings is not None) or is_item_item != (self.profiles is not None):
            raise ValueError("a model has embeddings, or neighbours and profiles")
        if is_item_item and not self.family:
            raise ValueError("a model of neighbours needs the name of its family")

    @property
    def kind(self) -> layout.Kind:
        """The kind of the model."""
        return "vectors" if self.neighbours is None else "neighbours"

    @property
    def vectors(self) -> Embeddings:
        """The embeddings of a model that has some."""
        if self.embeddings is None:
            raise ValueError("an item-item model has no vectors")
        return self.embeddings

    @property
    def scores(self) -> UserScores:
        """The scores of the model for its users."""
        made = self.embeddings
        vectors = None if made is None else (made.item_vectors, made.user_vectors)
        return model_scores(vectors, self.neighbours, self.profiles)


def check_servable(embeddings: Embeddings) -> None:
    """Refuse vectors that a retriever would refuse or couldn't rank with.

    Embeddings and biases have a largest length, which bounds the scores. The embedding of a user may be
    zero; then the biases of the items decide.

    Raises:
        VectorError: an item embedding is zero or nearly zero, or a number isn't finite.
        TooLongError: an embedding or a bias is too large.
    """
    check_indexable(embeddings.item_embeddings, what="item embedding")
    users, user_biases = split_biases(embeddings.user_vectors)
    check_length(users, what="user embedding")
    for what, biases in (("item", split_biases(embeddings.item_vectors)[1]), ("user", user_biases)):
        check_length(biases[:, None], what=f"{what} bias")


def extract_embeddings(model: LightFM, dataset: Dataset) -> Embeddings:
    """Sum the feature embeddings and biases of each item and user, as LightFM does for predictions.

    Raises:
        VectorError: an item embedding is zero or nearly zero, or a number isn't finite.
        DivergedError: an embedding or a bias is finite, but too large to be served.
    """
    item_biases, item_embeddings = model.get_item_representations(dataset.item_features)
    user_biases, user_embeddings = model.get_user_representations(dataset.user_features)
    embeddings = Embeddings(
        item_vectors=fold_biases(item_embeddings, item_biases),
        user_vectors=fold_biases(user_embeddings, user_biases),
    )
    try:
        check_servable(embeddings)
    except TooLongError as error:
        raise DivergedError(None, problem=str(error)) from error
    return embeddings


def learned(state: ModelState) -> UserFeatureVectors | None:
    """Return the user features that a model learned; None if there are none.

    A name that is too long for an id map is left out.

    Raises:
        DivergedError: the vector of a feature is too large to be served.
    """
    users = state.users
    vectors = users.vectors[len(users.rows) :]
    kept = [row for row, name in enumerate(users.features) if len(name.encode()) <= MAX_ID_BYTES]
    if not kept:
        return None
    made = UserFeatureVectors(
        [users.features[row] for row in kept], np.ascontiguousarray(vectors[kept])
    )
    try:
        made.check_servable()
    except TooLongError as error:
        raise DivergedError(None, problem=str(error)) from error
    return made
