"""One opened version: memory maps and indexes, immutable.

A request takes a snapshot once and uses it until it ends. The maps are closed when the last request has
released the snapshot. Nothing is unloaded explicitly, because unloading during a query would crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lightfm_retriever.publication import layout, reader
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.search_effort import Depths, depths_of
from lightfm_retriever.publication.vectors.vector_space import Float32Array, split_biases
from retriever.answering.search import Ranker, Scorer
from retriever.index import open_index


@dataclass(frozen=True)
class Snapshot:
    """The data of a version that requests need.

    Attributes:
        publication: id maps, vectors, seen items, titles, attributes and other mapped files.
        item_embeddings: (items, components), the item vectors without their biases.
        similar: ranks items by the cosine of their embeddings.
        recommend: ranks items by the inner product with a user's query.
    """

    publication: Publication
    item_embeddings: Float32Array
    similar: Ranker
    recommend: Ranker

    @cached_property
    def version(self) -> str:
        """Name of the version."""
        return self.publication.manifest.version


def open_snapshot(volume: Path, version: str) -> Snapshot:
    """Map a version that was verified before.

    Raises:
        PublicationError: the version is missing or doesn't match its manifest.
        SnapshotError: this retriever can't serve it.
    """
    publication = reader.open_publication(volume, version)
    embeddings = split_biases(publication.item_vectors)[0]
    by_cosine = Scorer(embeddings, cosine=True, norms=publication.item_norms)
    return Snapshot(
        publication=publication,
        item_embeddings=embeddings,
        similar=_ranker(publication, layout.SIMILAR, by_cosine),
        recommend=_ranker(publication, layout.RECOMMEND, Scorer(publication.item_vectors)),
    )


def _ranker(publication: Publication, name: str, exact: Scorer) -> Ranker:
    facts = publication.manifest.indexes[name]
    return Ranker(
        open_index(publication, name),
        exact,
        publication.id_ranks,
        depths=Depths(facts.depths),
        ways=depths_of(facts.ways),
        query_microseconds=facts.query_microseconds,
    )
