import struct

import pytest

from lightfm_retriever.publication.storage.chunks import row_chunks
from tests.unit.trainer.index.cases import build, recall, vectors
from trainer.index import make_backends

pytest.importorskip("nmslib")
from trainer.index import nmslib


@pytest.mark.parametrize(
    ("space", "metrics"),
    [("cosine", ["cosinesimil"]), ("inner_product", ["negdotprod", "cosinesimil"])],
)
def test_inner_products_are_searched_both_ways_and_then_with_more_links(space, metrics):
    [backend] = make_backends("nmslib")
    assert backend.rounds(1000, space) == [
        [{"metric": metric, "M": 16, "efConstruction": 200} for metric in metrics],
        [{"metric": metric, "M": 32, "efConstruction": 400} for metric in metrics],
    ]


@pytest.mark.parametrize(("metric", "dimensions"), [("negdotprod", 13), ("cosinesimil", 14)])
def test_the_file_has_a_record_of_each_item_by_its_row(tmp_path, monkeypatch, metric, dimensions):
    of = vectors(500, 13)
    monkeypatch.setattr(nmslib, "row_chunks", lambda count, *_: row_chunks(count, 64))
    settings = {"metric": metric, "M": 16, "efConstruction": 200}
    built = build("nmslib", of, "inner_product", tmp_path, settings=settings)
    assert (built.metric, built.dimensions) == (metric, dimensions)
    # As release 2.1.2 writes it; the retriever relies on it.
    flag, items, _, _, links = struct.unpack_from("<5I", (tmp_path / "it.nmslib").read_bytes())
    assert (flag, items, (links - 16) / 4) == (1, 500, dimensions)
    # The vectors aren't written a second time beside it.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.nmslib"]
    assert recall(built, of, vectors(20, 13, seed=2), "inner_product") == 1
    assert sorted(built.index.search(of[0], 500, 500).tolist()) == [*range(500)]


@pytest.mark.parametrize(("items", "most"), [(1, 10), (300, 300), (5000, 4096)])
def test_a_queue_holds_ten_at_the_least_and_no_more_than_there_are(tmp_path, items, most):
    settings = {"metric": "cosinesimil", "M": 4, "efConstruction": 10}
    built = build("nmslib", vectors(items, 2), "cosine", tmp_path, settings=settings)
    assert (built.effort.least, built.effort.most) == (10, most)


def test_an_index_that_was_released_is_opened_again_for_the_next_search(tmp_path):
    of = vectors(300)
    built = build("nmslib", of, "cosine", tmp_path)
    before = built.index.search(of[3], 10, 50)
    built.release()
    (tmp_path / "it.nmslib").rename(tmp_path / "elsewhere")
    # It isn't in memory any more.
    with pytest.raises(RuntimeError):
        built.index.search(of[3], 10, 50)
    (tmp_path / "elsewhere").rename(tmp_path / "it.nmslib")
    # With the same effort, which it has to be told again.
    assert built.index.search(of[3], 10, 50).tolist() == before.tolist()
