"""Nearest-neighbour indexes: querying what the trainer built.

A backend is one file here and one in the trainer, and a line in each registry.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from publication import layout
from publication.manifest import IndexFacts
from publication.reader import Publication
from retriever.errors import SnapshotError
from retriever.index import annoy, exact
from retriever.index.protocol import SearchIndex

_OPENERS: dict[str, Callable[[Publication, str, IndexFacts, Path], SearchIndex]] = {
    "annoy": annoy.open_index,
    "exact": exact.open_index,
}


def open_index(publication: Publication, name: str) -> SearchIndex:
    """Open one index of a publication.

    Raises:
        SnapshotError: its backend isn't known here, or its facts don't fit the publication.
        InvalidPublicationError: its file isn't what the facts say.
    """
    facts = publication.manifest.indexes[name]
    opener = _OPENERS.get(facts.backend)
    path = publication.directory / (facts.file or layout.MANIFEST)
    if opener is None:
        raise SnapshotError(
            f"{path}: index {name!r} needs backend {facts.backend!r}, but this retriever has "
            f"{', '.join(_OPENERS)}"
        )
    return opener(publication, name, facts, path)
