from __future__ import annotations

import numpy as np
import pytest
from annoy import AnnoyIndex

from publication.errors import VectorError
from publication.ranking import best, unit_rows
from publication.vector_space import augment_items
from trainer.errors import OptionError
from trainer.index import BACKENDS, annoy, make_backend
from trainer.index.annoy import AnnoyBackend

SPACES = ["cosine", "inner_product"]


def vectors(count, dimensions=5, *, seed=1):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, dimensions)).astype(np.float32)


def build(of, space, folder, *, trees=10, seed=1, threads=1, on_items=lambda _: None):
    return AnnoyBackend(trees=trees).build(
        of, space, lambda suffix: folder / f"it.{suffix}", seed=seed, threads=threads, on_items=on_items
    )


@pytest.mark.parametrize("space", SPACES)
def test_a_search_of_all_items_is_in_the_exact_order(tmp_path, space):
    of = vectors(60)
    built = build(of, space, tmp_path)
    exact = unit_rows(of) if space == "cosine" else of
    for query in vectors(20, seed=2):
        found = built.index.search(query, 60)
        assert found.dtype == np.int64
        # Annoy's float32 distances may swap what is next to equal.
        np.testing.assert_allclose(
            (exact @ query)[found], (exact @ query)[best(exact @ query, 60)], atol=1e-4
        )
        assert sorted(found) == list(range(60))


def test_the_best_inner_product_wins_whatever_the_angle(tmp_path):
    of = np.array([[1, 0], [5, 5], [0, 0.1]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    assert build(of, "inner_product", tmp_path).index.search(query, 3).tolist() == [1, 0, 2]
    assert build(of, "cosine", tmp_path).index.search(query, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("space", "dimensions"), [("cosine", 5), ("inner_product", 6)])
def test_the_facts_are_those_of_the_file(tmp_path, space, dimensions):
    of = vectors(30)
    built = build(of, space, tmp_path, trees=7, seed=9)
    assert (built.backend, built.metric, built.file) == ("annoy", "angular", "it.annoy")
    assert built.dimensions == dimensions
    assert built.build == {"trees": 7, "seed": 9, "threads": 1}
    assert built.query == {"search_k": -1, "candidates": 100}
    assert built.candidates == 100
    index = AnnoyIndex(built.dimensions, built.metric)
    index.load(str(tmp_path / built.file))
    assert (index.get_n_items(), index.get_n_trees()) == (30, 7)
    expected = of if space == "cosine" else augment_items(of)
    np.testing.assert_array_equal([index.get_item_vector(row) for row in range(30)], expected)


@pytest.mark.parametrize("space", SPACES)
def test_one_thread_and_a_seed_give_the_same_bytes(tmp_path, space):
    of = vectors(500)

    def data(**options):
        build(of, space, tmp_path, **options)
        return (tmp_path / "it.annoy").read_bytes()

    assert data() == data()
    assert data() != data(seed=2)
    assert data() != data(trees=11)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2048])
def test_every_item_is_told_of_once(tmp_path, count):
    told = []
    build(vectors(count), "cosine", tmp_path, trees=1, on_items=told.append)
    assert sum(told) == count
    assert max(told) <= 1024


@pytest.mark.parametrize("space", SPACES)
def test_equal_items_are_all_found(tmp_path, space):
    of = np.ones((40, 3), dtype=np.float32)
    assert sorted(build(of, space, tmp_path).index.search(of[0], 40)) == list(range(40))


def test_fewer_items_than_asked_for_are_all_found(tmp_path):
    assert sorted(build(vectors(3), "cosine", tmp_path).index.search(vectors(1)[0], 100)) == [0, 1, 2]


def test_a_file_that_holds_less_than_was_saved_is_noticed(tmp_path):
    build(vectors(40), "cosine", tmp_path)
    path = tmp_path / "it.annoy"
    annoy._open(path, 5, 40, "cosine")
    with pytest.raises(VectorError, match=r"it\.annoy: holds 40 items after saving 41"):
        annoy._open(path, 5, 41, "cosine")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match="size"):
        annoy._open(path, 5, 40, "cosine")


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file or directory"):
        build(vectors(3), "cosine", tmp_path / "none")


@pytest.mark.parametrize("trees", [0, -1, 10_001])
def test_trees_out_of_range_are_refused(trees):
    with pytest.raises(OptionError, match=rf"--trees is {trees}, but should be in 1\.\.10000"):
        make_backend("annoy", trees=trees)


def test_backends_are_made_by_name():
    for name, backend in BACKENDS.items():
        assert isinstance(make_backend(name, trees=1), backend)
    with pytest.raises(OptionError, match="--backend is 'faiss', but should be one of annoy, exact"):
        make_backend("faiss", trees=1)
