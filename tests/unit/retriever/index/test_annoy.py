from __future__ import annotations

import numpy as np
import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError
from lightfm_retriever.publication.vectors.vector_space import augment_queries
from retriever.answering import queries
from retriever.answering.snapshot import open_snapshot
from retriever.index import open_index
from tests import publications, retrievable
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import names, opened, questions_of


@names
def test_it_proposes_the_best(published, name):
    """By cosine for similar items, by inner product for recommendations: the transform is undone."""
    publication = published.open()
    index = open_index(publication, name)
    for query, worth in zip(*questions_of(publication, name), strict=True):
        # Asked for all, Annoy looks at all, and the order is the angle's.
        assert index.search(query, 40).tolist() == np.argsort(-worth).tolist()


@names
def test_its_parameters_are_the_manifests(published, name):
    publications.edit_manifest(
        published.directory,
        lambda content: content["indexes"][name].update(query={"candidates": 7, "search_k": 1}),
    )
    index = opened(published, name)
    assert index.candidates == 7
    query = np.ones(4 if name == layout.SIMILAR else 5, dtype=np.float32)
    # A search of one node of the trees sees but a few of the items.
    assert 0 < len(index.search(query, 7)) <= 7
    assert len(index.search(query, 7, 0.1)) <= 7


# ---- publications from before indexes were tuned: Annoy's own default, and a hundred candidates


@names
@pytest.mark.parametrize("trees", [3, 10])
@pytest.mark.parametrize(
    ("parameters", "candidates"),
    [({"search_k": -1, "candidates": 100}, 100), ({"search_k": -1}, 10), ({}, 10)],
)
def test_an_old_publication_is_searched_as_annoy_does_by_default(
    tmp_path, name, trees, parameters, candidates
):
    of = asking.built(tmp_path, name, "annoy", build={"trees": trees}, items=3000)
    index = of.opened(parameters)
    plain = AnnoyIndex(of.index.dimensions, "angular")
    plain.load(str(of.path))

    def by_default(query, count):
        """As many nodes as there are trees for each that is asked for."""
        asked = augment_queries(query) if name == layout.RECOMMEND else query
        return plain.get_nns_by_vector(asked.tolist(), count)

    differs = 0
    for query in of.queries()[:20]:
        for count in (candidates, candidates + 1, 150, 1300):
            assert index.search(query, count).tolist() == by_default(query, count)
        # Of fewer it finds those that it would have found among its candidates.
        assert index.search(query, 5).tolist() == by_default(query, candidates)[:5]
        differs += by_default(query, candidates)[:5] != by_default(query, 5)
    assert differs


def test_old_publications_answer_as_before(tmp_path):
    """The best ten of at least a hundred candidates, by `search_k = count * trees`."""
    version = retrievable.publish(
        tmp_path, items=3000, query={"search_k": -1, "candidates": 100}, users=40
    )
    snapshot = open_snapshot(tmp_path, version)
    plain = AnnoyIndex(6, "angular")
    plain.load(str(layout.version_dir(tmp_path, version) / "recommend.annoy"))
    for row in range(40):
        publication = snapshot.publication
        query = np.array([*publication.user_vectors[row][:-1], 1, 0])
        seen = publication.seen[row].tolist()
        near = [
            item
            for item in plain.get_nns_by_vector(query.tolist(), 100 + len(seen))
            if item not in seen
        ]
        scores = publication.item_vectors @ np.float32(query[:-1])
        best = sorted(near, key=lambda item, scores=scores: (-scores[item], item))[:10]
        asked = publication.users.external_id(row)
        assert queries.recommend(snapshot, asked).rows.tolist() == best


# ---- Annoy itself checks next to nothing


@names
@pytest.mark.parametrize("data", [b"", b"x", b"x" * 1001])
def test_a_file_that_cannot_be_an_index_is_refused_by_name(published, name, data):
    publications.reseal(published.directory, f"{name}.annoy", data)
    with pytest.raises(InvalidPublicationError) as caught:
        opened(published, name)
    assert caught.value.path == published.directory / f"{name}.annoy"
