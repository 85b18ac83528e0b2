"""From embeddings to a publication: index, measure, stage, publish, verify, move the label."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from publication import labels, layout, ragged, reader
from publication.arrays import map_array
from publication.attributes import Attributes, Column
from publication.fold_in import FoldIn
from publication.id_map import IdMap
from publication.manifest import DatasetFacts, IndexFacts, Manifest, RunFacts, Scalar
from publication.ragged import Ragged
from publication.ranking import row_norms
from publication.vector_space import user_queries
from publication.writer import Staging
from trainer import warm_start
from trainer.embeddings import Embeddings
from trainer.errors import RecallError
from trainer.index import distributions
from trainer.index.measure import Questions
from trainer.index.protocol import Backend, Space
from trainer.index.tuning import TunedIndex, TuningOptions, tune
from trainer.progress import Reporter
from trainer.ranks import id_ranks, most_popular, seen_popularity
from trainer.timings import Timings
from trainer.user_features import UserFeatures
from trainer.warm_start import ModelState

_LIBRARIES = ("lightfm-retriever", "marisa-trie", "numpy")


@dataclass(frozen=True)
class Publishable:
    """What a publication is made of; rows are the id maps'.

    Attributes:
        items, users: external id <-> row.
        embeddings: of items and users.
        seen: for each user the rows of the items that aren't recommended again, ascending.
        held_out: for each user the rows of the test items, ascending; None when there are none.
        titles: for each item its title, or None.
        facts: about the data.
        hyperparameters, metrics: of the model, by name.
        libraries: the packages whose versions made the embeddings.
        state: what a later training can go on from; None when there is none.
        popularity: (items,) the number of users with a positive of each; None for that of `seen`.
        user_features: what was learned of each; None when there are none.
        attributes: of the items, by row.
    """

    items: IdMap
    users: IdMap
    embeddings: Embeddings
    seen: Ragged
    held_out: Ragged | None
    titles: Sequence[str] | None
    facts: DatasetFacts
    hyperparameters: dict[str, Scalar]
    metrics: dict[str, float]
    libraries: Sequence[str] = ()
    state: ModelState | None = None
    popularity: NDArray[np.int32] | None = None
    user_features: UserFeatures | None = None
    attributes: Sequence[Column] = ()


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """Which backends to choose among, and what is enough."""

    backends: Sequence[Backend]
    options: TuningOptions = field(default_factory=TuningOptions)


@dataclass(frozen=True)
class Published:
    """What was published. `label` is None when none was moved; `seconds` by stage."""

    manifest: Manifest
    label: str | None
    seconds: Mapping[str, float]
    warnings: list[str]


def publish(
    source: Publishable,
    volume: Path,
    *,
    indexing: Indexing,
    label: str | None,
    timings: Timings,
    reporter: Reporter,
) -> Published:
    """Index, measure, publish, verify, and move the label.

    Raises:
        RecallError: an index finds less than is asked for and that is an error.
        PublicationError: the volume is at fault, or the vectors can't be indexed.
    """
    with Staging(volume, clock=timings.clock) as staging:
        with timings.stage("index"):
            # First, so that what follows reads the file, whose pages the system can take back.
            source = _stage_vectors(staging, source)
            indexed = {
                name: _index(name, space, source, staging, indexing, reporter)
                for name, space in SPACES.items()
            }
        with timings.stage("publish"):
            _stage_files(staging, source)
            attributes = Attributes.build(source.attributes, len(source.items))
            attributes.stage(staging)
            _stage_cold(staging, source, seed=indexing.options.seed)
            manifest = staging.publish(
                Manifest(
                    items=len(source.items),
                    users=len(source.users),
                    components=source.embeddings.components,
                    run=RunFacts(
                        id=f"cli-{timings.started_at:%Y%m%dT%H%M%S.%fZ}",
                        started_at=timings.started_at.isoformat(),
                        seconds=dict(timings.seconds),
                    ),
                    libraries=_versions([*source.libraries, *distributions(indexing.backends)]),
                    dataset=source.facts,
                    hyperparameters=source.hyperparameters,
                    metrics=source.metrics,
                    indexes={name: index.facts for name, index in indexed.items()},
                    attributes=[*attributes.facts],
                )
            )
    with timings.stage("verify"):
        reader.verify(volume, manifest.version)
    if label is not None:
        labels.promote(volume, manifest.version, label=label)
    warnings = [
        sentence for name, index in indexed.items() for sentence in _warnings(name, index, source)
    ]
    return Published(manifest, label, timings.seconds, warnings)


SPACES: dict[str, Space] = {layout.SIMILAR: "cosine", layout.RECOMMEND: "inner_product"}


@dataclass(frozen=True)
class _Indexed:
    """An index that was staged; see TunedIndex, which also holds it open."""

    facts: IndexFacts
    reached: bool


def _index(
    name: str,
    space: Space,
    source: Publishable,
    staging: Staging,
    indexing: Indexing,
    reporter: Reporter,
) -> _Indexed:
    embeddings = source.embeddings
    vectors = embeddings.item_embeddings if space == "cosine" else embeddings.item_vectors
    tuned = tune(
        indexing.backends,
        vectors,
        space,
        questions(name, embeddings, source.seen, seed=indexing.options.seed),
        staging.scratch(name),
        indexing.options,
        reporter=reporter,
        name=name,
    )
    if indexing.options.strict and not tuned.reached:
        raise RecallError(
            name,
            target=indexing.options.target_recall,
            reached=tuned.facts.recall_at_10,
            by=tuned.facts.backend,
        )
    return _Indexed(_stage_index(staging, name, tuned), tuned.reached)


def questions(name: str, embeddings: Embeddings, seen: Ragged, *, seed: int) -> Questions:
    """What an index is measured with: items without themselves, or users without what they saw."""
    if name == layout.SIMILAR:
        rows = np.arange(len(embeddings.item_vectors) + 1)
        own = Ragged(rows, rows[:-1].astype(np.int32))
        vectors = embeddings.item_embeddings
        return Questions(vectors, vectors, "cosine", excluded=own, seed=seed)
    vectors = embeddings.item_vectors
    if len(embeddings.user_vectors):
        asked, excluded = embeddings.user_vectors, seen
    else:
        # There is no user yet: those who come will like what some item is like.
        nothing = np.zeros(len(vectors) + 1, dtype=np.int64)
        asked, excluded = vectors, Ragged(nothing, np.empty(0, dtype=np.int32))
    return Questions(
        vectors, asked, "inner_product", excluded=excluded, seed=seed, prepare=user_queries
    )


def _stage_index(staging: Staging, name: str, tuned: TunedIndex) -> IndexFacts:
    if tuned.path is None:
        return tuned.facts
    file = layout.index_file(name, tuned.facts.backend)
    tuned.path.rename(staging.path(file))
    return replace(tuned.facts, file=file)


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


def _stage_cold(staging: Staging, source: Publishable, *, seed: int) -> None:
    """What answers those without a vector of their own, and what breaks ties."""
    ranks = id_ranks(source.items)
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
    if fold_in is not None:
        staging.add_array(layout.FOLD_IN, fold_in.array)


def _warnings(name: str, indexed: _Indexed, source: Publishable) -> list[str]:
    facts = indexed.facts
    exact = facts.trials[0]
    warnings = []
    if not indexed.reached:
        warnings.append(
            f"index {name!r} reaches recall@10 {facts.recall_at_10:.4f} by {facts.backend} in "
            f"{facts.query_microseconds:.0f} µs, below the target of {facts.target_recall}: "
            f"exact search takes {exact.query_microseconds:.0f} µs"
        )
    elif facts.query_microseconds > exact.query_microseconds:
        warnings.append(
            f"index {name!r}: exact search takes {exact.query_microseconds:.0f} µs, "
            f"{facts.backend} {facts.query_microseconds:.0f} µs: a catalogue of "
            "this size needs no index (--backend auto)"
        )
    if name == layout.RECOMMEND and not len(source.users):
        warnings.append(f"index {name!r} was measured with items as queries, since there is no user")
    return warnings


def _versions(names: Sequence[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in sorted({*_LIBRARIES, *names})}
