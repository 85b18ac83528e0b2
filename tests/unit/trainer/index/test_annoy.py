import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication.errors import VectorError
from lightfm_retriever.publication.storage.chunks import row_chunks
from lightfm_retriever.publication.vectors.vector_space import augment_items
from tests.unit.trainer.index.cases import SPACES, build, uneven
from trainer.errors import OptionError
from trainer.index import annoy, make_backends


@pytest.mark.parametrize("space", SPACES)
def test_the_file_is_the_one_of_a_plain_build_and_must_not_be_less(tmp_path, monkeypatch, space):
    of = uneven(3000, 13)
    monkeypatch.setattr(annoy, "row_chunks", lambda count, *_: row_chunks(count, 64))
    built = build("annoy", of, space, tmp_path, settings={"trees": 3}, seed=5)
    indexed = augment_items(of) if space == "inner_product" else of
    plain = AnnoyIndex(indexed.shape[1], "angular")
    plain.set_seed(5)
    for row, vector in enumerate(indexed):
        plain.add_item(row, vector)
    plain.build(3, 1)
    plain.save(str(tmp_path / "plain"))
    path = tmp_path / "it.annoy"
    assert path.read_bytes() == (tmp_path / "plain").read_bytes()
    with pytest.raises(VectorError, match=r"it\.annoy: holds 3000 items after saving 3001"):
        annoy._SavedIndex(path, built.dimensions, 3001, augment=False)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match="size"):
        annoy._SavedIndex(path, built.dimensions, 3000, augment=False)


@pytest.mark.parametrize(
    ("given", "items", "tried"),
    [
        # More are tried until they are enough, but so many take too long for a large catalogue.
        (None, 200_000, [10, 30, 100]),
        (None, 200_001, [10, 30]),
        # Those that were asked for are the only ones.
        (17, 10**7, [17]),
    ],
)
def test_trees_that_are_tried(given, items, tried):
    [backend] = make_backends("annoy", trees=given)
    assert backend.rounds(items, "cosine") == [[{"trees": trees}] for trees in tried]
    for trees in (0, 10_001):
        with pytest.raises(OptionError, match=rf"--trees is {trees}, but should be in 1\.\.10000"):
            make_backends("annoy", trees=trees)
