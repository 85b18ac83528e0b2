"""Exact search: no index, since all items are scored."""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import IndexFacts
from lightfm_retriever.publication.reader import Publication
from retriever.index.protocol import check_facts


def open_index(
    publication: Publication,
    name: str,
    facts: IndexFacts,
    path: Path,  # noqa: ARG001 - the same for all backends; this one has no file
) -> None:
    """Check the facts; there is nothing to open."""
    components, recommend = publication.manifest.components, name == layout.RECOMMEND
    metric = "inner_product" if recommend else "cosine"
    check_facts(name, facts, metric=metric, dimensions=components + recommend)
