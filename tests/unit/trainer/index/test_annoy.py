from __future__ import annotations

import numpy as np
import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.vectors.ranking import best, unit_rows
from lightfm_retriever.publication.vectors.vector_space import augment_items
from tests.unit.trainer.index.cases import SPACES, build, most, vectors
from trainer.errors import OptionError
from trainer.index import annoy, make_backends
from trainer.index.annoy import AnnoyBackend


@pytest.mark.parametrize("space", SPACES)
def test_a_search_of_all_items_is_in_the_exact_order(tmp_path, space):
    of = vectors(60)
    built = build("annoy", of, space, tmp_path)
    exact = unit_rows(of) if space == "cosine" else of
    for query in vectors(20, seed=2):
        found = built.index.search(query, 60, most(built))
        assert found.dtype == np.int64
        # Annoy's float32 distances may swap what is next to equal.
        np.testing.assert_allclose(
            (exact @ query)[found], (exact @ query)[best(exact @ query, 60)], atol=1e-4
        )
        assert sorted(found) == list(range(60))


def test_the_best_inner_product_wins_whatever_the_angle(tmp_path):
    of = np.array([[1, 0], [5, 5], [0, 0.1]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    for space, order in (("inner_product", [1, 0, 2]), ("cosine", [0, 1, 2])):
        built = build("annoy", of, space, tmp_path)
        assert built.index.search(query, 3, most(built)).tolist() == order


@pytest.mark.parametrize("space", SPACES)
def test_the_file_holds_the_items_and_the_trees(tmp_path, space):
    of = vectors(30)
    built = build("annoy", of, space, tmp_path, settings={"trees": 7})
    index = AnnoyIndex(built.dimensions, built.metric)
    index.load(str(tmp_path / "it.annoy"))
    assert (index.get_n_items(), index.get_n_trees()) == (30, 7)
    expected = of if space == "cosine" else augment_items(of)
    np.testing.assert_array_equal([index.get_item_vector(row) for row in range(30)], expected)


def test_more_trees_are_another_file(tmp_path):
    contents = set()
    for trees in (10, 11, 30):
        build("annoy", vectors(500), "cosine", tmp_path, settings={"trees": trees})
        contents.add((tmp_path / "it.annoy").read_bytes())
    assert len(contents) == 3


def test_items_are_told_of_a_thousand_at_a_time(tmp_path):
    told = []
    build("annoy", vectors(2500), "cosine", tmp_path, on_items=told.append)
    assert told == [1024, 1024, 452]


def test_a_neighbour_more_looks_at_a_node_more_in_each_tree(tmp_path):
    """As Annoy's own default does."""
    built = build("annoy", vectors(500), "cosine", tmp_path, settings={"trees": 7})
    asked = []
    index = built.index

    class Recorder:
        def get_nns_by_vector(self, _, count, search_k):
            asked.append((count, search_k))
            return []

    index._index = Recorder()
    for count in (1, 10, 11, 110):
        index.search(vectors(1)[0], count, 200)
    assert asked == [(1, 200), (10, 200), (11, 207), (110, 900)]


def test_a_file_that_holds_less_than_was_saved_is_noticed(tmp_path):
    build("annoy", vectors(40, 5), "cosine", tmp_path)
    path = tmp_path / "it.annoy"
    annoy._open(path, 5, 40, "cosine")
    with pytest.raises(VectorError, match=r"it\.annoy: holds 40 items after saving 41"):
        annoy._open(path, 5, 41, "cosine")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match="size"):
        annoy._open(path, 5, 40, "cosine")


def test_more_trees_are_tried_until_they_are_enough():
    assert AnnoyBackend().rounds(1000, "cosine") == [
        [{"trees": 10}],
        [{"trees": 30}],
        [{"trees": 100}],
    ]
    # So many take too long.
    assert AnnoyBackend().rounds(10**6, "cosine") == [[{"trees": 10}], [{"trees": 30}]]


@pytest.mark.parametrize("items", [1, 1000, 10**7])
def test_trees_that_were_asked_for_are_the_only_ones_tried(items):
    assert AnnoyBackend(trees=17).rounds(items, "inner_product") == [[{"trees": 17}]]
    [made] = make_backends("annoy", trees=17)
    assert made.rounds(items, "cosine") == [[{"trees": 17}]]


@pytest.mark.parametrize("trees", [0, -1, 10_001])
def test_trees_out_of_range_are_refused(trees):
    with pytest.raises(OptionError, match=rf"--trees is {trees}, but should be in 1\.\.10000"):
        make_backends("annoy", trees=trees)
