import marisa_trie
import numpy as np
import pytest
import scipy.sparse as sp

from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.volume import Volume
from tests import publications
from tests.benchmarks.quality.published import Published, current


def test_scores_are_read_from_the_files_of_a_version(tmp_path):
    name = publications.publish(tmp_path)
    Volume(tmp_path).promote(name)
    version = current(tmp_path)
    items = [*reversed(publications.ITEM_IDS), "nothing"]
    published = Published(version, ["nobody", *publications.USER_IDS], items)
    found = published.scores(np.array([2, 0]))
    item_rows = [IdMap.open(version / "items.trie").row(item) for item in items[:-1]]
    user = IdMap.open(version / "users.trie").row(publications.USER_IDS[1])
    vectors = np.load(version / "item_vectors.npy")[item_rows]
    own = np.load(version / "user_vectors.npy")[user]
    assert found[0] == pytest.approx([*(vectors[:, :-1] @ own[:-1] + vectors[:, -1]), -np.inf])
    assert found[1].tolist() == [*[0.0] * len(item_rows), -np.inf]


@pytest.mark.parametrize("kind", ["profile", "seen"])
def test_scores_of_neighbours_are_summed_over_a_profile(tmp_path, kind):
    users, items = ["u", "v"], ["a", "b", "c"]
    for name, ids in (("users", users), ("items", items)):
        marisa_trie.BinaryTrie(one.encode() for one in ids).save(str(tmp_path / f"{name}.trie"))
    trie = marisa_trie.BinaryTrie().load(str(tmp_path / "items.trie"))
    a, b, c = (trie.get(one.encode()) for one in items)
    weights = np.zeros((3, 3), np.float32)
    weights[a, b], weights[b, a], weights[b, c], weights[c, b] = 0.5, 0.25, 2, -1
    similar = sp.csr_matrix(weights)
    profiles = sp.lil_matrix((2, 3), dtype=np.float32)
    user = marisa_trie.BinaryTrie().load(str(tmp_path / "users.trie")).get(b"v")
    profiles[user, [a, b]] = 1
    profiles = profiles.tocsr()
    arrays = {
        "neighbour_offsets": similar.indptr,
        "neighbour_items": similar.indices,
        "neighbour_weights": similar.data,
        f"{kind}_offsets": profiles.indptr,
        f"{kind}_items": profiles.indices,
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    found = Published(tmp_path, ["v", "u"], items).scores(np.array([0, 1]))
    assert found.tolist() == [[0.25, 0.5, 2], [0, 0, 0]]
