import functools
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.vectors.vector_space import unit_rows
from tests.unit.trainer.index import cases
from tests.unit.trainer.index.cases import SPACES, nothing, own, rows, scores
from trainer.index import measure as module
from trainer.index.measure import Questions

COUNT = 50
vectors = functools.partial(cases.vectors, COUNT, 4)


def searching(of, answer, *, candidates=0):
    """An index that answers as it is told and notes what it was asked."""

    def search(query, count, effort, relative=1.0):
        index.asked.append((query.tolist(), count, effort * relative))
        return np.asarray(answer(query, count), dtype=np.int64)

    index = SimpleNamespace(search=search, asked=[])
    return replace(cases.build("exact", of, "cosine", Path()), index=index, candidates=candidates)


def best_of(of):
    return lambda query, count: np.argsort(-(of @ query))[:count]


def asking(of, queries, space="inner_product", *, excluded=None, seed=1, **options):
    excluded = nothing(len(queries)) if excluded is None else excluded
    return Questions(of, queries, space, excluded=excluded, seed=seed, **options)


def recall(built, of, queries, space="inner_product", *, excluded=None):
    return asking(of, queries, space, excluded=excluded).ask(built, 1).recall


def test_more_candidates_are_scored_exactly_before_the_best_ten_are_kept():
    of, queries = vectors(), vectors(seed=2)
    built = searching(of, lambda query, count: np.argsort(of @ query)[-count:], candidates=30)
    assert recall(built, of, queries) == 1.0
    assert {count for _, count, _ in built.index.asked} == {30}
    # Without, no more are asked for than there can be answers.
    built = searching(of, best_of(of))
    questions = asking(of, queries, excluded=rows([[row % 7] for row in range(COUNT)]))
    assert questions.ask(built, 23).recall == 1.0
    assert {asked[1:] for asked in built.index.asked} == {(11, 23)}


def test_what_is_as_good_as_the_tenth_counts():
    of = np.concatenate([np.ones((20, 4)), -np.ones((20, 4))]).astype(np.float32)
    query = np.ones((1, 4), dtype=np.float32)
    for first, expected in ((10, 1.0), (15, 0.5), (20, 0.0)):
        built = searching(of, lambda *_: range(first, first + 10))  # noqa: B023
        assert recall(built, of, query) == expected
    of = np.outer(np.arange(1, 41), [1, 2, 3, 4]).astype(np.float32)
    shortest = searching(of, lambda *_: range(10))
    assert recall(shortest, of, query, "cosine") == 1.0
    assert recall(shortest, of, query) == 0.0

    # One item that is much longer doesn't make the others equal.
    of, query = vectors(), cases.vectors(1, 4, seed=2)
    worst = searching(of, lambda query, _: np.argsort(of @ query)[1:11])
    for direction in (1, -1):
        of[0] = direction * 1e6 * query[0]
        assert recall(worst, of, query) == 0.0


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(SPACES))
def test_recall_is_as_the_definition_has_it(count, seed, space):
    random = np.random.default_rng(seed)
    of, queries = cases.vectors(count, 4, seed=seed), cases.vectors(7, 4, seed=seed + 1)
    sizes = random.integers(0, count + 1, 7)
    excluded = [np.sort(random.choice(count, size, replace=False)) for size in sizes]
    found = wanted = 0
    answers = {}
    for query, gone in zip(unit_rows(queries) if space == "cosine" else queries, excluded, strict=True):
        answer = random.permutation(count)[: random.integers(0, count + 1)]
        answers[tuple(query.tolist())] = answer
        true = scores(of, query, space)
        allowed = np.setdiff1d(np.arange(count), gone)
        best = {*allowed[np.argsort(-true[allowed])][:10].tolist()}
        kept = np.setdiff1d(answer, gone)
        found += len({*kept[np.argsort(-true[kept])][:10].tolist()} & best)
        wanted += len(best)
    built = searching(of, lambda query, _: answers[tuple(query.tolist())])
    of.flags.writeable = queries.flags.writeable = False
    measured = recall(built, of, queries, space, excluded=rows(excluded))
    assert measured == pytest.approx(found / wanted if wanted else 1.0)


def test_of_many_queries_some_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(module, "MAX_QUERIES", 7)
    of, queries = vectors(), vectors(seed=2)

    def asked(seed):
        built = searching(of, best_of(of))
        questions = asking(of, queries, excluded=own(COUNT), seed=seed, prepare=lambda drawn: -drawn)
        found = questions.ask(built, 1)
        assert (len(built.index.asked), found.recall) == (7, 1.0)
        return [query for query, *_ in built.index.asked]

    assert asked(1) == asked(1) != asked(2)
    assert len({(-queries).tolist().index(query) for query in asked(1)}) == 7


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    clock.perf_counter_ns = lambda: round(clock.now * 1e9)
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_slow_searches_are_measured_with_fewer_queries(monkeypatch, clock):
    of = vectors()

    def answer(query, count):
        clock.now += 0.25
        return best_of(of)(query, count)

    for seconds, least, asked in (
        (2.0, 3, 9),  # as many as fit, with the one that ended after the time was over
        (2.0, 20, 20),  # not fewer than these
        (1000.0, 3, COUNT),  # all
    ):
        monkeypatch.setattr(module, "_SECONDS", seconds)
        monkeypatch.setattr(module, "_MIN_QUERIES", least)
        built = searching(of, answer)
        found = asking(of, vectors(seed=2)).ask(built, 1)
        assert (len(built.index.asked), found.recall) == (asked, 1.0)
        assert found.query_microseconds == pytest.approx(0.25e6)


def test_the_time_is_the_median_on_one_thread_as_in_a_worker(clock):
    of, threads = vectors(), []
    durations = iter([1.0, 0.25, 0.125, 0.25, 0.5])

    def answer(*_):
        threads.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
        clock.now += next(durations)
        return []

    found = asking(of, cases.vectors(5, 4, seed=2)).ask(searching(of, answer), 1)
    assert (found.query_microseconds, found.recall) == (0.25e6, 0)
    assert {*threads} == {1}


@pytest.mark.parametrize("space", SPACES)
def test_recall_of_more_results_is_their_share_that_was_found(space):
    """An index that leaves out each tenth item, whatever is asked."""
    # Depths are what the catalogue has twice over.
    for count, depths in ((59, []), (60, [30]), (650, [30, 100, 300]), (2000, [30, 100, 300, 1000])):
        assert asking(cases.vectors(count, 4), cases.vectors(3, 4, seed=2)).depths == depths
    of, queries = cases.vectors(1000, 4), cases.vectors(150, 4, seed=2)
    every = cases.build("exact", of, space, Path()).index
    built = searching(of, lambda query, _: [r for r in every.search(query, 1000, 0) if r % 10])
    questions = asking(of, queries, space)
    for results in (30, 300):
        order = np.random.default_rng(1).permutation(150)[:100]
        lists = [every.search(query, results, 0) for query in queries[order]]
        share = np.mean([np.mean(one % 10 > 0) for one in lists])
        found = questions.ask(built, 5, results, 1.5)
        # But for what is as good as equal.
        assert found.recall == pytest.approx(share, abs=1e-3)
        # As many candidates and as much effort as the retriever asks for.
        assert {asked[1:] for asked in built.index.asked[-100:]} == {(results, 7.5)}
    assert len(built.index.asked) == 200
    # Who can be answered less than that is asked for all there is.
    of = cases.vectors(100, 4)
    excluded = rows([range(20, 100)] * 4 + [range(100)])
    questions = asking(of, cases.vectors(5, 4, seed=2), space, excluded=excluded)
    assert questions.ask(cases.build("exact", of, space, Path()), 0, 30).recall == 1.0


@pytest.mark.parametrize("space", SPACES)
def test_no_copy_of_all_vectors_is_kept_or_made(monkeypatch, space):
    monkeypatch.setattr("trainer.index.exact._CHUNK_SCORES", 1 << 17)
    monkeypatch.setattr(module, "MAX_QUERIES", 250)
    of = np.random.default_rng(1).normal(size=(10_000, 257)).astype(np.float32)[:, :-1]
    excluded = own(len(of))
    tracemalloc.start()
    try:
        questions = asking(of, of, space, excluded=excluded)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(rows.base is None for rows in questions._excluded)
    # Of it a quarter of 1 MB are the queries.
    assert kept < of.nbytes / 8
    assert peak < of.nbytes / 3
