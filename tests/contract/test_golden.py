"""Volumes that a release has written are read by every later one: see make_golden.py."""

import json

import numpy as np
import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import NothingToRollBackToError
from lightfm_retriever.publication.labels import list_labels, read_label, rollback_target
from lightfm_retriever.publication.manifest import FORMAT_VERSIONS
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.search_effort import depths_of
from lightfm_retriever.publication.storage.ragged import text
from lightfm_retriever.publication.vectors.vector_space import (
    augment_items,
    augment_queries,
    split_biases,
    user_queries,
)
from lightfm_retriever.publication.verification import verify
from tests import publications
from tests.contract import make_golden

VOLUME = make_golden.GOLDEN / "format-1"
ANSWERS = json.loads(VOLUME.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden():
    return open_publication(VOLUME, ANSWERS["version"])


def test_its_label_names_its_version():
    assert list_versions(VOLUME) == [ANSWERS["version"]]
    assert list_labels(VOLUME) == {"current": ANSWERS["version"]}
    assert read_label(VOLUME, "current") == ANSWERS["version"]
    with pytest.raises(NothingToRollBackToError):
        rollback_target(VOLUME)


def test_it_verifies():
    facts = verify(VOLUME, ANSWERS["version"])
    assert facts.format_version == 1
    assert (facts.items, facts.users, facts.components) == (12, 6, 4)
    assert facts.created_at == "2026-11-24T04:35:00Z"
    assert facts.dataset.name == "金"
    assert facts.hyperparameters["max_sampled"] is None
    assert facts.indexes["recommend"].query == {"search_k": -1, "candidates": 100}


def test_it_knows_one_way_of_asking_and_a_later_version_more():
    """As text: this is what retrievers of all releases read."""
    path = layout.version_dir(VOLUME, ANSWERS["version"]) / layout.MANIFEST
    content = json.loads(path.read_bytes())
    old = manifest.decode(path.read_bytes(), path=path, version=ANSWERS["version"])
    assert old.indexes["recommend"].ways == {}
    assert old.indexes["recommend"].recalls("recommend") == {"known": 1.0}
    content["indexes"]["recommend"]["ways"] = {
        "session": {
            "recall_at_10": 0.955,
            "query_microseconds": 81.5,
            "effort": 1.4142,
            "depths": [{"results": 30, "effort": 2.1213, "recall": 0.96}],
        },
        "features": {
            "recall_at_10": 1.0,
            "query_microseconds": 1500.0,
            "effort": None,
            "depths": [],
        },
    }
    content["checksum"] = publications.checksum(content)
    data = json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
    new = manifest.decode(data, path=path, version=ANSWERS["version"])
    assert manifest.encode(new) == data
    found = depths_of(new.indexes["recommend"].ways)
    assert (found["session"].effort(10), found["session"].effort(30)) == (1.4142, 2.1213)
    assert found["features"] is None
    assert new.indexes["recommend"].worst_recall_at_10 == 0.955


def test_its_files_have_the_names_of_the_format():
    directory = layout.version_dir(VOLUME, ANSWERS["version"])
    assert sorted(path.name for path in directory.iterdir()) == [
        "item_vectors.npy",
        "items.trie",
        "manifest.json",
        "recommend.annoy",
        "seen_items.npy",
        "seen_offsets.npy",
        "similar.annoy",
        "title_bytes.npy",
        "title_offsets.npy",
        "user_vectors.npy",
        "users.trie",
    ]
    assert sorted(path.name for path in VOLUME.iterdir()) == ["history", "labels", "versions"]
    assert (VOLUME / "labels" / "current").read_text() == f"{ANSWERS['version']}\n"
    assert (VOLUME / "history" / "current").read_text() == f"\npromote {ANSWERS['version']}\n"


@pytest.mark.parametrize("which", ["item", "user"])
def test_its_ids_have_their_rows(golden, which):
    id_map = {"item": golden.items, "user": golden.users}[which]
    ids = ANSWERS[f"{which}_ids"]
    assert [id_map.external_id(row) for row in range(len(id_map))] == ids
    assert [id_map.row(external_id) for external_id in ids] == list(range(len(ids)))
    assert {*ids} == {"item": {*make_golden.TITLES}, "user": {*make_golden.USERS}}[which]


def test_its_vectors_are_as_they_were(golden):
    np.testing.assert_array_equal(golden.item_vectors, np.float32(ANSWERS["item_vectors"]))
    np.testing.assert_array_equal(golden.user_vectors, np.float32(ANSWERS["user_vectors"]))


def test_its_seen_items_and_titles_are_as_they_were(golden):
    assert [golden.seen[row].tolist() for row in range(len(golden.seen))] == ANSWERS["seen"]
    titles = [text(golden.titles, row) for row in range(len(golden.titles))]
    assert titles == ANSWERS["titles"]
    assert dict(zip(ANSWERS["item_ids"], titles, strict=True)) == make_golden.TITLES


def vectors_and_queries(golden, name):
    """What was indexed, and what is asked: items like each item, or items for each user."""
    if name == layout.SIMILAR:
        embeddings, _ = split_biases(golden.item_vectors)
        return embeddings, embeddings
    return augment_items(golden.item_vectors), augment_queries(user_queries(golden.user_vectors))


@pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])
def test_its_indexes_answer_as_they_did(golden, name):
    facts = golden.manifest.indexes[name]
    assert (facts.backend, facts.metric) == ("annoy", "angular")
    index = AnnoyIndex(facts.dimensions, facts.metric)
    index.load(str(golden.directory / facts.file))
    assert index.get_n_items() == facts.items
    indexed, queries = vectors_and_queries(golden, name)
    for row, vector in enumerate(indexed):
        np.testing.assert_allclose(index.get_item_vector(row), vector, rtol=1e-6)
    assert len(queries) == len(ANSWERS[name])
    for query, expected in zip(queries, ANSWERS[name], strict=True):
        rows, distances = index.get_nns_by_vector(query, 10, include_distances=True)
        assert rows == expected["rows"]
        # Builds of Annoy for other CPUs round differently, and near 0 the square root enlarges that.
        np.testing.assert_allclose(distances, expected["distances"], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])
def test_its_answers_are_the_nearest_of_all(golden, name):
    """The recorded answers themselves, held against arithmetic."""
    indexed, queries = vectors_and_queries(golden, name)
    cosines = queries @ indexed.T / np.linalg.norm(indexed, axis=1)
    for found, expected in zip(ANSWERS[name], np.argsort(-cosines, axis=1), strict=True):
        assert found["rows"] == expected[: len(found["rows"])].tolist()
        assert len(found["rows"]) == 10


def test_encoding_its_manifest_again_gives_the_same_bytes():
    path = layout.version_dir(VOLUME, ANSWERS["version"]) / layout.MANIFEST
    data = path.read_bytes()
    assert manifest.encode(manifest.decode(data, path=path, version=ANSWERS["version"])) == data


def test_its_checksum_follows_the_rule_in_the_readme():
    path = layout.version_dir(VOLUME, ANSWERS["version"]) / layout.MANIFEST
    content = json.loads(path.read_bytes())
    assert content["checksum"] == publications.checksum(content)


def test_it_is_not_made_anew(monkeypatch, tmp_path):
    before = publications.tree(make_golden.GOLDEN)
    with pytest.raises(SystemExit, match="never remade"):
        make_golden.main()
    assert publications.tree(make_golden.GOLDEN) == before
    monkeypatch.setattr(make_golden, "GOLDEN", tmp_path)
    make_golden.main()
    for number in FORMAT_VERSIONS:
        answers = json.loads((tmp_path / f"format-{number}.json").read_text(encoding="utf-8"))
        assert verify(tmp_path / f"format-{number}", answers["version"]).format_version == number
        assert answers["item_ids"] == ANSWERS["item_ids"]
