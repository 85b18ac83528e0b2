import numpy as np
import pytest

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.vector_space import augment_items, unit_rows
from tests.unit.trainer.index.cases import SPACES, build, recall, uneven, vectors
from trainer.index import make_backends

library = pytest.importorskip("faiss")
from trainer.index import faiss  # noqa: E402


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("codes", ["SQ8", "SQfp16"])
def test_the_file_is_the_one_of_a_plain_build(tmp_path, monkeypatch, space, codes):
    of = uneven(3000, 13)
    monkeypatch.setattr(faiss, "row_chunks", lambda count, *_: row_chunks(count, 64))
    monkeypatch.setattr(faiss, "_TRAINING_POINTS_PER_LIST", 20)
    build("faiss", of, space, tmp_path, settings={"lists": 50, "codes": codes}, seed=5)
    indexed = unit_rows(augment_items(of) if space == "inner_product" else of)
    plain = library.index_factory(indexed.shape[1], f"IVF50,{codes}", library.METRIC_L2)
    plain.cp.seed, plain.cp.niter = 5, 10
    plain.cp.min_points_per_centroid, plain.cp.max_points_per_centroid = 1, 20
    sample = np.random.default_rng(5).choice(3000, 50 * 20, replace=False)
    plain.train(indexed[np.sort(sample)])
    plain.add(indexed)
    assert (tmp_path / "it.faiss").read_bytes() == library.serialize_index(plain).tobytes()


@pytest.mark.parametrize(
    ("items", "lists"), [(7, 1), (1000, 125), (10**4, 400), (2 * 10**5, 1789), (2 * 10**5 + 1, 3578)]
)
def test_a_list_has_eight_items_at_the_least(items, lists):
    [backend] = make_backends("faiss")
    rounds = [[{"lists": lists, "codes": codes}] for codes in ("SQ8", "SQfp16")]
    assert backend.rounds(items, "cosine") == rounds


def test_an_item_that_is_much_longer_than_all_others_hides_none(tmp_path):
    of = vectors(2000)
    of[0] *= 1e4
    built = build("faiss", of, "inner_product", tmp_path)
    assert recall(built, of, vectors(40, seed=2), "inner_product") >= 0.99


def test_what_was_saved_is_all_there_mapped_and_not_read_ahead(tmp_path):
    built = build("faiss", vectors(500), "cosine", tmp_path)
    # Where lists hold fewer than are asked for there are no made-up rows.
    for query in vectors(20, seed=2):
        found = built.index.search(query, 30, 1)
        assert 0 < len(found) <= 30
        assert {*found.tolist()} <= {*range(500)}
    lists = library.downcast_InvertedLists(built.index._index.invlists)
    assert isinstance(lists, library.OnDiskInvertedLists)
    assert lists.prefetch_nthread == 0
    with pytest.raises(VectorError, match=r"it\.faiss: holds 500 items after saving 501"):
        faiss._SavedIndex(tmp_path / "it.faiss", 501, 30, augment=False)


def test_many_lists_are_found_by_a_graph_and_found_again_by_who_maps_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(faiss, "_MANY_LISTS", 20)
    of = vectors(2000)
    built = build("faiss", of, "cosine", tmp_path, settings={"lists": 40, "codes": "SQfp16"})
    quantizer = library.downcast_index(built.index._index.quantizer)
    assert isinstance(quantizer, library.IndexHNSWFlat)
    truth = np.argsort(-(unit_rows(of) @ unit_rows(of).T), axis=1)[:, :10]
    found = [built.index.search(query, 15, 20) for query in of[:100]]
    assert np.mean([len({*a} & {*b}) for a, b in zip(found, truth.tolist(), strict=False)]) > 9.5
