"""Versions in a store, and checks of their objects against their manifests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from lightfm_retriever.parallel import for_each
from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import MismatchError, MissingFileError, VersionNotFoundError
from lightfm_retriever.publication.manifest import FileFacts, Manifest
from lightfm_retriever.remote.errors import ObjectMissingError
from lightfm_retriever.remote.store import PIECE_BYTES, Store

AT_ONCE = 4


def key_of(version: str, name: str = "") -> str:
    """Return the key of a version's file, or without a name the prefix of all its files."""
    return f"{layout.VERSIONS}/{version}/{name}"


def read_manifest(store: Store, version: str) -> Manifest:
    """Read and check the manifest of a version; see publication.reader.read_manifest."""
    return decode_manifest(store, version, encoded_manifest(store, version))


def decode_manifest(store: Store, version: str, data: bytes) -> Manifest:
    """Parse and check the manifest of a version from `encoded_manifest`."""
    path = store.where(key_of(version, layout.MANIFEST))
    return manifest.decode(data, path=path, version=version)


def encoded_manifest(store: Store, version: str) -> bytes:
    """Read the manifest of a version without parsing it. Raises VersionNotFoundError, StoreError."""
    if not layout.is_version_name(version):
        raise VersionNotFoundError(version, str(store))
    try:
        return store.read(key_of(version, layout.MANIFEST), at_most=manifest.MAX_BYTES)[0]
    except ObjectMissingError as error:
        raise VersionNotFoundError(version, str(store)) from error


def list_versions(store: Store, *, whole: bool = True) -> list[str]:
    """Return the names of all versions, sorted, or of those without a manifest. Raises StoreError."""
    found: dict[str, bool] = {}
    for key in store.objects(layout.VERSIONS):
        version, _, name = key.removeprefix(f"{layout.VERSIONS}/").partition("/")
        if layout.is_version_name(version) and name:
            found[version] = found.get(version, False) or name == layout.MANIFEST
    return sorted(version for version, is_whole in found.items() if is_whole == whole)


def check_sizes(store: Store, version: str, files: Mapping[str, FileFacts]) -> None:
    """Raise InvalidPublicationError unless the store has these files with their sizes."""
    objects = store.objects(key_of(version))
    for name, own in files.items():
        key = key_of(version, name)
        if (found := objects.get(key)) is None:
            raise MissingFileError(store.where(key))
        if found.size != own.size:
            raise MismatchError(store.where(key), "size in bytes", expected=own.size, found=found.size)


def check_bytes(store: Store, facts: Manifest) -> None:
    """Read every file from the store. Raises InvalidPublicationError if one doesn't match."""
    check_sizes(store, facts.version, facts.files)

    def check(name: str) -> None:
        key, own = key_of(facts.version, name), facts.files[name]
        digest = hashlib.sha256()
        try:
            for start in range(0, own.size, PIECE_BYTES):
                digest.update(store.read_range(key, start, min(start + PIECE_BYTES, own.size)))
        except ObjectMissingError as error:
            raise MissingFileError(store.where(key)) from error
        if (found := digest.hexdigest()) != own.sha256:
            raise MismatchError(store.where(key), "SHA-256", expected=own.sha256, found=found)

    for_each(check, facts.files, threads=AT_ONCE)
