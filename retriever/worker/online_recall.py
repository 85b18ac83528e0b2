"""A share of the answers that an index gave is looked at again: what would exact search have answered?

The index's recall is measured before a version is published, of the users that it was tuned on. This
measures it of those who ask. A call only leaves its question behind; a thread of its own answers it,
one at a time, and then rests long enough that the calls don't notice.
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
# What exact search takes into account as the index did. All else has to be as it is by default.
_COMPARED = {
    "limit", "exclude_seen", "exclude_item_ids", "conditions", "unknown_ids", "explain",
}  # fmt: skip
_further = attrgetter(*(own.name for own in fields(Options) if own.name not in _COMPARED))
_USUAL = _further(Options())
# Times as long as an exact answer took: so much of the time is left to the calls.
_REST = 50


class Sampler:
    """Takes samples among the answers of Recommend, and counts what came of them.

    Args:
        share: of the answers that an index gave as it is tuned, how many are compared; over 0.
        counters: where that is counted.
        clock: seconds.
        drawn: a random number in 0..1, 1 excluded.
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
        # Until when no sample is taken: for ever while one is looked at.
        self._resting_until = -math.inf
        self._taking = threading.Lock()
        self._taken: SimpleQueue[tuple[Snapshot, UserSubject, Options, RankedRows]] = SimpleQueue()

    def start(self) -> None:
        """Look at samples from now on, on a thread that ends with the process."""
        threading.Thread(target=self._look_at_all, name="recall", daemon=True).start()

    def offer(
        self, snapshot: Snapshot, subject: UserSubject, options: Options, answer: RankedRows
    ) -> None:
        """Called with each answer, on the thread that answers it."""
        if answer.exact or _further(options) != _USUAL:
            return
        # Two threads may count one down together: then the next sample comes one call later.
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
        """Calls to the next sample: drawn once instead of a number for each call."""
        if self._share >= 1:
            return 1
        return 1 + int(math.log(1 - self._drawn()) / math.log1p(-self._share))

    def _look_at_all(self) -> None:
        while True:
            # Not kept in a variable: the snapshot would stay mapped until the next sample comes.
            self._look_at(*self._taken.get())

    def _look_at(
        self, snapshot: Snapshot, subject: UserSubject, options: Options, answer: RankedRows
    ) -> None:
        began = self._clock()
        try:
            found, expected = compare(snapshot, subject, options, answer)
        except Exception:
            _log.exception("an answer couldn't be compared with exact search")
            self._counters.skipped()
        else:
            self._counters.sampled(snapshot.version, found=found, expected=expected)
        now = self._clock()
        self._resting_until = now + _REST * (now - began)


def compare(
    snapshot: Snapshot, subject: UserSubject, options: Options, answer: RankedRows
) -> tuple[int, int]:
    """How many of the items that exact search finds an answer has, and how many those are.

    An item that scores as high as the last of them is as good as it.
    """
    exact = replace(options, search=_EXACT, explain=False)
    plan = queries.plan_recommend(snapshot, subject, exact)
    best = queries.carry_out(snapshot, plan).rows
    if not len(best):
        return 0, 0
    # By one product: each rounds in its own way, and equals would differ.
    rows = np.concatenate([answer.rows, best])
    scores = plan.ranker.exact.scores(plan.subject.query, rows)
    least = scores[len(answer.rows) :].min()
    found = np.isin(answer.rows, best) | (scores[: len(answer.rows)] >= least)
    return int(found.sum()), len(best)
