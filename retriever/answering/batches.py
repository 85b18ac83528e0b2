"""Many questions at once, from one snapshot: each gets the answer that it would get alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from lightfm_retriever.hosting.observing.spans import span
from retriever.answer_words import Source
from retriever.answering.queries import Plan, RankedRows, carry_out, finish
from retriever.answering.questions import Checkpoint, always_wanted
from retriever.answering.search import Found, rank_all_for
from retriever.answering.snapshot import Snapshot

MAX_REQUESTS = 256
MAX_RESULTS = 10_000

# Up to so many items, scoring all for many queries takes less time than asking an index for each.
_PRODUCT_ITEMS = 10_000
# Numbers in one product: 16 MB.
_PRODUCT_SIZE = 4 << 20

_Question = TypeVar("_Question")


def answer_all(
    snapshot: Snapshot,
    questions: Sequence[_Question],
    plan: Callable[[_Question], Plan],
    *,
    checkpoint: Checkpoint = always_wanted,
) -> list[RankedRows | Exception]:
    """For each question its answer, or the error that it fails with, alone.

    Args:
        snapshot: where all answers come from.
        questions: anything that `plan` takes.
        plan: looks one up in the snapshot.
        checkpoint: called between the stages; what it raises ends the whole batch.
    """
    plans: list[Plan | Exception] = []
    for question in questions:
        try:
            plans.append(plan(question))
        except Exception as error:
            plans.append(error)
    checkpoint()
    with span("search", questions=len(plans)):
        return _answers(snapshot, plans, checkpoint)


def _answers(
    snapshot: Snapshot, plans: Sequence[Plan | Exception], checkpoint: Checkpoint
) -> list[RankedRows | Exception]:
    together = [
        place for place, made in enumerate(plans) if isinstance(made, Plan) and _is_for_a_product(made)
    ]
    found = _products(plans, together, checkpoint)
    answers: list[RankedRows | Exception] = []
    for place, made in enumerate(plans):
        if isinstance(made, Exception):
            answers.append(made)
            continue
        own = found.get(place)
        if own is None:
            checkpoint()
        try:
            own = own or carry_out(snapshot, made)
            answers.append(finish(snapshot, made, own))
        except Exception as error:
            answers.append(error)
    return answers


def _is_for_a_product(plan: Plan) -> bool:
    """Whether to score all items for it, together with other questions."""
    if plan.wanted.filter is not None or plan.subject.source is Source.POPULAR:
        return False
    if plan.options.page is not None:
        # A product rounds otherwise than the next page's search will, so equals may change places.
        return False
    ranker = plan.ranker
    return (
        plan.options.search.exact or ranker.index is ranker.exact or plan.wanted.items <= _PRODUCT_ITEMS
    )


def _products(
    plans: Sequence[Plan | Exception], places: Sequence[int], checkpoint: Checkpoint
) -> dict[int, Found]:
    chosen = [(place, plan) for place in places if isinstance(plan := plans[place], Plan)]
    if not chosen:
        return {}
    ranker, items = chosen[0][1].ranker, chosen[0][1].wanted.items
    step = max(1, _PRODUCT_SIZE // items)
    found: dict[int, Found] = {}
    for start in range(0, len(chosen), step):
        checkpoint()
        part = chosen[start : start + step]
        results = rank_all_for(
            ranker,
            np.stack([plan.subject.query for _, plan in part]),
            [plan.count for _, plan in part],
            [plan.wanted.excluded for _, plan in part],
            items,
        )
        found.update(zip((place for place, _ in part), results, strict=True))
    return found
