"""Answer questions from one snapshot. This module depends on no gRPC, threads or clocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.search_effort import Way
from lightfm_retriever.publication.storage.id_map import Rows
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from retriever.answer_words import ShortReason, Source
from retriever.answering import pages
from retriever.answering.diversity import diversify, pool_size
from retriever.answering.filters import EmptyRange, UnknownValue, look_up
from retriever.answering.model import Ranker, ScoreParts, Subject
from retriever.answering.pages import START, Page, Position
from retriever.answering.popular import find_popular
from retriever.answering.questions import (
    MAX_NAMED_EXCLUDED,
    Checkpoint,
    ItemSubject,
    Options,
    UserSubject,
    always_wanted,
)
from retriever.answering.search import NOTHING, Found, Wanted
from retriever.answering.snapshot import Snapshot
from retriever.answering.subjects import explain, item_subject, user_subject

_SEEN_TOO: dict[Way, Way] = {"usual": "with_seen", "session": "session_with_seen"}


class RankedRows(msgspec.Struct, frozen=True):
    """Ranked items, and how they were found.

    Attributes:
        rows, scores: item rows (k,) int64 and their scores (k,) float32, best first, equal scores by
            item id.
        source: how the items are ranked.
        exact: whether all items that may be returned were scored.
        candidates: number of items that were examined.
        filtered: number of examined items that may not be returned.
        short: why there are fewer items than the limit; None when there are as many.
        unknown: ids of the request that the version doesn't have, including the first few exclusions.
        unknown_values: values of the conditions that no item has.
        empty_ranges: ranges of the conditions that contain no item's number.
        next_page: the token of the next page; empty when there is none, or when no pages are wanted.
        explanations: the explanation of each item, if requested.
    """

    rows: Rows
    scores: Float32Array
    source: Source
    exact: bool
    candidates: int
    filtered: int
    short: ShortReason | None = None
    unknown: Sequence[str] = ()
    unknown_values: Sequence[UnknownValue] = ()
    empty_ranges: Sequence[EmptyRange] = ()
    next_page: str = ""
    explanations: Sequence[ScoreParts] = ()


class Plan(msgspec.Struct, frozen=True):
    """A question that was looked up in a snapshot: the input of the search."""

    ranker: Ranker
    subject: Subject
    options: Options
    wanted: Wanted
    unknown: Sequence[str]


def plan_similar_items(
    snapshot: Snapshot, subject: ItemSubject, options: Options, checkpoint: Checkpoint = always_wanted
) -> Plan:
    """Plan a search for the items most like an item, or like several: by cosine or as neighbours.

    Raises:
        InvalidArgumentError: the options don't fit the version, or the items have no mean.
        UnknownIdError: the version doesn't have an item.
        NotPublishedError: the version lacks data that the request needs.
        PageExpiredError: the page token belongs to another version.
    """
    found = item_subject(snapshot, subject, options.unknown_ids)
    return _plan(snapshot, snapshot.model.similar, found, found.own, options, checkpoint)


def plan_recommend(
    snapshot: Snapshot, subject: UserSubject, options: Options, checkpoint: Checkpoint = always_wanted
) -> Plan:
    """Plan a search for the items with the highest scores of the model for a user.

    Raises the same errors as plan_similar_items.
    """
    found = user_subject(snapshot, subject, options.unknown_ids)
    own = found.own if options.exclude_seen else NOTHING
    return _plan(snapshot, snapshot.model.recommend, found, own, options, checkpoint)


def _plan(
    snapshot: Snapshot,
    ranker: Ranker,
    subject: Subject,
    excluded: NDArray[np.int32],
    options: Options,
    checkpoint: Checkpoint,
) -> Plan:
    publication, unknown = snapshot.publication, subject.unknown
    if options.exclude_item_ids:
        rows = {one: publication.items.row(one) for one in options.exclude_item_ids}
        others = np.array([row for row in rows.values() if row is not None], dtype=np.int32)
        excluded = np.union1d(excluded, others)
        # Report only the first few unknown exclusions.
        absent = islice((one for one, row in rows.items() if row is None), MAX_NAMED_EXCLUDED)
        unknown = [*dict.fromkeys([*unknown, *absent])]
    items = snapshot.items
    found = None
    if options.conditions:
        with checkpoint("filter"):
            found = look_up(options.conditions, publication.attributes, items)
    position, count = START, options.limit
    if options.page is not None:
        position = pages.decode(options.page, version=snapshot.version, key=_key(snapshot))
        count = max(0, min(count, pages.MAX_RESULTS - position.offset))
    elif options.diversity:
        count = pool_size(count)
    way = subject.way if options.exclude_seen else _SEEN_TOO.get(subject.way, subject.way)
    wanted = Wanted(count, items, excluded, found, options.search, position, way)
    return Plan(ranker, subject, options, wanted, unknown)


def answer(snapshot: Snapshot, plan: Plan, checkpoint: Checkpoint = always_wanted) -> RankedRows:
    """Search and build the answer. Raises NotPublishedError."""
    with checkpoint("search"):
        found = carry_out(snapshot, plan, checkpoint)
    return finish(snapshot, plan, found)


def carry_out(snapshot: Snapshot, plan: Plan, checkpoint: Checkpoint = always_wanted) -> Found:
    """Search. Raises NotPublishedError."""
    if plan.subject.source is Source.POPULAR:
        return find_popular(snapshot, plan.wanted)
    return plan.ranker.find(plan.subject.query, plan.wanted, checkpoint)


def finish(snapshot: Snapshot, plan: Plan, found: Found) -> RankedRows:
    """Build the answer from the results of a search."""
    subject, options, asked = plan.subject, plan.options, plan.wanted.filter
    if options.diversity:
        embeddings = snapshot.model.embeddings(found.rows)
        order = diversify(found.scores, embeddings, options.limit, options.diversity)
        found = replace(found, rows=found.rows[order], scores=found.scores[order])
    short = _why_short(found, plan) if len(found.rows) < options.limit else None
    next_page = ""
    if options.page is not None and short is None:
        next_page = _next_page(snapshot, options.page, plan.wanted.position, found)
    return RankedRows(
        found.rows,
        found.scores + subject.constant,
        subject.source,
        not found.width,
        found.candidates,
        found.filtered,
        short,
        plan.unknown,
        () if asked is None else asked.unknown_values,
        () if asked is None else asked.empty_ranges,
        next_page,
        explain(snapshot, subject, found.rows) if options.explain else (),
    )


def _next_page(snapshot: Snapshot, page: Page, position: Position, found: Found) -> str:
    width = position.width if position.offset else found.width
    after = Position(width, position.offset + len(found.rows))
    if after.offset >= pages.MAX_RESULTS or after.offset == found.total:
        return ""
    return pages.encode(after, page, version=snapshot.version, key=_key(snapshot))


def _key(snapshot: Snapshot) -> str:
    facts = snapshot.publication.manifest
    return facts.files[layout.SCORING_FILES[facts.kind]].sha256


def _why_short(found: Found, plan: Plan) -> ShortReason:
    start = plan.wanted.position.offset
    if start + len(found.rows) >= pages.MAX_RESULTS:
        return ShortReason.PAGE_LIMIT
    if found.without_evidence:
        return ShortReason.NO_EVIDENCE
    if found.matching is not None and found.matching < start + plan.options.limit:
        return ShortReason.CATALOGUE if plan.wanted.filter is None else ShortReason.FILTER
    return ShortReason.EXCLUSIONS
