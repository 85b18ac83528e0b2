from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from trainer.index import exact
from trainer.index.exact import ExactBackend, score_chunks

# Small integers have exact products, so that equal scores are equal.
VECTORS = st_numpy.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(3)),
    elements=st.integers(-3, 3).map(float),
)


def build(vectors, space="inner_product"):
    told = []
    built = ExactBackend().build(
        vectors,
        space,
        None,
        {},
        seed=1,
        threads=1,
        on_items=told.append,
    )
    assert sum(told) == len(vectors)
    return built


@given(
    VECTORS, st_numpy.arrays(np.float32, 3, elements=st.integers(-3, 3).map(float)), st.integers(1, 15)
)
def test_the_highest_inner_products_come_first_and_equal_ones_by_row(vectors, query, count):
    found = build(vectors).index.search(query, count, 0).tolist()
    assert found == sorted(range(len(vectors)), key=lambda row: (-(vectors[row] @ query), row))[:count]


def test_cosine_ignores_the_norm():
    vectors = np.array([[9, 9], [1, 0.5], [-1, 0]], dtype=np.float32)
    query = np.array([3, 1], dtype=np.float32)
    assert build(vectors, "cosine").index.search(query, 2, 0).tolist() == [1, 0]
    assert build(vectors, "inner_product").index.search(query, 2, 0).tolist() == [0, 1]


def test_the_facts():
    built = build(np.ones((2, 3), dtype=np.float32), "cosine")
    assert (built.metric, built.dimensions, built.has_file) == ("cosine", 3, False)
    assert (built.build, built.candidates, built.effort) == ({}, 0, None)
    assert built.query(0) == {"candidates": 0}


@pytest.mark.parametrize("effort", [0, 1, 1000])
def test_it_always_looks_at_everything(effort):
    vectors = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    for space in ("cosine", "inner_product"):
        found = build(vectors, space).index.search(vectors[0], 50, effort).tolist()
        assert sorted(found) == list(range(50))
        assert found == build(vectors, space).index.search(vectors[0], 50, 7).tolist()


def test_there_is_one_way_to_build_it():
    assert ExactBackend().rounds(10**6, "cosine") == [[{}]]


@pytest.mark.parametrize("budget", [1, 7, 20, 1000])
def test_all_queries_are_scored_some_at_a_time(monkeypatch, budget):
    monkeypatch.setattr(exact, "_CHUNK_SCORES", budget)
    random = np.random.default_rng(1)
    queries, vectors = random.normal(size=(10, 3)), random.normal(size=(4, 3))
    chunks = list(score_chunks(queries, vectors))
    assert all(scores.size <= max(budget, 4) for _, scores in chunks)
    assert [rows.start for rows, _ in chunks[1:]] == [rows.stop for rows, _ in chunks[:-1]]
    np.testing.assert_allclose(np.concatenate([scores for _, scores in chunks]), queries @ vectors.T)


def test_no_queries_have_no_scores():
    assert (
        list(score_chunks(np.ones((0, 3), dtype=np.float32), np.ones((4, 3), dtype=np.float32))) == []
    )
