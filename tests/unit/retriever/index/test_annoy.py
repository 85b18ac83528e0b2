from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from annoy import AnnoyIndex

from publication import layout
from publication.errors import InvalidPublicationError, MismatchError
from publication.reader import open_publication
from publication.vector_space import split_biases, user_queries
from retriever.errors import SnapshotError
from retriever.index import open_index
from tests import publications, retrievable

both = pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])


def opened(published, name):
    return open_index(open_publication(published.volume, published.version), name)


def questions(publication, name):
    """Queries, and the score of every item for each of them."""
    if name == layout.SIMILAR:
        embeddings, _ = split_biases(publication.item_vectors)
        return embeddings, embeddings @ (embeddings / np.linalg.norm(embeddings, axis=1)[:, None]).T
    queries = user_queries(publication.user_vectors)
    return queries, queries @ publication.item_vectors.T


@both
def test_asked_for_everything_it_proposes_every_item_once(published, name):
    publication = open_publication(published.volume, published.version)
    index = open_index(publication, name)
    for query in questions(publication, name)[0]:
        rows = index.search(query, 1000)
        assert rows.dtype == np.int64
        assert sorted(rows.tolist()) == list(range(40))


@both
def test_it_proposes_the_best(published, name):
    """By cosine for similar items, by inner product for recommendations: the transform is undone."""
    publication = open_publication(published.volume, published.version)
    index = open_index(publication, name)
    for query, scores in zip(*questions(publication, name), strict=True):
        # Asked for all, Annoy looks at all, and the order is the angle's.
        assert index.search(query, 40).tolist() == np.argsort(-scores).tolist()


@both
def test_its_parameters_are_the_manifests(published, name):
    assert opened(published, name).candidates == 100


@pytest.mark.parametrize(("query", "candidates"), [({}, 0), ({"candidates": 7, "search_k": 1}, 7)])
def test_a_publication_may_set_other_parameters_or_none(tmp_path, query, candidates):
    version = retrievable.publish(tmp_path, items=300, query=query)
    publication = open_publication(tmp_path, version)
    index = open_index(publication, layout.SIMILAR)
    assert index.candidates == candidates
    found = len(index.search(split_biases(publication.item_vectors)[0][0], 300))
    # A search of one node of the trees sees but a few of the items.
    assert found == 300 if "search_k" not in query else 0 < found < 100


@both
def test_the_file_is_mapped_and_let_go_with_the_last_reference(published, name):
    def is_mapped():
        return str(published.directory / f"{name}.annoy") in Path("/proc/self/maps").read_text()

    descriptors = len(os.listdir("/proc/self/fd"))
    index = opened(published, name)
    assert is_mapped()
    del index
    assert not is_mapped()
    assert len(os.listdir("/proc/self/fd")) == descriptors


@both
def test_several_threads_may_search_at_the_same_time(published, name):
    publication = open_publication(published.volume, published.version)
    index = open_index(publication, name)
    queries = questions(publication, name)[0]
    expected = [index.search(query, 10).tolist() for query in queries]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            found = pool.map(lambda query: index.search(query, 10).tolist(), queries)
            assert list(found) == expected


# From here on the manifest is signed anew: only what lies in the file, or what is said of it, is wrong.


def saved(tmp_path, *, dimensions, items):
    index = AnnoyIndex(dimensions, "angular")
    for row, vector in enumerate(np.random.default_rng(1).normal(size=(items, dimensions))):
        index.add_item(row, vector)
    index.build(10, n_jobs=1)
    index.save(str(tmp_path / "other.annoy"))
    return (tmp_path / "other.annoy").read_bytes()


@both
@pytest.mark.parametrize("items", [1, 39, 41, 400])
def test_an_index_of_another_number_of_items_is_refused(published, tmp_path, name, items):
    dimensions = 4 if name == layout.SIMILAR else 6
    publications.reseal(
        published.directory, f"{name}.annoy", saved(tmp_path, dimensions=dimensions, items=items)
    )
    with pytest.raises(MismatchError) as caught:
        opened(published, name)
    assert caught.value.path == published.directory / f"{name}.annoy"
    assert (caught.value.what, caught.value.expected, caught.value.found) == ("items", 40, items)


@both
@pytest.mark.parametrize("data", [b"", b"x", b"x" * 1001])
def test_a_file_that_cannot_be_an_index_is_refused_by_name(published, name, data):
    publications.reseal(published.directory, f"{name}.annoy", data)
    with pytest.raises(InvalidPublicationError) as caught:
        opened(published, name)
    assert caught.value.path == published.directory / f"{name}.annoy"


@both
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"metric": "dot"}, "has metric 'dot', but should have 'angular'"),
        ({"metric": "euclidean"}, "has metric 'euclidean', but should have 'angular'"),
        ({"dimensions": 3}, "has dimensions 3, but should have"),
        ({"dimensions": 5}, "has dimensions 5, but should have"),
        ({"query": {"search_k": -2}}, "search_k is -2, which isn't a count"),
        ({"query": {"candidates": "many"}}, "candidates is 'many', which isn't a count"),
    ],
)
def test_facts_that_do_not_fit_are_refused(published, name, edit, message):
    publications.edit_manifest(
        published.directory, lambda content: content["indexes"][name].update(edit)
    )
    with pytest.raises(SnapshotError, match=f"index '{name}'.*{message}"):
        opened(published, name)


@both
def test_an_index_without_a_file_is_refused(published, name):
    publications.edit_manifest(
        published.directory, lambda content: content["indexes"][name].update(file=None)
    )
    with pytest.raises(InvalidPublicationError, match=f"index '{name}' has no file"):
        opened(published, name)
