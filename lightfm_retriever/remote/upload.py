"""Upload a version from a folder to a store: its files first, in any order, and the manifest last.

A version exists when its manifest exists. Readers don't see an incomplete upload, and it is removed a
day later.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from lightfm_retriever.files.regular_files import read_regular
from lightfm_retriever.parallel import for_each
from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import PublicationError, VersionNotFoundError, VolumeError
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.remote.errors import ConflictError, ObjectMissingError, RefusedError, StoreError
from lightfm_retriever.remote.store import ObjectFacts, Store
from lightfm_retriever.remote.versions import (
    AT_ONCE,
    check_sizes,
    key_of,
    list_versions,
    read_manifest,
)

_log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between attempts to upload. A result of hours of work survives a restart of the store."""

# The number of latest versions to search for equal files. Older ones have less in common and cost
# calls.
_LOOKED_AT = 3
# Longer than any upload takes between two objects.
_ABANDONED = timedelta(hours=24)

_Given = TypeVar("_Given")


def upload(store: Store, folder: Path, version: str, *, pauses: Sequence[float] = PAUSES) -> None:
    """Upload a version from a volume in a folder, unless the store already has it.

    Files that one of the latest versions in the store has too are copied within the store. A failed
    request is retried after each of the `pauses`, in seconds.

    Raises:
        VersionNotFoundError: the folder has no such version.
        InvalidPublicationError: its manifest is invalid, or the store has other sizes than were sent.
        VolumeError: the upload failed, or the store has another version of this name.
    """
    directory = layout.version_dir(folder, version)
    if not directory.is_dir():
        raise VersionNotFoundError(version, folder)
    facts = manifest.read(directory)

    def patiently(call: Callable[[], _Given]) -> _Given:
        for pause in pauses:
            try:
                return call()
            except (RefusedError, ObjectMissingError):
                raise
            except StoreError as error:
                _log.warning("%s; retrying the upload in %g s", error, pause)
                time.sleep(pause)
        return call()

    if patiently(lambda: _is_there(store, facts)):
        return
    there = patiently(lambda: _by_checksum(store))

    def send(name: str) -> None:
        key, found = key_of(version, name), there.get(facts.files[name].sha256)
        if found is not None:
            # The object may have been deleted meanwhile, or be too large to copy. Then upload it.
            with contextlib.suppress(StoreError):
                store.copy(found, key)
                return
        patiently(lambda: store.upload(key, directory / name))

    # The largest files first, so that no thread is left with one at the end.
    largest_first = sorted(facts.files, key=lambda name: -facts.files[name].size)
    for_each(send, largest_first, threads=AT_ONCE)
    patiently(lambda: check_sizes(store, version, facts.files))
    data = read_regular(directory / layout.MANIFEST)
    patiently(lambda: _write_manifest(store, facts, data))


def _write_manifest(store: Store, facts: Manifest, data: bytes) -> None:
    key = key_of(facts.version, layout.MANIFEST)
    try:
        store.write_if(key, data, None)
    except ConflictError as error:
        if not _is_there(store, facts):
            # Another process is writing it now. Whether it is the same is known after that.
            raise StoreError(error.path, error.reason) from error


def _is_there(store: Store, facts: Manifest) -> bool:
    """Return whether the store has this version. Raises VolumeError if its files differ."""
    try:
        found = read_manifest(store, facts.version)
    except VersionNotFoundError:
        return False
    if found.files != facts.files:
        raise VolumeError(
            store.where(key_of(facts.version)),
            "another trainer has published other files under this name: train or publish again",
        )
    return True


def _by_checksum(store: Store) -> dict[str, str]:
    found = {}
    for version in list_versions(store)[-_LOOKED_AT:]:
        # Skip a version that is damaged or was deleted meanwhile.
        with contextlib.suppress(PublicationError):
            for name, own in read_manifest(store, version).files.items():
                found[own.sha256] = key_of(version, name)
    return found


def remove_abandoned(store: Store, *, clock: Callable[[], datetime]) -> list[str]:
    """Remove staged objects and incomplete versions, a day after the latest object of each.

    Returns their names. The store's clock is read only if there are any.
    """
    left: dict[str, dict[str, ObjectFacts]] = {}
    for key, facts in store.objects(layout.STAGING).items():
        left.setdefault("/".join(key.split("/")[:2]), {})[key] = facts
    for version in list_versions(store, whole=False):
        objects = store.objects(key_of(version))
        # List again, because the upload may have ended a moment ago.
        if objects and key_of(version, layout.MANIFEST) not in objects:
            left[version] = objects
    if not left:
        return []
    now, removed = clock(), []
    for name, objects in left.items():
        if now - max(facts.modified_at for facts in objects.values()) >= _ABANDONED:
            store.delete([*objects])
            removed.append(name)
    return removed
