"""Answers of an index, compared with exact ones."""

import random
import threading
import weakref

import numpy as np
import pytest
from msgspec import structs

from retriever.answering.pages import Page
from retriever.answering.questions import Options, Search
from retriever.counters import Counters
from retriever.worker.online_recall import Sampler, compare
from tests import retrievable
from tests.clock import Clock
from tests.retrievable import FixedIndex, snapshot

# One component and the bias: item r scores r, so the best of six are 5, 4, 3.
ITEMS = [[row, 0] for row in range(6)]
USERS = [[1, 0]]
OPTIONS = Options(limit=3)


@pytest.fixture
def counters():
    made = Counters.create()
    made.serve("20261124T043500Z-3fa9c1")
    return made


def asked(rows, *, options=OPTIONS, items=ITEMS, **published):
    """What Recommend was asked, and answered by an index that proposes these rows."""
    served = snapshot(items, USERS, recommend=FixedIndex(rows), **published)
    return served, "user-0", options, retrievable.recommend(served, "user-0", options)


def counted(counters):
    counts = counters.read()
    return tuple(counts[name,] for name in ("samples", "skipped", "found", "expected"))


@pytest.mark.parametrize(
    ("proposed", "seen", "counts"),
    [
        *(([5, 4, 3], [], (3, 3)), ([5, 2, 1, 0], [], (1, 3)), ([0, 1, 2], [], (0, 3))),
        # What was seen is expected of nobody, and no more than there is.
        *(([5, 4, 3, 2, 1], [5, 4], (3, 3)), ([1], [5, 4, 3, 2], (1, 2)), ([5], range(6), (0, 0))),
    ],
)
def test_what_an_index_misses_is_counted(proposed, seen, counts):
    options = Options(limit=3, search=Search(effort=1.0))
    served, user, _, answer = asked(proposed, options=options, seen=[seen])
    cut = structs.replace(answer, rows=answer.rows[: len(proposed)])
    assert compare(served, user, OPTIONS, cut) == counts


def test_an_item_as_good_as_the_last_expected_counts_as_found_however_scores_are_rounded():
    """Ids order equals: item-2 and item-3 go before item-4 and item-5."""
    items = [[1, 0], [1, 0], [7, 0], [3, 0], [3, 0], [3, 0]]
    assert compare(*asked([2, 5, 4], items=items)) == (3, 3)
    assert compare(*asked([2, 5, 0], items=items)) == (2, 3)
    # A product of few rows may round otherwise than one of all.
    random = np.random.default_rng(1)
    items = random.normal(size=(500, 33)).astype(np.float32)
    user = random.normal(size=(1, 33)).astype(np.float32)
    order = np.argsort(-(items @ np.append(user[0, :-1], 1)))
    # Twins of the last one expected, all over the catalogue.
    twins = order[[9, *range(20, 40)]]
    items[twins] = items[order[9]]
    served = snapshot(items, user, recommend=FixedIndex([*order[:9], twins.max()]))
    answer = retrievable.recommend(served, "user-0")
    assert compare(served, "user-0", Options(), answer) == (10, 10)


def test_after_each_sample_the_calls_have_the_time_to_themselves(counters):
    clock = Clock(0.0)
    sampler = Sampler(1.0, counters, clock=clock)
    question = asked([5, 4, 3])

    sampler.offer(*question)
    # One at a time: the others aren't kept.
    sampler.offer(*question)
    assert (sampler._taken.qsize(), counted(counters)[1]) == (1, 1)
    # Time passes while it is looked at.
    times = iter([0.0, 0.1])
    sampler._clock = lambda: next(times)
    sampler._look_at(*sampler._taken.get_nowait())
    sampler._clock = clock
    clock.now = 5.0
    sampler.offer(*question)
    assert (sampler._taken.qsize(), counted(counters)[1]) == (0, 2)
    clock.now += 0.2
    sampler.offer(*question)
    assert (sampler._taken.qsize(), counted(counters)[1]) == (1, 2)


def test_answers_that_exact_search_would_not_give_are_not_compared(counters):
    sampler = Sampler(1.0, counters)
    sampler.offer(*asked([5, 4, 3], options=Options(limit=3, search=Search(exact=True))))
    served, user, _, answer = asked([5, 4, 3])
    for changes in ({"search": Search(effort=2.0)}, {"diversity": 0.5}, {"page": Page(b"", "")}):
        sampler.offer(served, user, Options(limit=3, **changes), answer)
    assert sampler._taken.empty()
    assert counted(counters) == (0, 0, 0, 0)


def test_a_sample_that_fails_is_skipped_and_the_next_one_is_looked_at(counters, caplog):
    served, user, options, answer = asked([5, 4, 3])
    sampler = Sampler(1.0, counters)
    sampler._look_at(served, "nobody", options, answer)
    assert "couldn't compare an answer" in caplog.text
    sampler._look_at(served, user, options, answer)
    assert counted(counters) == (1, 1, 3, 3)


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_the_share_is_what_is_asked_for(counters, share):
    drawn = random.Random(1)  # noqa: S311
    sampler = Sampler(share, counters, drawn=drawn.random)
    question = asked([5, 4, 3])
    calls, taken = int(200 / share), 0
    for _ in range(calls):
        sampler.offer(*question)
        if not sampler._taken.empty():
            sampler._taken.get()
            sampler._resting_until = 0.0
            taken += 1
    # 200 expected, with a standard deviation of at most 14.
    assert abs(taken - 200) <= 56
    assert share < 1 or taken == 200


def test_a_sample_is_looked_at_on_another_thread_which_lets_go_of_its_snapshot_then(counters):
    """Or an old version's files would stay mapped until the next sample comes."""
    gone = threading.Event()
    sampler = Sampler(1, counters)
    sampler.start()
    served, *asked_and_answered = asked([5, 2, 1])
    watched = weakref.ref(served, lambda _: gone.set())
    sampler.offer(served, *asked_and_answered)
    del served
    assert gone.wait(30)
    assert watched() is None
    assert counted(counters) == (1, 0, 1, 3)
