"""A volume in an object store, for publishing versions and managing labels."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lightfm_retriever.publication import layout, reader, verification
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    LabelError,
    LabelledVersionError,
    PublicationError,
    VersionNotFoundError,
    VolumeError,
)
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.volume import LONG_AGO, Volume
from lightfm_retriever.remote import upload, versions
from lightfm_retriever.remote.cache import Cache
from lightfm_retriever.remote.errors import ConflictError, ObjectMissingError, StoreError
from lightfm_retriever.remote.labels import StoreLabels
from lightfm_retriever.remote.location import Location
from lightfm_retriever.remote.store import Store
from lightfm_retriever.remote.versions import check_bytes, key_of

_log = logging.getLogger(__name__)


def open_volume(location: Location, cache_dir: Path, *, max_bytes: int | None = None) -> Volume:
    """Open a volume in a folder, or in a store with a cache, without a request.

    Raises StoreError if the URL is invalid, or the library for stores is missing.
    """
    if isinstance(location, Path):
        return Volume(location)
    return RemoteVolume(Store(location), cache_dir, max_bytes=max_bytes)


class RemoteVolume(StoreLabels, Volume):
    """A volume in a store, with a cache folder, where versions are staged too.

    The cache is created when it is needed. It may have `max_bytes`; None for no limit but the disk.
    """

    elsewhere = True

    def __init__(self, store: Store, folder: Path, *, max_bytes: int | None = None) -> None:
        super().__init__(store, self.has_version)
        self.folder = folder
        self._max_bytes = max_bytes
        # Protects the following attributes.
        self._lock = threading.Lock()
        self._made: Cache | None = None
        self._in_use: Counter[str] = Counter()

    def __str__(self) -> str:
        return str(self._store)

    @property
    def _cache(self) -> Cache:
        with self._lock:
            if self._made is None:
                self._made = Cache(self.folder, max_bytes=self._max_bytes)
            return self._made

    def list_versions(self) -> list[str]:
        return versions.list_versions(self._store)

    def has_version(self, version: str) -> bool:
        return layout.is_version_name(version) and self._store.exists(key_of(version, layout.MANIFEST))

    def read_manifest(self, version: str) -> Manifest:
        return versions.read_manifest(self._store, version)

    def written_at(self, version: str) -> datetime:
        """Return when the manifest of a version was written, which is its last file."""
        try:
            return self._store.facts(key_of(version, layout.MANIFEST)).modified_at
        except ObjectMissingError:
            return LONG_AGO

    def now(self) -> datetime:
        """Return the store's time: write an object, and read its time."""
        key = f"{layout.STAGING}/clock-{secrets.token_hex(8)}"
        try:
            return self._store.write(key, b"What time is it?\n").modified_at
        finally:
            with contextlib.suppress(StoreError):
                self._store.delete([key])

    def verify(self, version: str) -> Manifest:
        """Verify every byte in the store, even if the version is in the cache."""
        facts = self.read_manifest(version)
        with self._using(version):
            if self._cache.has(version):
                check_bytes(self._store, facts)
                if reader.read_manifest(self.folder, version) == facts:
                    self._cache.bring(self._store, version, verification.verify)
                    return facts
                self._cache.discard(version)
            # No links: of linked files only the cached copies would be checked.
            self._cache.fetch(self._store, version, linked=False)
            return verification.verify(self.folder, version)

    def delete_version(self, version: str) -> None:
        """Delete a version. Downloads in progress fail; complete copies in other caches stay."""
        data = versions.encoded_manifest(self._store, version)
        key = key_of(version, layout.MANIFEST)
        self._refuse_labelled(version)
        self._store.delete([key])
        try:
            # Moving a label checks the version again. So one of the two processes notices the other.
            self._refuse_labelled(version)
        except PublicationError:
            # Restore the manifest, unless the version was published again.
            with contextlib.suppress(ConflictError):
                self._store.write_if(key, data, None)
            raise
        try:
            self._store.delete([*self._store.objects(key_of(version))])
        except StoreError as error:
            raise VolumeError(
                self._store.where(key_of(version)),
                f"the version is deleted, but files of it are left: {error}",
            ) from error

    def _refuse_labelled(self, version: str) -> None:
        if own := [label for label, target in self.list_labels().items() if target == version]:
            raise LabelledVersionError(version, own)

    def remove_leftovers(self) -> list[str]:
        return upload.remove_abandoned(self._store, clock=self.now)

    @contextmanager
    def fetched(self, *versions: str) -> Iterator[Path]:
        with self._using(*versions):
            for version in versions:
                self._cache.bring(self._store, version, verification.verify)
            yield self.folder

    @contextmanager
    def followed(self, label: str) -> Iterator[Path]:
        try:
            version = self.read_label(label)
        except LabelError as error:
            if not isinstance(error.__cause__, ObjectMissingError):
                raise
            path = layout.label_file(self.folder, label)
            try:
                # The label must not exist in the folder either.
                path.unlink(missing_ok=True)
            except OSError as error:
                raise VolumeError(path, f"can't be removed: {error.strerror or error}") from error
            yield self.folder
            return
        with self._using(version):
            try:
                self._cache.bring(self._store, version, verification.verify)
            except (VersionNotFoundError, InvalidPublicationError) as error:
                _log.warning("label %r names a version that can't be used: %s", label, error)
            self._cache.follow(label, version)
            yield self.folder

    @contextmanager
    def _using(self, *versions: str) -> Iterator[None]:
        cache = self._cache
        with self._lock:
            self._in_use.update(versions)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.subtract(versions)
                # Remove versions with count 0.
                self._in_use = +self._in_use
                cache.uses.keep_only([*self._in_use])

    def check_writable(self) -> None:
        # A listing detects a missing bucket.
        self.list_labels()
        self.now()

    def upload(self, version: str) -> None:
        with self._using(version):
            self._cache.uses.add(version)
            upload.upload(self._store, self.folder, version)
        self._cache.trim()

    def room(self) -> None:
        """Return None: a store has no limit."""
