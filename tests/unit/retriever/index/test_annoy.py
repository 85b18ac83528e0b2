"""Publications from before indexes were tuned: Annoy's own default, and a hundred candidates."""

from __future__ import annotations

import numpy as np
import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.vectors.vector_space import augment_queries
from retriever.answering import queries
from retriever.answering.snapshot import open_snapshot
from tests import retrievable
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import names


@names
@pytest.mark.parametrize("trees", [3, 10])
@pytest.mark.parametrize(
    ("parameters", "candidates"),
    [({"search_k": -1, "candidates": 100}, 100), ({"search_k": -1}, 10), ({}, 10)],
)
def test_an_old_publication_is_searched_as_annoy_does_by_default(
    tmp_path, name, trees, parameters, candidates
):
    of = asking.built(tmp_path, name, "annoy", build={"trees": trees}, items=2000)
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
    old = {"search_k": -1, "candidates": 100}
    version = retrievable.publish(tmp_path, items=1000, query=old, users=20)
    snapshot = open_snapshot(tmp_path, version)
    publication = snapshot.publication
    plain = AnnoyIndex(6, "angular")
    plain.load(str(layout.version_dir(tmp_path, version) / "recommend.annoy"))
    for row in range(20):
        query = np.array([*publication.user_vectors[row][:-1], 1, 0])
        seen = publication.seen[row].tolist()
        near = {*plain.get_nns_by_vector(query.tolist(), 100 + len(seen))} - {*seen}
        scores = publication.item_vectors @ np.float32(query[:-1])
        best = sorted(near, key=lambda item, scores=scores: (-scores[item], item))[:10]
        asked = publication.users.external_id(row)
        assert queries.recommend(snapshot, asked).rows.tolist() == best
