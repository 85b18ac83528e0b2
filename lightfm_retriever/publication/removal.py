"""Delete a version: one rename removes it from the list of versions, then its files are removed.

Readers see the whole version or none of it. A process that has it open keeps it: maps of removed files
stay valid, and the disk space is freed when the last map is closed. After a crash, the rest lies in the
staging directory, and the next writer removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path

from lightfm_retriever.files.durable import fsync_directory
from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import (
    LabelledVersionError,
    PublicationError,
    VersionNotFoundError,
    VolumeError,
    as_volume_error,
)
from lightfm_retriever.publication.reader import directory_of, has_version
from lightfm_retriever.publication.writer import Staging

_FULL = (errno.ENOSPC, errno.EDQUOT)


def delete_version(volume: Path, version: str) -> None:
    """Delete a version that no label names.

    A symbolic link is removed itself; its target stays.

    Raises:
        VersionNotFoundError: the volume has no such version.
        LabelledVersionError: a label names the version, or was moved to it meanwhile. The version
            stays.
        VolumeError: the labels can't be read or the volume can't be written. If the error says that
            files are left, the version is deleted, and the next writer tries to remove these files.
    """
    directory_of(volume, version)
    _refuse_labelled(volume, version)
    try:
        # The lock of the staging directory prevents other writers from removing its content.
        with Staging(volume) as staging:
            _delete(volume, version, staging.scratch("removed"))
    except VolumeError as error:
        is_full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL
        if not is_full or not has_version(volume, version):
            raise
        # The disk is so full that not even an empty directory fits. Deleting must work even then.
        _delete(volume, version, layout.staging_dir(volume))


def _delete(volume: Path, version: str, trash: Path) -> None:
    path = layout.version_dir(volume, version)
    removed = trash / f"removed-{version}-{secrets.token_hex(4)}"
    # The lock prevents moves of labels, except by an editor, which doesn't use the lock.
    with labels.exclusive(volume, path):
        _refuse_labelled(volume, version)
        try:
            os.rename(path, removed)
        except FileNotFoundError as error:
            raise VersionNotFoundError(version, volume) from error
        except OSError as error:
            raise VolumeError(path, f"can't be deleted: {error.strerror or error}") from error
        try:
            _refuse_labelled(volume, version)
        except PublicationError:
            with as_volume_error(removed, f"can't be moved back to {path}"):
                os.rename(removed, path)
            raise
    with as_volume_error(path, "is deleted, but not for good"):
        # Otherwise a power cut could undo the rename, but not the removal of some files.
        fsync_directory(trash)
        fsync_directory(path.parent)
    _remove(removed)


def _refuse_labelled(volume: Path, version: str) -> None:
    named = labels.list_labels(volume, strict=True)
    if own := [label for label, target in named.items() if target == version]:
        raise LabelledVersionError(version, own)


def _remove(removed: Path) -> None:
    with as_volume_error(removed, "the version is deleted, but files of it are left"):
        if removed.is_symlink():
            removed.unlink(missing_ok=True)
            return
        # First remove what can be removed; the next writer may do so too. Then report what can't.
        shutil.rmtree(removed, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(removed)
