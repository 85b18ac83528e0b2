"""Nearest-neighbour indexes: querying what the trainer built.

A backend is one file here and one in the trainer, and a line in each registry; see
docs/backends.md.
"""

from __future__ import annotations

import importlib
from typing import cast

from lightfm_retriever.hosting import extras
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import Publication
from retriever.errors import SnapshotError
from retriever.index.protocol import SearchIndex

# Imported when a publication needs them, since all but Annoy are optional extras.
_MODULES = {
    "annoy": "retriever.index.annoy",
    "exact": "retriever.index.exact",
    "faiss": "retriever.index.faiss",
    "nmslib": "retriever.index.nmslib",
}


def open_index(publication: Publication, name: str) -> SearchIndex | None:
    """Open one index of a publication; None where there is nothing to ask, and all items are scored.

    Raises:
        SnapshotError: its backend isn't known or not installed here, or its facts don't fit the
            publication.
        InvalidPublicationError: its file isn't what the facts say.
    """
    facts = publication.manifest.indexes[name]
    backend, path = facts.backend, publication.directory / (facts.file or layout.MANIFEST)
    needs = f"{path}: index {name!r} needs backend {backend!r}"
    if backend not in _MODULES:
        raise SnapshotError(f"{needs}, but this retriever has {', '.join(_MODULES)}")
    try:
        module = importlib.import_module(_MODULES[backend])
    except ModuleNotFoundError as error:
        raise SnapshotError(
            f"{needs}, whose module {error.name!r} isn't installed here: "
            f"{extras.install_command(backend, 'retriever')}"
        ) from error
    return cast("SearchIndex | None", module.open_index(publication, name, facts, path))
