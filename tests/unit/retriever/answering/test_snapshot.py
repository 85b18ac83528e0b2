from __future__ import annotations

import gc
import os
import shutil
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import MismatchError, MissingFileError, VersionNotFoundError
from retriever import failures
from retriever.answering import queries
from retriever.answering.snapshot import open_snapshot
from retriever.errors import SnapshotError
from tests import publications
from tests.retrievable import ODD_ITEM_IDS, ODD_USER_IDS, Expected
from tests.shortages import descriptors_left


def answers(snapshot):
    """Both questions, for every item and user, with the ids of the rows."""
    publication = snapshot.publication
    external_id = publication.items.external_id
    return [
        (ask.__name__, asked, [external_id(row) for row in ranking.rows], ranking.scores.tolist())
        for ask, id_map in (
            (queries.similar_items, publication.items),
            (queries.recommend, publication.users),
        )
        for asked in map(id_map.external_id, range(len(id_map)))
        for ranking in [ask(snapshot, asked)]
    ]


@pytest.mark.parametrize("backend", ["annoy", "exact", "faiss", "nmslib"])
def test_it_answers_every_id_from_the_published_numbers(published_by, backend):
    published = published_by(backend)
    snapshot = open_snapshot(published.volume, published.version)
    assert snapshot.version == published.version
    expected = Expected.of(published.volume, published.version)
    asked = answers(snapshot)
    assert len(asked) == 40 + 12
    assert {*ODD_ITEM_IDS, *ODD_USER_IDS} <= {external_id for _, external_id, _, _ in asked}
    for question, external_id, found, scores in asked:
        recommend = question == "recommend"
        all_scores = (expected.scores if recommend else expected.cosines)(external_id)
        best = sorted(all_scores, key=all_scores.__getitem__, reverse=True)[:10]
        assert found == best
        np.testing.assert_allclose(scores, [all_scores[item_id] for item_id in best], atol=1e-5)


def test_it_cannot_be_changed(published):
    snapshot = open_snapshot(published.volume, published.version)
    with pytest.raises(FrozenInstanceError):
        snapshot.publication = None
    for array in (snapshot.item_embeddings, snapshot.publication.user_vectors):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


@pytest.mark.parametrize("backend", ["annoy", "exact", "faiss"])
def test_every_file_is_mapped_and_nothing_is_copied(published_by, backend):
    published = published_by(backend)
    snapshot = open_snapshot(published.volume, published.version)
    mapped = Path("/proc/self/maps").read_text()
    files = {path.name for path in published.directory.iterdir()} - {layout.MANIFEST}
    assert len(files) == 9 if backend == "exact" else 11
    for name in files:
        assert str(published.directory / name) in mapped
    assert np.shares_memory(snapshot.item_embeddings, snapshot.publication.item_vectors)


@pytest.mark.parametrize("backend", ["annoy", "exact", "faiss", "nmslib"])
def test_the_last_reference_closes_every_map_and_descriptor(published_by, backend):
    published = published_by(backend)
    # What the library itself opens, it opens once.
    open_snapshot(published.volume, published.version)
    descriptors = len(os.listdir("/proc/self/fd"))
    gc.disable()  # no cycle may keep a version mapped until some later collection
    try:
        snapshot = open_snapshot(published.volume, published.version)
        answers(snapshot)
        assert str(published.directory) in Path("/proc/self/maps").read_text()
        del snapshot
        assert str(published.directory) not in Path("/proc/self/maps").read_text()
        assert len(os.listdir("/proc/self/fd")) == descriptors
    finally:
        gc.enable()


@pytest.mark.parametrize("backend", ["annoy", "exact", "faiss", "nmslib"])
def test_it_outlives_its_directory(published_by, backend):
    published = published_by(backend)
    snapshot = open_snapshot(published.volume, published.version)
    before = answers(snapshot)
    shutil.rmtree(published.directory)
    assert answers(snapshot) == before


def test_a_version_that_is_gone_is_an_error(published):
    shutil.rmtree(published.directory)
    with pytest.raises(VersionNotFoundError):
        open_snapshot(published.volume, published.version)


@pytest.mark.parametrize("name", publications.FILES)
def test_a_missing_or_truncated_file_is_named_before_it_is_mapped(published, name):
    data = (published.directory / name).read_bytes()
    publications.overwrite(published.directory / name, data[:-1])
    with pytest.raises(MismatchError, match="size in bytes") as caught:
        open_snapshot(published.volume, published.version)
    assert caught.value.path == published.directory / name
    (published.directory / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        open_snapshot(published.volume, published.version)


def test_indexes_that_are_swapped_with_their_facts_are_refused(published):
    """Signed anew, so only the facts can tell: each has the other's dimensions."""

    def swap(content):
        similar, recommend = (content["indexes"][name] for name in (layout.SIMILAR, layout.RECOMMEND))
        for key in ("dimensions", "metric"):
            similar[key], recommend[key] = recommend[key], similar[key]

    publications.edit_manifest(published.directory, swap)
    with pytest.raises(SnapshotError, match="index 'similar' has dimensions 6, but should have 4"):
        open_snapshot(published.volume, published.version)


@pytest.mark.parametrize("backend", ["annoy", "exact", "faiss", "nmslib"])
def test_however_few_descriptors_are_left_that_is_no_fault_of_the_version(published_by, backend):
    """Each file takes one or two, so that each may be the first that can't be opened."""
    published = published_by(backend)
    # With all that is imported for it.
    open_snapshot(published.volume, published.version)
    failed = 0
    while True:
        gc.collect()
        with descriptors_left(failed):
            try:
                open_snapshot(published.volume, published.version)
                break
            except Exception as error:
                reason = failures.of_error(error)
        assert reason.passing, reason
        assert (
            "Too many open files" in reason.reason
            or "lacked" in reason.reason
            or ("Cannot open file" in reason.reason)
        )
        failed += 1
    assert failed > 5
