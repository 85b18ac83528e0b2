"""Deleting a version: it disappears in one rename, and only then are its files removed.

Readers meet the version whole or not at all. Who has it open keeps it: maps of removed files stay
valid, and their space is freed when the last map is gone. What a crash leaves lies in the staging
directory and is removed by the next writer.
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

    Symbolic links are removed as such: what they point to stays.

    Raises:
        VersionNotFoundError: the volume has no such version.
        LabelledVersionError: a label names it, or was made to meanwhile; it is left as it was.
        VolumeError: the labels can't be read or the volume can't be written. When the error says that
            files are left, the version is gone all the same, and the next writer tries to remove them.
    """
    directory_of(volume, version)
    _refuse_labelled(volume, version)
    try:
        # Its lock keeps other writers from taking what lies there for abandoned.
        with Staging(volume) as staging:
            _delete(volume, version, staging.scratch("removed"))
    except VolumeError as error:
        is_full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL
        if not is_full or not has_version(volume, version):
            raise
        # Not even an empty directory fits on the disk, which is why versions get deleted.
        _delete(volume, version, layout.staging_dir(volume))


def _delete(volume: Path, version: str, trash: Path) -> None:
    path = layout.version_dir(volume, version)
    removed = trash / f"removed-{version}-{secrets.token_hex(4)}"
    # Labels don't move meanwhile, but for those that are written without the lock: with an editor.
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
        # A power cut must not undo the rename and keep the removal of some files.
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
        # What can be removed is, and the next writer may be at it too; then it is told what can't.
        shutil.rmtree(removed, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(removed)
