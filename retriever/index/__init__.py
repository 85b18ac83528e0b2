"""Query the nearest-neighbour indexes that the trainer built.

A backend is one module here, one in the trainer, and a line in each registry; see
docs/explanation/recall-and-tuning.md.
"""

from __future__ import annotations

import importlib
from typing import cast

from lightfm_retriever.hosting import extras
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError
from lightfm_retriever.publication.reader import Publication
from retriever.errors import SnapshotError
from retriever.index.protocol import SearchIndex, check_facts

EXACT = "exact"
"""The backend without an index: all items are scored."""

# A module is imported when a version needs it, because all backends but Annoy are optional extras.
MODULES = {
    "annoy": "retriever.index.annoy",
    "faiss": "retriever.index.faiss",
    "nmslib": "retriever.index.nmslib",
}


def open_index(publication: Publication, name: str) -> SearchIndex | None:
    """Open one index of a version. Returns None for backend "exact", which scores all items.

    Raises:
        SnapshotError: the backend is unknown or not installed, or the facts of the index don't fit the
            version.
        InvalidPublicationError: the index file doesn't match its facts.
    """
    facts = publication.manifest.indexes[name]
    backend, path = facts.backend, publication.directory / (facts.file or layout.MANIFEST)
    needs = f"{path}: index {name!r} needs backend {backend!r}"
    if backend == EXACT:
        recommend = name == layout.RECOMMEND
        metric = "inner_product" if recommend else "cosine"
        dimensions = publication.manifest.components + recommend
        check_facts(name, facts, metric=metric, dimensions=dimensions)
        return None
    if backend not in MODULES:
        known = ", ".join(sorted([EXACT, *MODULES]))
        raise SnapshotError(f"{needs}, but this retriever knows only {known}: upgrade it")
    if facts.file is None:
        raise InvalidPublicationError(path, f"index {name!r} has no file")
    try:
        module = importlib.import_module(MODULES[backend])
    except ModuleNotFoundError as error:
        raise SnapshotError(
            f"{needs}, whose module {error.name!r} isn't installed here: "
            f"{extras.install_command(backend, 'retriever')}"
        ) from error
    return cast("SearchIndex", module.open_index(publication, name, facts, path))
