import gc
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import VersionNotFoundError
from retriever import failures
from retriever.answering.snapshot import open_snapshot
from tests import retrievable
from tests.retrievable import ODD_ITEM_IDS, ODD_USER_IDS, Expected
from tests.shortages import descriptors_left
from tests.unit.retriever.index.asking import backends


def opened(published):
    return open_snapshot(published.volume, published.version)


def answers(snapshot):
    """Both questions, for every item and user."""
    publication = snapshot.publication
    for ask, ids in (
        (retrievable.similar_items, publication.items),
        (retrievable.recommend, publication.users),
    ):
        for asked in map(ids.external_id, range(len(ids))):
            yield ask, asked, ask(snapshot, asked)


@backends
def test_it_answers_every_id_from_the_published_numbers_though_its_directory_is_gone(
    published_by, backend
):
    published = published_by(backend)
    snapshot = opened(published)
    assert snapshot.version == published.version
    expected = Expected.of(published.volume, published.version)
    shutil.rmtree(published.directory)
    asked = []
    for ask, external_id, found in answers(snapshot):
        scores_of = expected.scores if ask is retrievable.recommend else expected.cosines
        best = sorted(scores_of(external_id).items(), key=lambda one: -one[1])[:10]
        ids = [snapshot.publication.items.external_id(row) for row in found.rows]
        assert ids == [item_id for item_id, _ in best]
        np.testing.assert_allclose(found.scores, [score for _, score in best], atol=1e-5)
        asked.append(external_id)
    assert len(asked) == 40 + 12
    assert {*ODD_ITEM_IDS, *ODD_USER_IDS} <= {*asked}
    with pytest.raises(VersionNotFoundError):
        opened(published)


@backends
def test_every_file_is_mapped_and_closed_with_the_last_reference(published_by, backend):
    published = published_by(backend)
    # What the library itself opens, it opens once.
    opened(published)
    descriptors = len(os.listdir("/proc/self/fd"))
    files = {path.name for path in published.directory.iterdir()} - {layout.MANIFEST}
    assert len(files) == 9 if backend == "exact" else 11
    gc.disable()  # no cycle may keep a version mapped until some later collection
    try:
        snapshot = opened(published)
        assert [*answers(snapshot)]
        mapped = Path("/proc/self/maps").read_text()
        # NMSLIB has copies.
        missing = {name for name in files if str(published.directory / name) not in mapped}
        # A volume is for reading, and may be mounted so.
        own = [line.split() for line in mapped.splitlines() if str(published.directory) in line]
        assert {rights[:3] for _, rights, *_ in own} == {"r--"}
        assert missing == {name for name in files if name.endswith(".nmslib")}
        assert np.shares_memory(snapshot.model.item_embeddings, snapshot.publication.item_vectors)
        assert snapshot.model.similar.exact.norms is snapshot.publication.item_norms is not None
        del snapshot
        assert str(published.directory) not in Path("/proc/self/maps").read_text()
        assert len(os.listdir("/proc/self/fd")) == descriptors
    finally:
        gc.enable()


@backends
def test_however_few_descriptors_are_left_that_is_no_fault_of_the_version(published_by, backend):
    """Each file takes one or two, so that each may be the first that can't be opened."""
    published = published_by(backend)
    # With all that is imported for it.
    opened(published)
    failed = 0
    while True:
        gc.collect()
        with descriptors_left(failed):
            try:
                opened(published)
                break
            except Exception as error:
                reason = failures.of_error(error)
        assert reason.passing, reason
        words = ("Too many open files", "lacked", "Cannot open file")
        assert any(word in reason.reason for word in words)
        failed += 1
    assert failed > 5
