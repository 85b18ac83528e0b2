from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from publication.ranking import unit_rows
from trainer.index import measure as module
from trainer.index.exact import ExactBackend
from trainer.index.measure import measure

COUNT = 50


def vectors(count=COUNT, *, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def exact(of, space="inner_product"):
    return ExactBackend().build(of, space, lambda _: None, seed=1, threads=1, on_items=lambda _: None)


class Searching:
    """An index that answers as it is told and notes what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def search(self, query, count):
        self.asked.append((query, count))
        return np.asarray(self.answer(query, count), dtype=np.int64)


def searching(of, answer, *, candidates=0):
    return replace(exact(of), index=Searching(answer), candidates=candidates)


def quality(built, of, queries, space="inner_product", *, own_rows=False, seed=1):
    return measure(built, of, queries, space, own_rows=own_rows, seed=seed)


@pytest.mark.parametrize("space", ["cosine", "inner_product"])
@pytest.mark.parametrize("count", [2, 10, 11, COUNT])
def test_exact_search_finds_all(space, count):
    of = vectors(count)
    for own_rows in (False, True):
        queries = of if own_rows else vectors(seed=2)
        found = quality(exact(of, space), of, queries, space, own_rows=own_rows)
        assert (found.served.recall_at_10, found.bare.recall_at_10) == (1.0, 1.0)
        assert found.served.queries == len(queries)
        assert found.served.query_microseconds > 0


@pytest.mark.parametrize("hits", [0, 3, 10])
def test_recall_is_the_share_of_the_true_ten(hits):
    of = vectors()

    def answer(query, count):
        order = np.argsort(-(of @ query))
        return [*order[:hits], *order[20 : 20 + count - hits]]

    found = quality(searching(of, answer), of, vectors(seed=2))
    assert found.bare.recall_at_10 == pytest.approx(hits / 10)


def test_more_candidates_are_scored_exactly_before_the_best_ten_are_kept():
    """Here the index finds all, in the worst order."""
    of = vectors()
    built = searching(of, lambda query, count: np.argsort(of @ query)[-count:], candidates=30)
    found = quality(built, of, vectors(seed=2))
    assert (found.served.recall_at_10, found.bare.recall_at_10) == (1.0, 1.0)
    assert {count for _, count in built.index.asked} == {30, 10}
    built = searching(of, lambda query, count: np.argsort(-(of @ query))[5 : 5 + count], candidates=30)
    assert quality(built, of, vectors(seed=2)).served.recall_at_10 == pytest.approx(0.5)


def test_an_item_is_no_answer_to_itself():
    of = vectors()
    only_itself = searching(of, lambda query, _: [np.argmax(unit_rows(of) @ query)])
    assert quality(only_itself, of, of, "cosine", own_rows=True).bare.recall_at_10 == 0
    assert quality(only_itself, of, of, "cosine", own_rows=False).bare.recall_at_10 == pytest.approx(
        0.1
    )
    assert {count for _, count in only_itself.index.asked} == {11, 10}


def test_the_only_item_has_no_neighbour_to_miss():
    of = vectors(1)
    found = quality(exact(of, "cosine"), of, of, "cosine", own_rows=True)
    assert (found.served.recall_at_10, found.bare.recall_at_10) == (1.0, 1.0)


def test_fewer_than_ten_items_are_all_wanted():
    of = vectors(4)
    half = searching(of, lambda query, _: np.argsort(-(of @ query))[:2])
    assert quality(half, of, vectors(seed=2)).bare.recall_at_10 == pytest.approx(0.5)


def test_what_is_as_good_as_the_tenth_counts():
    """Any ten of twenty equal items will do."""
    of = np.concatenate([np.ones((20, 4)), -np.ones((20, 4))]).astype(np.float32)
    query = np.ones((1, 4), dtype=np.float32)
    for first in (0, 5, 10):
        built = searching(of, lambda *_: range(first, first + 10))  # noqa: B023
        assert quality(built, of, query).bare.recall_at_10 == 1.0
    built = searching(of, lambda *_: range(15, 25))
    assert quality(built, of, query).bare.recall_at_10 == 0.5


@pytest.mark.parametrize("own_rows", [False, True])
def test_of_many_queries_some_are_drawn_by_the_seed(monkeypatch, own_rows):
    monkeypatch.setattr(module, "MAX_QUERIES", 7)
    of = vectors()
    queries = of if own_rows else vectors(seed=2)

    def asked(seed):
        built = searching(of, lambda query, count: np.argsort(-(of @ query))[:count])
        found = quality(built, of, queries, own_rows=own_rows, seed=seed)
        assert (found.bare.queries, found.bare.recall_at_10) == (7, 1.0)
        return [query.tolist() for query, _ in built.index.asked[:7]]

    assert asked(1) == asked(1) != asked(2)
    rows = [next(row for row in range(COUNT) if queries[row].tolist() == query) for query in asked(1)]
    assert rows == sorted({*rows})
