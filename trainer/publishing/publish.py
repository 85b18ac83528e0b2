"""From embeddings to a publication: index, measure, stage, verify, publish."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes
from lightfm_retriever.publication.manifest import Manifest, RunFacts
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import row_norms
from lightfm_retriever.publication.writer import Staging
from trainer.fitting import warm_start
from trainer.fitting.embeddings import Embeddings, check_servable
from trainer.index import distributions
from trainer.preparing.dataset import id_ranks, most_popular, seen_popularity
from trainer.progress import Reporter
from trainer.publishing.indexing import SPACES, Indexing, build_index
from trainer.publishing.publishable import Publishable
from trainer.timings import Timings

_NO_SESSIONS = (
    "sessions can't be answered by this version: the lengths of its items' and users' vectors differ "
    "too much for what would turn a session into a vector"
)
_LIBRARIES = ("lightfm-retriever", "marisa-trie", "numpy")


@dataclass(frozen=True)
class Published:
    """What was published; `seconds` by stage."""

    manifest: Manifest
    seconds: Mapping[str, float]
    warnings: list[str]


def publish(
    source: Publishable, volume: Path, *, indexing: Indexing, timings: Timings, reporter: Reporter
) -> Published:
    """Index, measure, verify and publish.

    Raises:
        RecallError: an index finds less than is asked for and that is an error.
        VectorError: the vectors can't be served.
        PublicationError: the volume is at fault.
    """
    check_servable(source.embeddings)
    if source.user_features is not None:
        source.user_features.check_servable()
    ranks = id_ranks(source.items)
    with Staging(volume, clock=timings.clock) as staging:
        with timings.stage("index"):
            # First, so that what follows reads the file, whose pages the system can take back.
            source = _stage_vectors(staging, source)
            indexed = [build_index(name, source, ranks, staging, indexing, reporter) for name in SPACES]
        served = {name: value for index in indexed for name, value in index.metrics.items()}
        metrics = source.metrics | served
        if served:
            reporter.metrics(metrics)
        with timings.stage("publish"):
            _stage_files(staging, source)
            attributes = Attributes.build(source.attributes, len(source.items))
            staging.add_attributes(attributes)
            warnings = _stage_cold(staging, source, ranks, seed=indexing.options.seed)
            backends = [*indexing.backends, *(index.backend for index in indexed)]
            sealed = staging.seal(
                Manifest(
                    items=len(source.items),
                    users=len(source.users),
                    components=source.embeddings.components,
                    run=RunFacts(
                        id=timings.run_id,
                        started_at=timings.started_at.isoformat(),
                        seconds=dict(timings.seconds),
                    ),
                    libraries=_versions([*source.libraries, *distributions(backends)]),
                    dataset=replace(source.facts, name=_unicode(source.facts.name)),
                    hyperparameters=source.hyperparameters,
                    metrics=metrics,
                    indexes={index.name: index.facts for index in indexed},
                    attributes=[*attributes.facts],
                )
            )
        # Before anybody can see it. Afterwards there is nothing to take back.
        with timings.stage("verify"):
            staging.verify(sealed)
        manifest = staging.appear(sealed)
    warnings += [sentence for index in indexed for sentence in index.warnings]
    return Published(manifest, timings.seconds, warnings)


def _stage_vectors(staging: Staging, source: Publishable) -> Publishable:
    """Write all vectors; returns the same to be published, but with vectors that are mapped."""
    own = source.embeddings
    sides = {layout.ITEM_VECTORS: own.item_vectors, layout.USER_VECTORS: own.user_vectors}
    for name, vectors in sides.items():
        staging.add_array(name, vectors)
        sides[name] = map_array(staging.path(name), np.float32, vectors.shape)
    return replace(source, embeddings=Embeddings(*sides.values()))


def _stage_files(staging: Staging, source: Publishable) -> None:
    staging.add_id_map(layout.ITEM_IDS, source.items)
    staging.add_id_map(layout.USER_IDS, source.users)
    staging.add_array(layout.ITEM_NORMS, row_norms(source.embeddings.item_embeddings))
    staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, source.seen)
    if source.held_out is not None:
        staging.add_ragged(layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, source.held_out)
    if source.state is not None:
        warm_start.stage(staging, source.state)
    if source.titles is not None:
        titles = ragged.from_texts(source.titles)
        staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, titles)


def _stage_cold(
    staging: Staging, source: Publishable, ranks: NDArray[np.int32], *, seed: int
) -> list[str]:
    """What answers those without a vector of their own, and what breaks ties; returns warnings."""
    popularity = source.popularity
    if popularity is None:
        popularity = seen_popularity(source.seen, len(source.items))
    staging.add_array(layout.ID_RANKS, ranks)
    staging.add_array(layout.POPULARITY, popularity)
    staging.add_array(layout.POPULAR_ITEMS, most_popular(popularity, ranks))
    if source.user_features is not None:
        source.user_features.stage(staging)
    embeddings = source.embeddings
    fold_in = FoldIn.build(embeddings.item_vectors, embeddings.user_vectors, source.seen, seed=seed)
    if fold_in is None or not fold_in.may_be_published:
        return [_NO_SESSIONS]
    staging.add_array(layout.FOLD_IN, fold_in.array)
    return []


def _unicode(text: str) -> str:
    """A name as a manifest can hold it: that of a file may be any bytes."""
    return text.encode("utf-8", "replace").decode()


def _versions(names: Sequence[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in sorted({*_LIBRARIES, *names})}
