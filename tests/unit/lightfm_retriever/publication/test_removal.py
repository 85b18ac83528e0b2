import errno
import os
import shutil
from unittest import mock

import numpy as np
import pytest

from lightfm_retriever.publication import labels, layout, removal
from lightfm_retriever.publication.errors import LabelledVersionError, VersionNotFoundError, VolumeError
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.removal import delete_version
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications


def assert_has(published, *versions, left=0):
    assert list_versions(published.volume) == [*versions]
    for version in versions:
        verify(published.volume, version)
    assert len(os.listdir(layout.staging_dir(published.volume))) == left


def assert_deleted(published, **more):
    assert_has(published, published.version, **more)


def after_rename(monkeypatch, act):
    rename = os.rename

    def rename_and_act(source, target):
        rename(source, target)
        monkeypatch.setattr(removal.os, "rename", rename)
        act()

    monkeypatch.setattr(removal.os, "rename", rename_and_act)


def before_the_lock(monkeypatch, act):
    exclusive = labels.exclusive

    def act_first(volume, wanted):
        act()
        return exclusive(volume, wanted)

    monkeypatch.setattr(removal.labels, "exclusive", act_first)


def test_a_version_is_gone_and_leaves_nothing_to_who_has_not_opened_it(published):
    opened = open_publication(published.volume, published.older)
    expected = np.array(opened.item_vectors), opened.items.external_id(3)
    delete_version(published.volume, published.older)
    assert_deleted(published)
    np.testing.assert_array_equal(opened.item_vectors, expected[0])
    assert opened.items.row(expected[1]) == 3
    with pytest.raises(VersionNotFoundError):
        delete_version(published.volume, published.older)


def test_a_labelled_version_is_refused_with_its_labels_and_what_is_none_is_not_found(published):
    promote(published.volume, published.version, label="stable")
    before = publications.tree(published.volume)
    with pytest.raises(LabelledVersionError, match=f"'{published.version}' .* 'current', 'stable'"):
        delete_version(published.volume, published.version)
    for version in ("20250101T000000Z-000000", "../labels"):
        with pytest.raises(VersionNotFoundError):
            delete_version(published.volume, version)
    assert publications.tree(published.volume) == before


@pytest.mark.parametrize("when", [lambda _, act: act(), before_the_lock, after_rename])
@pytest.mark.parametrize("named", [True, False])
def test_a_label_that_names_it_or_cannot_be_read_keeps_a_version(published, monkeypatch, when, named):
    label = layout.label_file(published.volume, "odd")
    when(monkeypatch, lambda: label.write_text(published.older) if named else label.mkdir())
    error, said = (LabelledVersionError, "'odd'") if named else (VolumeError, "odd: Is a directory")
    with pytest.raises(error, match=said):
        delete_version(published.volume, published.older)
    assert_has(published, published.older, published.version)


def test_links_are_removed_and_not_followed(published, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(published.older_directory, outside)
    before = publications.tree(outside)
    (published.older_directory / "file").symlink_to(outside / layout.MANIFEST)
    (published.older_directory / "directory").symlink_to(outside)
    # Damaged as well.
    (published.older_directory / layout.MANIFEST).unlink()
    (published.older_directory / "deeper" / "down").mkdir(parents=True)
    delete_version(published.volume, published.older)
    assert_deleted(published)
    # Of a version that is a link, the link alone.
    published.older_directory.symlink_to(outside)
    delete_version(published.volume, published.older)
    assert_deleted(published)
    assert publications.tree(outside) == before


def test_a_version_that_may_not_be_moved_stays(published, monkeypatch):
    refused = mock.Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    with monkeypatch.context() as patch:
        patch.setattr(removal.os, "rename", refused)
        with pytest.raises(VolumeError, match="can't be deleted: Permission denied"):
            delete_version(published.volume, published.older)
    assert_has(published, published.older, published.version)
    layout.staging_dir(published.volume).rmdir()
    layout.staging_dir(published.volume).write_bytes(b"")
    with pytest.raises(VolumeError, match="can't be written"):
        delete_version(published.volume, published.older)
    assert list_versions(published.volume) == [published.older, published.version]


def test_files_that_cannot_be_removed_are_told_and_the_next_writer_removes_them(published, monkeypatch):
    unlink = os.unlink

    def refuse(path, **options):
        if str(path).endswith(layout.ITEM_VECTORS):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(VolumeError, match=r"files of it are left: .*item_vectors\.npy: Operation not"):
        delete_version(published.volume, published.older)
    monkeypatch.undo()
    assert_deleted(published, left=1)
    with Staging(published.volume):
        pass
    assert_deleted(published)


def test_a_disk_too_full_for_a_directory_still_lets_go_of_a_version(published, monkeypatch):
    full = VolumeError(published.volume, "can't be written")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(removal.Staging, "__enter__", mock.Mock(side_effect=full))
    delete_version(published.volume, published.older)
    assert_deleted(published)
