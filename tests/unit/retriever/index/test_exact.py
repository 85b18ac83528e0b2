from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.vectors.ranking import row_norms
from lightfm_retriever.publication.vectors.vector_space import split_biases
from retriever.errors import SnapshotError
from retriever.index import open_index
from retriever.index.exact import ExactIndex, exact_index
from tests import publications

both = pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_it_finds_the_best_of_all_best_first(seed, items, count, cosine):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(items, 3)).astype(np.float32)
    query = random.normal(size=3).astype(np.float32)
    scores = np.float64(vectors) @ np.float64(query)
    if cosine:
        scores /= np.linalg.norm(vectors, axis=1)
    rows = ExactIndex(vectors, cosine=cosine).search(query, count)
    assert len(rows) == len({*rows.tolist()}) == min(count, items)
    np.testing.assert_allclose(scores[rows], np.sort(scores)[::-1][:count], atol=1e-5)


def test_equal_scores_come_by_row():
    vectors = np.ones((20, 3), dtype=np.float32)
    for cosine in (False, True):
        assert ExactIndex(vectors, cosine=cosine).search(vectors[0], 7).tolist() == list(range(7))


def test_cosine_looks_at_the_direction_and_inner_product_at_the_length_too():
    vectors = np.array([[1, 0], [10, 10]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    assert ExactIndex(vectors, cosine=True).search(query, 2).tolist() == [0, 1]
    assert ExactIndex(vectors, cosine=False).search(query, 2).tolist() == [1, 0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([1e-15, 1.0, 1e15]))
def test_norms_that_are_given_change_no_answer(seed, items, scale):
    random = np.random.default_rng(seed)
    vectors = (scale * random.lognormal(size=(items, 1)) * random.normal(size=(items, 3))).astype("f4")
    query = vectors[0]
    plain = ExactIndex(vectors, cosine=True).search(query, items)
    with_norms = ExactIndex(vectors, cosine=True, norms=row_norms(vectors)).search(query, items)
    assert with_norms.tolist() == plain.tolist()


def test_norms_that_are_given_are_used():
    """They are not worked out again: that takes longer than the search."""
    vectors = np.array([[1, 0], [0.9, 0.1]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    for norms, order in (([1, 1], [0, 1]), ([2, 1], [1, 0])):
        index = ExactIndex(vectors, cosine=True, norms=np.float32(norms))
        assert index.search(query, 2).tolist() == order


def test_neither_norms_nor_vectors_are_changed():
    vectors = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    norms = row_norms(vectors)
    for array in (vectors, norms):
        array.setflags(write=False)
    index = ExactIndex(vectors, cosine=True, norms=norms)
    assert index.search(vectors[3], 5).tolist() == index.search(vectors[3], 5).tolist()


@pytest.mark.parametrize("effort", [0.1, 1.0, 100.0])
def test_it_looks_at_everything_whatever_the_effort(effort):
    vectors = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    for cosine in (False, True):
        index = ExactIndex(vectors, cosine=cosine)
        for query in vectors[:20]:
            expected = index.search(query, 10).tolist()
            assert index.search(query, 10, effort).tolist() == expected


def test_a_publication_from_before_there_were_norms_is_searched_all_the_same(published):
    """Its norms are worked out, and the answers are the same."""

    def forget(content):
        del content["files"][layout.ITEM_NORMS]

    publication = published.open()
    assert publication.item_norms is not None
    with_norms = exact_index(publication, layout.SIMILAR)
    publications.edit_manifest(published.directory, forget)
    (published.directory / layout.ITEM_NORMS).unlink()
    old = published.open()
    assert old.item_norms is None
    without = exact_index(old, layout.SIMILAR)
    for query in split_biases(publication.item_vectors)[0]:
        assert with_norms.search(query, 40).tolist() == without.search(query, 40).tolist()


@both
def test_searching_changes_neither_vectors_nor_query(published, name):
    publication = open_publication(published.volume, published.version)
    index = exact_index(publication, name)
    query = np.ones(4 if name == layout.SIMILAR else 5, dtype=np.float32)
    first = index.search(query, 5).tolist()
    assert index.search(query, 5).tolist() == first
    assert query.tolist() == [1] * len(query)


@both
def test_a_publication_may_have_exact_indexes_without_files(published_exact, name):
    publication = open_publication(published_exact.volume, published_exact.version)
    facts = publication.manifest.indexes[name]
    assert (facts.backend, facts.file) == ("exact", None)
    index = open_index(publication, name)
    for query in split_biases(publication.item_vectors)[0] if name == layout.SIMILAR else np.eye(5):
        expected = exact_index(publication, name).search(np.float32(query), 10)
        assert index.search(np.float32(query), 10).tolist() == expected.tolist()


@both
@pytest.mark.parametrize(
    ("edit", "message"),
    [({"metric": "angular"}, "has metric 'angular'"), ({"dimensions": 6}, "has dimensions 6")],
)
def test_facts_that_do_not_fit_are_refused(published_exact, name, edit, message):
    publications.edit_manifest(
        published_exact.directory, lambda content: content["indexes"][name].update(edit)
    )
    publication = open_publication(published_exact.volume, published_exact.version)
    with pytest.raises(SnapshotError, match=message):
        open_index(publication, name)
