"""Measure recall online: compare a share of the index's answers with those of exact search.

The trainer measures the recall of an index before it publishes a version, for the users that it tuned
the index with. This module measures it for the users of real calls. A call only queues its question. A
separate thread answers one question at a time by exact search, and then pauses so long that it doesn't
slow down the calls.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from operator import attrgetter
from queue import SimpleQueue

import numpy as np

from lightfm_retriever.hosting.observing.repeats import logger_of_calls
from retriever.answering import queries
from retriever.answering.queries import RankedRows
from retriever.answering.questions import Options, Search, UserSubject
from retriever.answering.snapshot import Snapshot
from retriever.counters import Counters

_log = logger_of_calls(__name__)

_EXACT = Search(exact=True)
# Options that exact search handles as the index does. All others must have their default.
_COMPARED = {
    "limit", "exclude_seen", "exclude_item_ids", "conditions", "unknown_ids", "explain",
}  # fmt: skip
_further = attrgetter(*(own.name for own in fields(Options) if own.name not in _COMPARED))
_USUAL = _further(Options())
# The pause after an exact answer, relative to its duration. The calls get that time.
_REST = 50


class Sampler:
    """Sample answers of Recommend, and count how many of the expected items they have.

    Args:
        share: share of the index's answers with tuned effort to compare, above 0.
        counters: counts the results.
        clock: returns seconds.
        drawn: returns a random number in 0..1, 1 excluded.
    """

    def __init__(
        self,
        share: float,
        counters: Counters,
        *,
        clock: Callable[[], float] = time.monotonic,
        drawn: Callable[[], float] = random.random,
    ) -> None:
        self._share = share
        self._counters = counters
        self._clock = clock
        self._drawn = drawn
        self._left = self._gap()
        # No sample is taken before this time: infinite while a sample is being compared.
        self._resting_until = -math.inf
        self._taking = threading.Lock()
        self._taken: SimpleQueue[tuple[Snapshot, UserSubject, Options, RankedRows]] = SimpleQueue()

    def start(self) -> None:
        """Start the thread that compares samples. It ends with the process."""
        threading.Thread(target=self._look_at_all, name="recall", daemon=True).start()

    def offer(
        self, snapshot: Snapshot, subject: UserSubject, options: Options, answer: RankedRows
    ) -> None:
        """Take an answer as a sample if it is due. Runs on the thread of the call."""
        if answer.exact or _further(options) != _USUAL:
            return
        # Two threads may count down at the same time: then the next sample comes one call later.
        self._left -= 1
        if self._left > 0:
            return
        with self._taking:
            self._left = self._gap()
            if self._clock() < self._resting_until:
                self._counters.skipped()
                return
            self._resting_until = math.inf
        self._taken.put((snapshot, subject, options, answer))

    def _gap(self) -> int:
        """Draw the number of calls to the next sample: cheaper than a random number for each call."""
        if self._share >= 1:
            return 1
        return 1 + int(math.log(1 - self._drawn()) / math.log1p(-self._share))

    def _look_at_all(self) -> None:
        while True:
            # No variable: it would keep the snapshot mapped until the next sample comes.
            self._look_at(*self._taken.get())

    def _look_at(
        self, snapshot: Snapshot, subject: UserSubject, options: Options, answer: RankedRows
    ) -> None:
        began = self._clock()
        try:
            found, expected = compare(snapshot, subject, options, answer)
        except Exception:
            _log.exception("couldn't compare an answer with exact search")
            self._counters.skipped()
        else:
            self._counters.sampled(snapshot.version, found=found, expected=expected)
        now = self._clock()
        self._resting_until = now + _REST * (now - began)


def compare(
    snapshot: Snapshot, subject: UserSubject, options: Options, answer: RankedRows
) -> tuple[int, int]:
    """Return how many expected items an answer has, and how many there are, by exact search.

    An item with the score of the last expected item counts as expected.
    """
    exact = replace(options, search=_EXACT, explain=False)
    plan = queries.plan_recommend(snapshot, subject, exact)
    best = queries.carry_out(snapshot, plan).rows
    if not len(best):
        return 0, 0
    # One product for all: two products round differently, and equal scores would differ.
    rows = np.concatenate([answer.rows, best])
    scores = plan.ranker.scores(plan.subject.query, rows)
    least = scores[len(answer.rows) :].min()
    found = np.isin(answer.rows, best) | (scores[: len(answer.rows)] >= least)
    return int(found.sum()), len(best)
