"""One opened version: memory maps and indexes, immutable.

A request takes a snapshot once and uses it until it ends. The maps are closed when the last request has
released the snapshot. Nothing is unloaded explicitly, because unloading during a query would crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lightfm_retriever.publication import reader
from lightfm_retriever.publication.layout import Kind
from lightfm_retriever.publication.reader import Publication
from retriever.answering.model import Model
from retriever.answering.neighbour_model import NeighbourModel
from retriever.answering.vector_model import open_vectors


@dataclass(frozen=True)
class Snapshot:
    """The data of a version that requests need.

    Attributes:
        publication: id maps, seen items, titles, attributes and other mapped files.
        model: makes queries of subjects and ranks items by them.
    """

    publication: Publication
    model: Model

    @cached_property
    def version(self) -> str:
        """Name of the version."""
        return self.publication.manifest.version

    @cached_property
    def items(self) -> int:
        """Number of items."""
        return len(self.publication.items)


def open_snapshot(volume: Path, version: str) -> Snapshot:
    """Map a version that was verified before.

    Raises:
        PublicationError: the version is missing or doesn't match its manifest.
        SnapshotError: this retriever can't serve it.
    """
    publication = reader.open_publication(volume, version)
    return Snapshot(publication, _MODELS[publication.manifest.kind](publication))


_MODELS: dict[Kind, Callable[[Publication], Model]] = {
    "vectors": open_vectors,
    "neighbours": NeighbourModel,
}
