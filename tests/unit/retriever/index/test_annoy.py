"""Publications from before indexes were tuned: Annoy's own default, and a hundred candidates."""

import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.vectors.vector_space import augment_queries
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import names


@names
@pytest.mark.parametrize(
    ("parameters", "candidates"),
    [({"search_k": -1, "candidates": 100}, 100), ({"search_k": -1}, 10), ({}, 10)],
)
def test_an_old_publication_is_searched_as_annoy_does_by_default(
    tmp_path, name, parameters, candidates
):
    of = asking.Built(tmp_path, name, "annoy", build={"trees": 3}, items=2000)
    index = of.opened(parameters)
    plain = AnnoyIndex(of.index.dimensions, "angular")
    plain.load(str(of.path))

    def by_default(query, count):
        """As many nodes as there are trees for each that is asked for."""
        asked = augment_queries(query) if name == layout.RECOMMEND else query
        return plain.get_nns_by_vector(asked.tolist(), count)

    differs = 0
    for query in of.queries[:20]:
        for count in (candidates, candidates + 1, 150, 1300):
            assert index.search(query, count).tolist() == by_default(query, count)
        # Of fewer it finds those that it would have found among its candidates.
        assert index.search(query, 5).tolist() == by_default(query, candidates)[:5]
        differs += by_default(query, candidates)[:5] != by_default(query, 5)
    assert differs
