"""A trained model as the vectors that are published."""

from __future__ import annotations

from dataclasses import dataclass

from lightfm import LightFM

from publication.vector_space import (
    Float32Array,
    check_indexable,
    fold_biases,
    split_biases,
    user_queries,
)
from trainer.dataset import Dataset


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


def extract_embeddings(model: LightFM, dataset: Dataset) -> Embeddings:
    """Sum each item's and user's feature embeddings and biases, as LightFM does to predict.

    Raises:
        VectorError: an item embedding is zero or not finite.
    """
    item_biases, item_embeddings = model.get_item_representations(dataset.item_features)
    user_biases, user_embeddings = model.get_user_representations(dataset.user_features)
    check_indexable(item_embeddings, what="item embedding")
    return Embeddings(
        item_vectors=fold_biases(item_embeddings, item_biases),
        user_vectors=fold_biases(user_embeddings, user_biases),
    )
