"""Backends take vectors a few rows at a time, and build what they would build of all at once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.ranking import unit_rows
from lightfm_retriever.publication.vectors.vector_space import augment_items
from tests.unit.trainer.index import cases
from tests.unit.trainer.index.cases import SPACES
from trainer.index import annoy

ITEMS = 3000


def in_small_chunks(monkeypatch, module):
    monkeypatch.setattr(module, "row_chunks", lambda count, *_: row_chunks(count, 64))


@pytest.mark.parametrize("space", SPACES)
def test_annoys_file_is_the_one_of_a_plain_build(tmp_path, monkeypatch, space):
    of = cases.uneven(ITEMS, 13)
    in_small_chunks(monkeypatch, annoy)
    cases.build("annoy", of, space, tmp_path, settings={"trees": 3}, seed=5)
    indexed = augment_items(of) if space == "inner_product" else of
    plain = annoy.AnnoyIndex(indexed.shape[1], "angular")
    plain.set_seed(5)
    for row, vector in enumerate(indexed):
        plain.add_item(row, vector)
    plain.build(3, 1)
    plain.save(str(tmp_path / "plain"))
    assert (tmp_path / "it.annoy").read_bytes() == (tmp_path / "plain").read_bytes()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("codes", ["SQ8", "SQfp16"])
def test_faiss_file_is_the_one_of_a_plain_build(tmp_path, monkeypatch, space, codes):
    library = pytest.importorskip("faiss")
    from trainer.index import faiss

    of = cases.uneven(ITEMS, 13)
    in_small_chunks(monkeypatch, faiss)
    monkeypatch.setattr(faiss, "_TRAINING_POINTS_PER_LIST", 20)
    settings = {"lists": 50, "codes": codes}
    cases.build("faiss", of, space, tmp_path, settings=settings, seed=5)
    indexed = unit_rows(augment_items(of) if space == "inner_product" else of)
    plain = library.index_factory(indexed.shape[1], f"IVF50,{codes}", library.METRIC_L2)
    plain.cp.seed, plain.cp.niter = 5, faiss._TRAINING_PASSES
    plain.cp.min_points_per_centroid, plain.cp.max_points_per_centroid = 1, 20
    sample = np.random.default_rng(5).choice(ITEMS, 50 * 20, replace=False)
    plain.train(indexed[np.sort(sample)])
    plain.add(indexed)
    assert (tmp_path / "it.faiss").read_bytes() == library.serialize_index(plain).tobytes()


@pytest.mark.parametrize("metric", ["negdotprod", "cosinesimil"])
def test_nmslib_is_given_all_items_by_their_rows(tmp_path, monkeypatch, metric):
    """Its graph is another one each time, but with this much effort it finds all."""
    pytest.importorskip("nmslib")
    from trainer.index import nmslib

    of = cases.vectors(500, 13)
    in_small_chunks(monkeypatch, nmslib)
    settings = {"metric": metric, "M": 16, "efConstruction": 200}
    built = cases.build("nmslib", of, "inner_product", tmp_path, settings=settings)
    assert cases.recall(built, of, cases.vectors(20, 13, seed=2), "inner_product") == 1
    assert sorted(built.index.search(of[0], 500, 500).tolist()) == [*range(500)]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", ["annoy", "faiss", "nmslib"])
def test_no_copy_of_all_vectors_is_made(tmp_path, monkeypatch, name, space):
    pytest.importorskip(name)
    of = cases.vectors(ITEMS, 256)
    settings = {
        "annoy": {"trees": 1},
        "faiss": {"lists": 10, "codes": "SQ8"},
        "nmslib": {"metric": "cosinesimil", "M": 4, "efConstruction": 10},
    }[name]
    module = pytest.importorskip(f"trainer.index.{name}")
    in_small_chunks(monkeypatch, module)
    if name == "faiss":
        monkeypatch.setattr(module, "_TRAINING_POINTS_PER_LIST", 10)
        monkeypatch.setattr(module, "_WRITTEN_BYTES", 1 << 14)
    tracemalloc.start()
    try:
        # What the libraries take themselves isn't seen here.
        cases.build(name, of, space, tmp_path, settings=settings)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < of.nbytes / 3
