"""Both indexes of a publication: chosen, measured as they are asked, and staged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.manifest import IndexFacts, MeasuredSetting
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import user_queries
from lightfm_retriever.publication.writer import Staging
from trainer.errors import RecallError
from trainer.evaluation.served_precision import served_precision
from trainer.fitting.embeddings import Embeddings
from trainer.index import stand_ins
from trainer.index.measure import Questions
from trainer.index.protocol import Backend, Space
from trainer.index.tuning import TunedIndex, TuningOptions, tune
from trainer.progress import Reporter
from trainer.publishing.publishable import Publishable

SPACES: dict[str, Space] = {layout.SIMILAR: "cosine", layout.RECOMMEND: "inner_product"}


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """Which backends to choose among, and what is enough.

    Attributes:
        backends: to choose among.
        options: of the choice.
        fall_back: whether another backend or exact search may stand in where none of these reaches the
            target (see trainer.index.tuning). Where missing it is an error none does.
    """

    backends: Sequence[Backend]
    options: TuningOptions = field(default_factory=TuningOptions)
    fall_back: bool = True

    @property
    def tuning(self) -> TuningOptions:
        """The options, with what may stand in."""
        if not self.fall_back or self.options.strict:
            return self.options
        return replace(self.options, stand_ins=stand_ins(self.backends))


@dataclass(frozen=True)
class Indexed:
    """An index that was staged; see TunedIndex, which also holds it open.

    Attributes:
        name: of the index.
        facts: for the manifest.
        reached: whether it finds enough.
        backend: that built it.
        instead_of: the best of those that were asked for, where another one stands in.
        metrics: what was measured of answers as they are served.
        by_items: whether it was measured with items as queries.
    """

    name: str
    facts: IndexFacts
    reached: bool
    backend: Backend
    instead_of: MeasuredSetting | None
    metrics: Mapping[str, float]
    by_items: bool

    @property
    def warnings(self) -> list[str]:
        """What whoever publishes should know, in sentences."""
        facts, warnings = self.facts, []
        exact, took = facts.trials[0], facts.query_microseconds
        found = f"{facts.recall_at_10:.4f} by {facts.backend} in {took:.0f} µs"
        if self.instead_of is not None:
            warnings.append(self._told_of_the_stand_in(found))
        if not self.reached:
            warnings.append(
                f"index {self.name!r} reaches recall@10 {found}, below the target of "
                f"{facts.target_recall}: exact search, which finds all, takes "
                f"{exact.query_microseconds:.0f} µs (--backend exact)"
            )
        elif took > exact.query_microseconds:
            warnings.append(
                f"index {self.name!r}: exact search takes {exact.query_microseconds:.0f} µs, "
                f"{facts.backend} {took:.0f} µs: a catalogue of this size needs no index "
                "(--backend auto)"
            )
        if self.by_items:
            warnings.append(
                f"index {self.name!r} was measured with items as queries, since there is no user"
            )
        return warnings

    def _told_of_the_stand_in(self, found: str) -> str:
        asked, used = self.instead_of, self.facts.backend
        assert asked is not None  # noqa: S101 - something stands in
        needs = ""
        if self.backend.distribution is not None:
            needs = f"; retrievers need {self.backend.distribution} for it"
        return (
            f"index {self.name!r}: {asked.backend} reaches recall@10 {asked.recall_at_10:.4f} at best, "
            f"below the target of {self.facts.target_recall}, so "
            f"{'exact search' if used == 'exact' else used} is used: recall@10 {found}{needs}"
        )


def build_index(
    name: str,
    source: Publishable,
    ranks: NDArray[np.int32],
    staging: Staging,
    indexing: Indexing,
    reporter: Reporter,
) -> Indexed:
    """Choose and stage one of SPACES, and measure what it serves; `ranks` order items of equal scores.

    Raises:
        RecallError: it finds less than is asked for and that is an error.
        OSError: a file can't be written.
    """
    embeddings, options = source.embeddings, indexing.tuning
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
    metrics = {}
    if name == layout.RECOMMEND and source.held_out is not None:
        # Before its file moves, which some indexes open again.
        metrics = served_precision(
            tuned, embeddings, ranks, seen=source.seen, held_out=source.held_out, seed=options.seed
        )
    return Indexed(
        name,
        _stage_index(staging, name, tuned),
        tuned.reached,
        tuned.backend,
        tuned.instead_of,
        metrics,
        by_items=name == layout.RECOMMEND and not len(source.users),
    )


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
        asked, excluded = vectors, ragged.empty(len(vectors))
    return Questions(
        vectors, asked, "inner_product", excluded=excluded, seed=seed, prepare=user_queries
    )


def _stage_index(staging: Staging, name: str, tuned: TunedIndex) -> IndexFacts:
    if tuned.path is None:
        return tuned.facts
    file = layout.index_file(name, tuned.facts.backend)
    tuned.path.rename(staging.path(file))
    return replace(tuned.facts, file=file)
