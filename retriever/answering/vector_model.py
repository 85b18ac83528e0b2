"""A model of vectors: a query is a vector, and items are ranked by inner product or by cosine.

A score is an inner product. If the query is a sum of parts, the score is the sum of the parts' scores.
Hu, Koren & Volinsky (2008, ICDM, section 5) explain recommendations in this way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import Depths, depths_of
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import (
    Float32Array,
    row_norms,
    split_biases,
    unit_rows,
)
from retriever.answer_words import Source
from retriever.answering.model import ZERO, KnownItems, ScoreParts, Subject, largest
from retriever.answering.search import NOTHING, VectorRanker
from retriever.errors import InvalidArgumentError, NotPublishedError
from retriever.index import open_index

# A shorter mean of unit vectors has no meaningful direction.
_SHORTEST_MEAN = 1e-4
_ONE: Float32Array = np.ones(1, dtype=np.float32)


@dataclass(frozen=True)
class Scorer:
    """Score some or all items exactly. The time grows with the number of items.

    Attributes:
        vectors: (n, d).
        cosine: whether to score by cosine instead of inner product.
        norms: (n,) norms of the vectors, for cosines; None to compute them for each search.
    """

    vectors: Float32Array
    _: KW_ONLY
    cosine: bool = False
    norms: Float32Array | None = None

    def scores(self, query: Float32Array, rows: NDArray[np.integer] | None = None) -> Float32Array:
        """Return the inner products or cosines of some or all rows with a query (d,)."""
        vectors = self.vectors if rows is None else self.vectors[rows]
        if not self.cosine:
            products: Float32Array = vectors @ query
            return products
        if self.norms is None:
            norms = row_norms(vectors)
        else:
            norms = self.norms if rows is None else self.norms[rows]
        # Divide by the norm of the query first, since float32 may not hold the product of two norms.
        # In float64, because the square of the norm may overflow or underflow in float32.
        exact = query.astype(np.float64)
        cosines = vectors @ (exact / math.sqrt(exact @ exact)).astype(np.float32)
        cosines /= norms
        # Rounding may exceed the range [-1, 1].
        return cosines.clip(-1, 1, out=cosines)

    def scores_for(self, queries: Float32Array) -> Float32Array:
        """Return the inner products or cosines (q, n) of all items with queries (q, d)."""
        if not self.cosine:
            products: Float32Array = queries @ self.vectors.T
            return products
        norms = row_norms(self.vectors) if self.norms is None else self.norms
        cosines = unit_rows(queries) @ self.vectors.T
        cosines /= norms
        return cosines.clip(-1, 1, out=cosines)


@dataclass(frozen=True)
class Parts:
    """The parts of a query, for explanations.

    Attributes:
        names: item ids or features of the parts.
        vectors: (parts, components) float32 vectors of the parts.
        bias: the part of every score besides the item's bias.
        cosine: whether scores are cosines, that is inner products with items of length 1.
        of_features: whether the parts are features.
    """

    names: Sequence[str]
    vectors: Float32Array
    bias: float = 0.0
    cosine: bool = False
    of_features: bool = False


@dataclass(frozen=True)
class VectorModel:
    """See retriever.answering.model.Model.

    Attributes:
        publication: of a model of vectors.
        item_vectors, user_vectors: (n, components + 1), embedding then bias.
        item_embeddings: (items, components), the item vectors without their biases.
        similar: ranks items by the cosine of their embeddings.
        recommend: ranks items by the inner product with a user's query.
    """

    publication: Publication
    item_vectors: Float32Array
    user_vectors: Float32Array
    item_embeddings: Float32Array
    similar: VectorRanker
    recommend: VectorRanker

    @property
    def has_features(self) -> bool:
        """See Model. A version without features has none of the features of a request."""
        return True

    def user(self, row: int) -> Subject:
        """See Model."""
        publication, vector, seen = self.publication, self.user_vectors[row], self.publication.seen[row]

        def of_seen() -> Parts:
            if publication.fold_in is None or not len(seen):
                nothing = np.empty((0, len(vector) - 1), dtype=np.float32)
                return Parts([], nothing, bias=float(vector[-1]))
            weights = np.ones(len(seen), dtype=np.float32)
            vectors = self._fold_in().parts(self.item_embeddings[seen], weights)
            names = [publication.items.external_id(row) for row in seen.tolist()]
            return Parts(names, vectors, bias=float(vector[-1]))

        # The user's own bias doesn't change the order, but the score is LightFM's prediction.
        return Subject(Source.PERSONALIZED, _query(vector[:-1]), vector[-1], seen, (), of_seen)

    def session(self, items: KnownItems) -> Subject:
        """See Model."""
        vectors = self._fold_in().parts(self.item_embeddings[items.rows], items.weights)
        query = _query(vectors.sum(axis=0))
        of_items = Parts(items.ids, vectors)
        return Subject(
            Source.FOLDED_IN, query, ZERO, items.own, items.unknown, lambda: of_items, way="session"
        )

    def features(self, rows: Mapping[str, int], unknown: Sequence[str]) -> Subject:
        """See Model."""
        vectors = self.publication.user_feature_vectors
        assert vectors is not None  # noqa: S101 - published together with the names
        # LightFM represents a user who has only these features in the same way.
        each = vectors[[*rows.values()]] / np.float32(len(rows))
        mean = each.sum(axis=0)
        embeddings, _ = split_biases(each)

        def of_features() -> Parts:
            return Parts([*rows], embeddings, bias=float(mean[-1]), of_features=True)

        query = _query(mean[:-1])
        return Subject(Source.FEATURES, query, mean[-1], NOTHING, unknown, of_features, way="features")

    def item(self, item_id: str, row: int) -> Subject:
        """See Model."""
        query = self.item_embeddings[row]

        def itself() -> Parts:
            return Parts([item_id], unit_rows(query[None, :]), cosine=True)

        own = np.array([row], dtype=np.int32)
        return Subject(Source.SIMILAR, query, ZERO, own, (), itself)

    def alike(self, items: KnownItems) -> Subject:
        """See Model."""
        weights = items.weights
        shares = (weights / weights.sum(dtype=np.float64)).astype(np.float32)
        weighted = unit_rows(self.item_embeddings[items.rows]) * shares[:, None]
        mean = weighted.sum(axis=0)
        length = math.sqrt(float(np.square(mean, dtype=np.float64).sum()))
        if length < _SHORTEST_MEAN:
            raise InvalidArgumentError(
                f"{items.field}.item_ids",
                "have embeddings that cancel each other out, so they have no mean: send fewer items",
            )

        def each() -> Parts:
            return Parts(items.ids, weighted / np.float32(length), cosine=True)

        return Subject(Source.SIMILAR, mean, ZERO, items.own, items.unknown, each, way="items")

    def explain(self, parts: Parts, rows: Rows) -> Sequence[ScoreParts]:
        """See Model."""
        embeddings = self.item_embeddings[rows]
        if parts.cosine:
            embeddings = unit_rows(embeddings)
            biases = np.zeros(len(rows), dtype=np.float32)
        else:
            biases = self.item_vectors[rows, -1]
        return [
            ScoreParts(largest(parts.names, own), bias + parts.bias, parts.of_features)
            for own, bias in zip(embeddings @ parts.vectors.T, biases.tolist(), strict=True)
        ]

    def embeddings(self, rows: Rows) -> Float32Array:
        """See Model."""
        return self.item_embeddings[rows]

    def _fold_in(self) -> FoldIn:
        array = self.publication.fold_in
        if array is None:
            hint = "train again, or request a user_id or features"
            version = self.publication.manifest.version
            raise NotPublishedError("fold-in data for sessions", version, hint)
        return FoldIn(array)


def open_vectors(publication: Publication) -> VectorModel:
    """Open the indexes of a version. Raises PublicationError and SnapshotError."""
    items, users = publication.vectors
    embeddings = split_biases(items)[0]
    by_cosine = Scorer(embeddings, cosine=True, norms=publication.item_norms)
    similar = _ranker(publication, layout.SIMILAR, by_cosine)
    recommend = _ranker(publication, layout.RECOMMEND, Scorer(items))
    return VectorModel(publication, items, users, embeddings, similar, recommend)


def _ranker(publication: Publication, name: str, exact: Scorer) -> VectorRanker:
    facts = publication.manifest.indexes[name]
    return VectorRanker(
        open_index(publication, name),
        exact,
        publication.id_ranks,
        depths=Depths(facts.depths),
        ways=depths_of(facts.ways),
        query_microseconds=facts.query_microseconds,
    )


def _query(embedding: Float32Array) -> Float32Array:
    """Append a 1 to an embedding, so that inner products with item vectors add the item's bias."""
    return np.concatenate((embedding, _ONE))
