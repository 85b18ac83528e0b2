from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tests.unit.trainer.index import cases
from trainer.index import exact
from trainer.index.exact import score_chunks

# Small integers have exact products, so that equal scores are equal.
INTEGERS = st.integers(-3, 3).map(float)


@given(
    st_numpy.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=INTEGERS),
    st_numpy.arrays(np.float32, 3, elements=INTEGERS),
    st.integers(1, 15),
    st.integers(0, 1000),
)
def test_the_highest_inner_products_come_first_and_equal_ones_by_row(vectors, query, count, effort):
    order = sorted(range(len(vectors)), key=lambda row: (-(vectors[row] @ query), row))
    built = cases.build("exact", vectors, "inner_product", Path())
    assert built.index.search(query, count, effort).tolist() == order[:count]


@pytest.mark.parametrize("budget", [1, 7, 20, 1000])
def test_all_queries_are_scored_some_at_a_time(monkeypatch, budget):
    monkeypatch.setattr(exact, "_CHUNK_SCORES", budget)
    random = np.random.default_rng(1)
    queries, vectors = random.normal(size=(10, 3)), random.normal(size=(4, 3))
    chunks = list(score_chunks(queries, vectors))
    assert all(scores.size <= max(budget, 4) for _, scores in chunks)
    assert [rows.start for rows, _ in chunks[1:]] == [rows.stop for rows, _ in chunks[:-1]]
    np.testing.assert_allclose(np.concatenate([scores for _, scores in chunks]), queries @ vectors.T)
    assert list(score_chunks(queries[:0], vectors)) == []
