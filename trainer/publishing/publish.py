"""Make a publication of embeddings: choose and measure indexes, stage, verify, publish."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes
from lightfm_retriever.publication.manifest import IndexFacts, Manifest, ModelFacts, RunFacts
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import row_norms
from lightfm_retriever.publication.writer import Staging
from trainer.errors import RecallError
from trainer.evaluation.of_vectors import evaluate_served
from trainer.fitting import warm_start
from trainer.fitting.embeddings import Embeddings, check_servable
from trainer.fitting.folding import servable_fold_in
from trainer.index import distributions, stand_ins
from trainer.index.protocol import Backend
from trainer.index.tuning import TuningOptions, tune
from trainer.index.ways import with_ways
from trainer.preparing.dataset import id_ranks, most_popular, seen_popularity
from trainer.progress import Reporter
from trainer.publishing.index_warnings import warnings_of, way_warnings
from trainer.publishing.publishable import Publishable
from trainer.publishing.questions import SPACES, other_ways, questions
from trainer.timings import Timings

_NO_SESSIONS = (
    "this version can't answer sessions: the lengths of item and user vectors differ too much to turn "
    "a session into a vector"
)
_LIBRARIES = ("lightfm-retriever", "marisa-trie", "numpy")


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """The backends to choose among, and the options of the choice.

    Attributes:
        fall_back: whether another backend or exact search may be used if none of these reaches the
            target (see trainer.index.tuning). Ignored if missing the target is an error.
    """

    backends: Sequence[Backend]
    options: TuningOptions = field(default_factory=TuningOptions)
    fall_back: bool = True


@dataclass(frozen=True)
class Published:
    """A published version; `seconds` are by stage."""

    manifest: Manifest
    seconds: Mapping[str, float]
    warnings: list[str]


@dataclass(frozen=True)
class _Content:
    """What the indexes are made of and measured by.

    Attributes:
        source: with the vectors mapped from the staged files.
        ranks: (items,) int32, which break ties of equal scores.
        fold_in: for sessions; None if there are none.
    """

    source: Publishable
    ranks: NDArray[np.int32]
    fold_in: FoldIn | None


@dataclass(frozen=True)
class _Indexed:
    """A staged index: facts for the manifest, metrics of its answers, and warnings."""

    name: str
    facts: IndexFacts
    backend: Backend
    metrics: Mapping[str, float]
    warnings: Sequence[str]


def publish(
    source: Publishable, volume: Path, *, indexing: Indexing, timings: Timings, reporter: Reporter
) -> Published:
    """Build and measure the indexes, write and verify all files, and publish the version.

    Raises:
        RecallError: an index misses the target recall, and the options make that an error.
        VectorError: the vectors can't be served.
        PublicationError: the volume can't be used.
    """
    if source.embeddings is not None:
        check_servable(source.embeddings)
    if source.user_features is not None:
        source.user_features.check_servable()
    ranks = id_ranks(source.items)
    with Staging(volume, clock=timings.clock) as staging:
        indexed: list[_Indexed] = []
        content = _Content(source, ranks, None)
        if source.neighbours is not None:
            _stage_neighbours(staging, source)
        else:
            with timings.stage("index"):
                # Write the vectors first: later steps map the file, and its pages can be reclaimed.
                source = _stage_vectors(staging, source)
                content = _Content(source, ranks, _fold_in(source, seed=indexing.options.seed))
                indexed = [_index(name, content, staging, indexing, reporter) for name in SPACES]
        served = {name: value for index in indexed for name, value in index.metrics.items()}
        metrics = source.metrics | served
        if served:
            reporter.metrics(metrics)
        with timings.stage("publish"):
            _stage_files(staging, source)
            attributes = Attributes.build(source.attributes, len(source.items))
            staging.add_attributes(attributes)
            warnings = _stage_cold(staging, content)
            name = source.facts.name
            backends = [*indexing.backends, *(own.backend for own in indexed)] if indexed else []
            libraries = {*_LIBRARIES, *source.libraries, *distributions(backends)}
            sealed = staging.seal(
                Manifest(
                    items=len(source.items),
                    users=len(source.users),
                    components=0 if source.embeddings is None else source.embeddings.components,
                    model=ModelFacts(family=source.family, kind=source.kind) if source.family else None,
                    run=RunFacts(
                        id=timings.run_id,
                        started_at=timings.started_at.isoformat(),
                        seconds=dict(timings.seconds),
                    ),
                    libraries={own: importlib.metadata.version(own) for own in sorted(libraries)},
                    # The name of a file may be any bytes, but a manifest is text.
                    dataset=replace(source.facts, name=name.encode("utf-8", "replace").decode()),
                    hyperparameters=source.hyperparameters,
                    metrics=metrics,
                    evaluation=source.evaluation,
                    indexes={index.name: index.facts for index in indexed},
                    attributes=[*attributes.facts],
                    candidates=[*source.trials],
                )
            )
        # Verify before the version becomes visible, since it can't be withdrawn afterwards.
        with timings.stage("verify"):
            staging.verify(sealed)
        manifest = staging.appear(sealed)
    warnings += [sentence for index in indexed for sentence in index.warnings]
    return Published(manifest, timings.seconds, warnings)


def _index(
    name: str,
    content: _Content,
    staging: Staging,
    indexing: Indexing,
    reporter: Reporter,
) -> _Indexed:
    """Choose and stage one of SPACES, and measure its answers in all ways of asking.

    Raises:
        RecallError: the index misses the target recall, and the options make that an error.
        OSError: a file can't be written.
    """
    source, options = content.source, indexing.options
    embeddings = source.vectors
    if indexing.fall_back and not options.strict:
        options = replace(options, stand_ins=stand_ins(indexing.backends))
    tuned = tune(
        indexing.backends,
        questions(name, embeddings, source.seen, seed=options.seed),
        staging.scratch(name),
        options,
        reporter=reporter,
        name=name,
    )
    if options.strict and not tuned.reached:
        reached, by = tuned.facts.recall_at_10, tuned.facts.backend
        raise RecallError(name, target=options.target_recall, reached=reached, by=by)
    ways = other_ways(name, source, content.fold_in, seed=options.seed)
    facts = with_ways(tuned.facts, tuned.choice, ways)
    if options.strict and (reached := facts.worst_recall_at_10) < options.target_recall:
        by = f"{facts.backend} for {facts.worst_way!r} questions"
        raise RecallError(name, target=options.target_recall, reached=reached, by=by)
    metrics = {}
    if name == layout.RECOMMEND and source.held_out is not None:
        # Measure before the file moves, since some indexes open it again.
        metrics = evaluate_served(
            tuned,
            embeddings,
            content.ranks,
            seen=source.seen,
            held_out=source.held_out,
            seed=options.seed,
        )
    if tuned.path is not None:
        facts = replace(facts, file=layout.index_file(name, facts.backend))
        tuned.path.rename(staging.path(str(facts.file)))
    warnings = [*warnings_of(name, tuned), *way_warnings(name, facts)]
    if name == layout.RECOMMEND and not len(source.users):
        warnings.append(f"index {name!r} was measured with items as queries, since there are no users")
    return _Indexed(name, facts, tuned.backend, metrics, warnings)


def _stage_vectors(staging: Staging, source: Publishable) -> Publishable:
    """Write all vectors; returns the same source with the vectors mapped from the files."""
    own = source.vectors
    sides = {layout.ITEM_VECTORS: own.item_vectors, layout.USER_VECTORS: own.user_vectors}
    for name, vectors in sides.items():
        staging.add_array(name, vectors)
        sides[name] = map_array(staging.path(name), np.float32, vectors.shape)
    return replace(source, embeddings=Embeddings(*sides.values()))


def _stage_neighbours(staging: Staging, source: Publishable) -> None:
    """Write the neighbours of items, and the profiles of users where these aren't the seen items."""
    neighbours, profiles, seen = source.neighbours, source.profiles, source.seen
    assert neighbours is not None  # noqa: S101 - an item-item model has both
    assert profiles is not None  # noqa: S101
    staging.add_neighbours(neighbours)
    if not all(
        np.array_equal(getattr(profiles, part), getattr(seen, part)) for part in ("offsets", "values")
    ):
        staging.add_ragged(layout.PROFILE_OFFSETS, layout.PROFILE_ITEMS, profiles)


def _stage_files(staging: Staging, source: Publishable) -> None:
    staging.add_id_map(layout.ITEM_IDS, source.items)
    staging.add_id_map(layout.USER_IDS, source.users)
    if source.embeddings is not None:
        staging.add_array(layout.ITEM_NORMS, row_norms(source.embeddings.item_embeddings))
    staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, source.seen)
    if source.held_out is not None:
        staging.add_ragged(layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, source.held_out)
    if source.state is not None:
        warm_start.stage(staging, source.state)
    if source.titles is not None:
        titles = ragged.from_texts(source.titles)
        staging.add_ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, titles)


def _fold_in(source: Publishable, *, seed: int) -> FoldIn | None:
    """Return the fold-in of sessions, learned unless it made the users' vectors; None for none."""
    if source.fold_in is not None:
        # One that is learned from folded vectors would shrink twice.
        return source.fold_in
    return servable_fold_in(source.vectors, source.seen, seed=seed)


def _stage_cold(staging: Staging, content: _Content) -> list[str]:
    """Write the files for users without a vector, and the ranks that break ties; returns warnings."""
    source, ranks = content.source, content.ranks
    popularity = source.popularity
    if popularity is None:
        popularity = seen_popularity(source.seen, len(source.items))
    staging.add_array(layout.ID_RANKS, ranks)
    staging.add_array(layout.POPULARITY, popularity)
    staging.add_array(layout.POPULAR_ITEMS, most_popular(popularity, ranks))
    if source.user_features is not None:
        source.user_features.stage(staging)
    if source.neighbours is not None:
        # Sessions need no more than the neighbours.
        return []
    if content.fold_in is None:
        return [_NO_SESSIONS]
    staging.add_array(layout.FOLD_IN, content.fold_in.array)
    return []
