"""A trained model as the vectors that are published."""

from __future__ import annotations

from dataclasses import dataclass

from lightfm import LightFM

from lightfm_retriever.publication.errors import TooLongError
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    check_indexable,
    check_length,
    fold_biases,
    split_biases,
    user_queries,
)
from trainer.errors import DivergedError
from trainer.preparing.dataset import Dataset


@dataclass(frozen=True)
class Embeddings:
    """Vectors whose rows are the dataset's.

    Attributes:
        item_vectors: (items, components + 1) float32, embedding then bias.
        user_vectors: (users, components + 1) float32, embedding then bias.
    """

    item_vectors: Float32Array
    user_vectors: Float32Array

    @property
    def item_embeddings(self) -> Float32Array:
        """(items, components), without bias: what SimilarItems compares by cosine."""
        return split_biases(self.item_vectors)[0]

    @property
    def queries(self) -> Float32Array:
        """(users, components + 1), `[u, 1]`: their inner products with item_vectors rank items."""
        return user_queries(self.user_vectors)

    @property
    def components(self) -> int:
        """Dimensions of the embeddings without bias."""
        return int(self.item_vectors.shape[1]) - 1


def check_servable(embeddings: Embeddings) -> None:
    """Refuse vectors that a retriever would refuse, or answer nonsense from.

    Embeddings and biases have a greatest length each, and so scores have one. A user may have an
    embedding of zeros: then the items' biases decide.

    Raises:
        VectorError: an item embedding is zero or nearly so, or something isn't finite.
        TooLongError: an embedding or a bias is too large.
    """
    check_indexable(embeddings.item_embeddings, what="item embedding")
    users, user_biases = split_biases(embeddings.user_vectors)
    check_length(users, what="user embedding")
    for what, biases in (("item", split_biases(embeddings.item_vectors)[1]), ("user", user_biases)):
        check_length(biases[:, None], what=f"{what} bias")


def extract_embeddings(model: LightFM, dataset: Dataset) -> Embeddings:
    """Sum each item's and user's feature embeddings and biases, as LightFM does to predict.

    Raises:
        VectorError: an item embedding is zero or nearly so, or something isn't finite.
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
