"""Scores of items; which of them are found is in test_queries.py and test_all_questions.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication.vectors.vector_space import row_norms
from retriever.answering.vector_model import Scorer


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([1e-15, 1.0, 1e15]))
def test_norms_that_are_given_change_no_score(seed, items, scale):
    random = np.random.default_rng(seed)
    lengths = scale * random.lognormal(size=(items, 1))
    vectors = (lengths * random.normal(size=(items, 3))).astype("f4")
    query = (scale * random.normal(size=3)).astype("f4")
    norms = row_norms(vectors)
    # Neither changes the vectors, the norms or the query.
    for array in (vectors, query, norms):
        array.setflags(write=False)
    plain, with_norms = (
        [one.scores(query), one.scores(query, np.arange(items)[::2]), one.scores_for(query[None, :])[0]]
        for one in (Scorer(vectors, cosine=True, norms=own) for own in (None, norms))
    )
    assert [*map(list, plain)] == [*map(list, with_norms)]
    assert plain[2] == pytest.approx(plain[0], abs=1e-6)


def test_norms_that_are_given_are_used():
    """They are not worked out again: that takes longer than the search."""
    vectors = np.array([[1, 0], [0.5, 0]], dtype=np.float32)
    scorer = Scorer(vectors, cosine=True, norms=np.float32([2, 1]))
    assert scorer.scores(vectors[0]).tolist() == [0.5, 0.5]
