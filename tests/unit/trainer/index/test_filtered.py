"""Searches under filters, held against a search by hand."""

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.manifest import Depth
from lightfm_retriever.publication.search_effort import Depths, IndexCosts
from tests.unit.trainer.index import cases
from trainer.index.filtered import SHARES, FilteredQuestions

FREE = IndexCosts(0, 0)
DEEP = Depths([Depth(results=10**6, effort=1.0, recall=1.0)])


class Noted:
    """An index that notes what it was asked for, and finds what the wrapped one finds of it."""

    def __init__(self, index, *, finds=None):
        self._index, self._finds = index, finds
        self.counts = []

    def search(self, query, count, effort, relative=1.0):
        self.counts.append(count)
        return self._index.search(query, count, effort, relative)[: self._finds]


def built_on(vectors, tmp_path, space, **how):
    built = cases.build("exact", vectors, space, tmp_path)
    return replace(built, index=Noted(built.index, **how), candidates=10)


@pytest.mark.parametrize("space", cases.SPACES)
def test_an_index_that_misses_nothing_finds_the_best_of_the_matching_items(tmp_path, space):
    vectors, queries = cases.vectors(600), cases.vectors(30, seed=2)
    seen = cases.rows([np.arange(row) for row in range(30)])
    asked = FilteredQuestions(vectors, queries, space, excluded=seen, seed=1)
    built = built_on(vectors, tmp_path, space)
    found = asked.ask_filtered(built, 1, DEEP, FREE)
    assert found.recall == 1.0
    assert found.query_microseconds > 0
    # For a tenth of the items, at least a hundred and fifty of the nearest are looked at.
    assert max(built.index.counts) >= 10 / min(SHARES)
    # Where an index returns too few candidates, all matching items are scored.
    poor = built_on(vectors, tmp_path, space, finds=12)
    assert asked.ask_filtered(poor, 1, DEEP, FREE).recall == 1.0


def test_what_an_index_misses_is_counted(tmp_path):
    vectors, queries = cases.vectors(600), cases.vectors(60, seed=2)
    asked = FilteredQuestions(vectors, queries, "inner_product", excluded=cases.nothing(60), seed=1)
    built = built_on(vectors, tmp_path, "inner_product")
    index = built.index._index

    class Halved:
        def search(self, query, count, effort, relative=1.0):
            # Every other one of twice as many.
            return index.search(query, 2 * count, effort, relative)[::2]

    found = asked.ask_filtered(replace(built, index=Halved()), 1, DEEP, FREE)
    assert 0.4 < found.recall < 0.65


def test_where_it_isnt_faster_or_deep_enough_the_index_isnt_asked(tmp_path):
    vectors = cases.vectors(600)
    asked = FilteredQuestions(
        vectors, cases.vectors(9, seed=2), "inner_product", excluded=cases.nothing(9), seed=1
    )
    for depths, costs in ((DEEP, IndexCosts(1e9, 0)), (Depths(), FREE)):
        built = built_on(vectors, tmp_path, "inner_product")
        assert asked.ask_filtered(built, 1, depths, costs).recall == 1.0
        assert built.index.counts == []
