from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.vectors.vector_space import row_norms, split_biases
from retriever.index.exact import ExactIndex, exact_index
from tests import publications
from tests.unit.retriever.index.asking import names, opened, questions_of

seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 30)


def arrays(seed, items, scale=1.0):
    """Vectors of uneven lengths and a query, which can't be written."""
    random = np.random.default_rng(seed)
    vectors = (scale * random.lognormal(size=(items, 1)) * random.normal(size=(items, 3))).astype("f4")
    query = (scale * random.normal(size=3)).astype("f4")
    for array in (vectors, query):
        array.setflags(write=False)
    return vectors, query


@given(seeds, sizes, st.sampled_from([1e-15, 1.0, 1e15]))
def test_norms_that_are_given_change_no_answer(seed, items, scale):
    vectors, query = arrays(seed, items, scale)
    norms = row_norms(vectors)
    norms.setflags(write=False)
    plain, with_norms = ExactIndex(vectors, cosine=True), ExactIndex(vectors, cosine=True, norms=norms)
    expected = plain.search(query, items).tolist()
    # Neither changes the vectors, the norms or the query.
    for _ in range(2):
        assert with_norms.search(query, items).tolist() == expected
    for rows in (None, np.array(expected[:2])):
        assert with_norms.scores(query, rows).tolist() == plain.scores(query, rows).tolist()
    queries = np.stack([query])
    assert with_norms.scores_for(queries).tolist() == plain.scores_for(queries).tolist()


def test_norms_that_are_given_are_used():
    """They are not worked out again: that takes longer than the search."""
    vectors = np.array([[1, 0], [0.9, 0.1]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    for norms, order in (([1, 1], [0, 1]), ([2, 1], [1, 0])):
        index = ExactIndex(vectors, cosine=True, norms=np.float32(norms))
        assert index.search(query, 2).tolist() == order


def test_a_publication_from_before_there_were_norms_is_searched_all_the_same(published):
    """Its norms are worked out, and the answers are the same."""
    publication = published.open()
    assert publication.item_norms is not None
    with_norms = exact_index(publication, layout.SIMILAR)
    publications.edit_manifest(
        published.directory, lambda content: content["files"].pop(layout.ITEM_NORMS)
    )
    (published.directory / layout.ITEM_NORMS).unlink()
    old = published.open()
    assert old.item_norms is None
    without = exact_index(old, layout.SIMILAR)
    for query in split_biases(publication.item_vectors)[0]:
        assert with_norms.search(query, 40).tolist() == without.search(query, 40).tolist()


@names
def test_a_publication_may_have_exact_indexes_without_files(published_exact, name):
    publication = published_exact.open()
    facts = publication.manifest.indexes[name]
    assert (facts.backend, facts.file) == ("exact", None)
    queries, worth = questions_of(publication, name)
    for query, own in zip(queries, worth, strict=True):
        expected = np.argsort(-own)[:10].tolist()
        assert opened(published_exact, name).search(query, 10).tolist() == expected
