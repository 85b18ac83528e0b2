"""Answer many questions from one snapshot. Each gets the same answer as it would get alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.answer_words import Source
from retriever.answering.queries import Plan, RankedRows, carry_out, finish
from retriever.answering.questions import Checkpoint, always_wanted
from retriever.answering.search import Found, VectorRanker, Wanted
from retriever.answering.snapshot import Snapshot

MAX_REQUESTS = 256
MAX_RESULTS = 10_000

# Up to this many items, scoring all items for many queries at once is faster than using an index.
_PRODUCT_ITEMS = 10_000
# Most numbers in one product: 16 MB.
_PRODUCT_SIZE = 4 << 20

_Question = TypeVar("_Question")


def answer_all(
    snapshot: Snapshot,
    questions: Sequence[_Question],
    plan: Callable[[_Question], Plan],
    *,
    checkpoint: Checkpoint = always_wanted,
) -> list[RankedRows | Exception]:
    """Return for each question its answer or its own error.

    Args:
        snapshot: the version that all answers come from.
        questions: arguments for `plan`.
        plan: looks up a question in the snapshot.
        checkpoint: called between the stages. If it raises an error, the whole batch ends.
    """
    plans: list[Plan | Exception] = []
    for question in questions:
        try:
            plans.append(plan(question))
        except Exception as error:
            plans.append(error)
    with checkpoint("search", questions=len(plans)):
        found = _products(plans, checkpoint)
        answers: list[RankedRows | Exception] = []
        for place, made in enumerate(plans):
            if isinstance(made, Exception):
                answers.append(made)
                continue
            own = found.get(place)
            if own is None:
                checkpoint()
            try:
                answers.append(finish(snapshot, made, own or carry_out(snapshot, made)))
            except Exception as error:
                answers.append(error)
        return answers


def _is_for_a_product(plan: Plan) -> bool:
    """Return whether to score all items for a plan, together with other plans."""
    if plan.wanted.filter is not None or plan.subject.source is Source.POPULAR:
        return False
    if plan.options.page is not None:
        # A product rounds differently from the search of the next page, so equal scores may swap
        # places.
        return False
    ranker = plan.ranker
    if not isinstance(ranker, VectorRanker):
        # Sums of neighbours take no less time together.
        return False
    return plan.options.search.exact or ranker.index is None or plan.wanted.items <= _PRODUCT_ITEMS


def _products(plans: Sequence[Plan | Exception], checkpoint: Checkpoint) -> dict[int, Found]:
    """Search for the plans that a product is for. Returns the results by the places of the plans."""
    chosen = [
        (place, plan)
        for place, plan in enumerate(plans)
        if isinstance(plan, Plan) and _is_for_a_product(plan)
    ]
    found: dict[int, Found] = {}
    step = max(1, _PRODUCT_SIZE // chosen[0][1].wanted.items) if chosen else 1
    for start in range(0, len(chosen), step):
        checkpoint()
        places, part = zip(*chosen[start : start + step], strict=True)
        queries = np.stack([plan.subject.query for plan in part])
        ranker = part[0].ranker
        assert isinstance(ranker, VectorRanker)  # noqa: S101 - others aren't for a product
        results = _rank_all_for(ranker, queries, [plan.wanted for plan in part])
        found.update(zip(places, results, strict=True))
    return found


def _rank_all_for(ranker: VectorRanker, queries: Float32Array, wanted: Sequence[Wanted]) -> list[Found]:
    """Rank all items for several queries (q, d) without filters, by one matrix product.

    The results are those of `find` for each query; scores differ by rounding only.
    """
    items = wanted[0].items
    scores = ranker.exact.scores_for(queries)
    for own, one in zip(scores, wanted, strict=True):
        own[one.excluded] = -np.inf
    # Keep the scores from the `most`-th on, as in `best`, for all queries at once.
    most = min(max(one.count for one in wanted), items)
    thresholds = np.partition(scores, items - most, axis=1)[:, items - most]
    # In one dimension, because that takes a tenth of the time.
    flat = np.flatnonzero(scores >= thresholds[:, None])
    chosen = scores.ravel()[flat]
    places, rows = np.divmod(flat, items)
    order = np.lexsort((ranker.ties_of(rows), -chosen, places))
    rows, chosen = rows[order], chosen[order]
    starts = np.searchsorted(places, np.arange(len(queries))).tolist()
    found = []
    for start, one in zip(starts, wanted, strict=True):
        excluded = len(one.excluded)
        end = start + min(one.count, items - excluded)
        found.append(
            Found(rows[start:end], chosen[start:end], 0, items, excluded, items, items - excluded)
        )
    return found
