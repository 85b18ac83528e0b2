import gc
import os
from pathlib import Path

import numpy as np
import pytest

from lightfm_retriever.publication import layout, reader
from lightfm_retriever.publication.errors import VersionNotFoundError, VolumeError
from lightfm_retriever.publication.reader import has_version, list_versions, open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import empty, text
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications

ITEMS = publications.ITEMS


def test_versions_are_listed_oldest_first_and_other_entries_ignored(published):
    versions = layout.versions_dir(published.volume)
    (versions / "lost+found").mkdir()
    (versions / f"{published.version}.bak").mkdir()
    (versions / "20261124T120000Z-000000").write_bytes(b"a file")
    (versions / "20261124T120000Z-000001").symlink_to("nowhere")
    assert list_versions(published.volume) == [published.older, published.version]
    loop, odd = "20261124T120000Z-000002", "20261124T120000Z-000003"
    (versions / loop).symlink_to(loop)
    # Nobody can look there, root included.
    (versions / odd).symlink_to("x" * 300)
    assert set(list_versions(published.volume)) == {published.older, published.version, odd}
    assert not has_version(published.volume, loop)
    with pytest.raises(VolumeError, match=f"{odd}.*: File name too long"):
        verify(published.volume, odd)


def test_a_volume_that_is_missing_or_cannot_be_read_is_an_error_that_names_it(tmp_path):
    assert list_versions(tmp_path) == []
    with pytest.raises(VolumeError, match="missing: the volume doesn't exist"):
        list_versions(tmp_path / "missing")
    (tmp_path / "volume").write_bytes(b"")
    with pytest.raises(VolumeError, match=r"volume/versions: Not a directory"):
        list_versions(tmp_path / "volume")
    # No system call takes a name of 300 bytes, whoever asks.
    unreadable = Path("/", "x" * 300)
    for read in (has_version, reader.read_manifest, verify, open_publication):
        with pytest.raises(VolumeError, match="File name too long") as caught:
            read(unreadable, "20261124T043500Z-3fa9c1")
        assert unreadable in caught.value.path.parents


def test_a_version_verifies_holds_what_was_published_and_no_other_is_found(
    published,
):
    before = publications.tree(published.volume)
    for version in (published.older, published.version):
        facts = verify(published.volume, version)
        assert facts == reader.read_manifest(published.volume, version)
        assert (facts.version, sorted(facts.files)) == (version, publications.ALL_FILES)
        assert has_version(published.volume, version)
    random = np.random.default_rng(1)
    opened = open_publication(published.volume, published.version)
    assert (opened.directory, opened.manifest) == (published.directory, facts)
    # What came later to the format is missing together.
    for name in ("popular_items", "popularity", "user_features", "user_feature_vectors", "attributes"):
        assert getattr(opened, name) is None
    for vectors in (opened.item_vectors, opened.user_vectors):
        np.testing.assert_array_equal(vectors, random.normal(size=vectors.shape).astype(np.float32))
    assert len(opened.item_vectors) == ITEMS
    assert {*opened.items} == {*publications.ITEM_IDS}
    assert {*opened.users} == {*publications.USER_IDS}
    for user in range(publications.USERS):
        seen = np.sort(random.choice(ITEMS, size=user, replace=False))
        np.testing.assert_array_equal(opened.seen[user], seen)
        assert opened.held_out[user].tolist() == np.setdiff1d(range(ITEMS), seen)[: 2 * user].tolist()
    expected = np.sqrt((opened.item_vectors[:, :-1].astype(np.float64) ** 2).sum(axis=1))
    np.testing.assert_allclose(opened.item_norms, expected, rtol=1e-6)
    assert [text(opened.titles, row) for row in range(len(opened.titles))] == publications.TITLES
    for version in ("", "../versions", "20261124T043500Z-3fa9c1", "a\0b"):
        for read in (reader.read_manifest, verify, open_publication):
            with pytest.raises(VersionNotFoundError, match=f"isn't on the volume {published.volume}"):
                read(published.volume, version)
        assert not has_version(published.volume, version)
    assert publications.tree(published.volume) == before


def test_what_came_later_to_the_format_is_opened_or_may_be_missing_by_itself(extended):
    verify(extended.volume, extended.version)
    opened = open_publication(extended.volume, extended.version)
    in_order = map(opened.items.external_id, np.argsort(opened.id_ranks))
    assert [*in_order] == sorted(publications.ITEM_IDS, key=str.encode)
    popular = [(-opened.popularity[row], opened.id_ranks[row]) for row in opened.popular_items]
    assert popular == sorted(popular)
    assert {*opened.user_features} == {*publications.USER_FEATURES}
    features = len(publications.USER_FEATURES)
    assert opened.user_feature_vectors.shape == (features, publications.COMPONENTS + 1)
    assert opened.fold_in.shape == (publications.FOLD_IN_ROWS, publications.COMPONENTS)
    assert opened.attributes.facts == opened.manifest.attributes == publications.ATTRIBUTES.facts
    for missing in ("id_ranks", "fold_in"):
        publications.edit_manifest(
            extended.directory, lambda content, name=f"{missing}.npy": content["files"].pop(name)
        )
        verify(extended.volume, extended.version)
        assert getattr(open_publication(extended.volume, extended.version), missing) is None


def test_users_seen_items_titles_and_norms_may_be_none(tmp_path):
    vectors = np.ones((ITEMS, publications.COMPONENTS + 1), dtype=np.float32)
    with Staging(tmp_path) as staging:
        for name in (publications.SIMILAR_FILE, publications.RECOMMEND_FILE):
            staging.path(name).write_bytes(b"an index")
        staging.add_id_map(layout.ITEM_IDS, IdMap.build(publications.ITEM_IDS))
        staging.add_id_map(layout.USER_IDS, IdMap.build([]))
        staging.add_array(layout.ITEM_VECTORS, vectors)
        staging.add_array(layout.USER_VECTORS, vectors[:0])
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, empty(0))
        version = staging.publish(publications.facts(users=0)).version
    verify(tmp_path, version)
    opened = open_publication(tmp_path, version)
    assert opened.titles is opened.item_norms is opened.held_out is None
    assert len(opened.users) == len(opened.seen) == len(opened.user_vectors) == 0


def test_everything_opened_is_mapped_and_read_only_and_the_last_reference_closes_it(extended):
    # What other tests left is closed now, and not in between.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    opened = open_publication(extended.volume, extended.version)
    attributes = opened.attributes
    arrays = [own for own in opened.files.values() if isinstance(own, np.ndarray)]
    arrays += [opened.seen.values, opened.titles.values, opened.held_out.values]
    arrays += [*attributes.number_index(3), attributes.items_with(0), attributes.tokens.values]
    assert len(arrays) > 25
    for array in arrays:
        assert type(array) is np.ndarray
        owner = array
        while type(owner) is np.ndarray:
            owner = owner.base
        assert isinstance(owner, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 1

    def mapped():
        maps = Path("/proc/self/maps").read_text()
        return [name for name in publications.EXTENDED_FILES if f"{extended.directory}/{name}" in maps]

    assert mapped() == [name for name in publications.EXTENDED_FILES if not name.endswith(".annoy")]
    kept = opened.item_vectors[:1]
    del opened, attributes, arrays, array, owner
    assert mapped() == [layout.ITEM_VECTORS]
    del kept
    assert mapped() == []
    assert len(os.listdir("/proc/self/fd")) == before
