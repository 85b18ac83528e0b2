"""Nearest-neighbour indexes: querying what the trainer built.

A backend is one file here and one in the trainer, and a line in each registry; see
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
"""The backend that is none: all items are scored."""

# Imported when a publication needs them, since all but Annoy are optional extras.
MODULES = {
    "annoy": "retriever.index.annoy",
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
    if backend == EXACT:
        recommend = name == layout.RECOMMEND
        metric = "inner_product" if recommend else "cosine"
        dimensions = publication.manifest.components + recommend
        check_facts(name, facts, metric=metric, dimensions=dimensions)
        return None
    if backend not in MODULES:
        raise SnapshotError(f"{needs}, but this retriever has {', '.join(sorted([EXACT, *MODULES]))}")
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
