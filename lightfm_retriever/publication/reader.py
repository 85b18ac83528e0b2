"""Reading publications: list, resolve, open. Never changes anything on the volume."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lightfm_retriever.files.regular_files import check_regular
from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.attributes import Attributes
from lightfm_retriever.publication.errors import (
    MismatchError,
    MissingFileError,
    VersionNotFoundError,
    VolumeError,
    unreadable,
)
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.storage.arrays import map_array
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import Float32Array


@dataclass(frozen=True)
class Publication:
    """One opened version; all arrays are read-only memory maps.

    Attributes:
        directory: where its files are, for opening the indexes.
        manifest: the facts.
        items, users: external id <-> row.
        item_vectors: (items, components + 1) float32, embedding then bias.
        user_vectors: (users, components + 1) float32, embedding then bias.
        seen: for each user the rows of the items of the training data, int32, ascending.
        item_norms: (items,) float32, norms of the embeddings without bias; None in old publications.
        titles: for each item its title in UTF-8, uint8; None when the publication has none.
        held_out: for each user the rows of the items of the test data, int32, ascending; None when
            nothing was held out, or in old publications.
        id_ranks: (items,) int32, the place of the row's id among all item ids in byte order.
        popular_items: (items,) int32, all item rows, most popular first, equal ones by id.
        popularity: (items,) int32, by item row the number of users with a positive of it.
        user_features: name of a user feature, "column:value" <-> row of user_feature_vectors.
        user_feature_vectors: (n, components + 1) float32, embedding then bias of each.
        fold_in: (2 components + 3, components) float32, see publication.vectors.fold_in.
        attributes: of the items.

    Each from id_ranks on is None when there is none, or in old publications.
    """

    directory: Path
    manifest: Manifest
    items: IdMap
    users: IdMap
    item_vectors: Float32Array
    user_vectors: Float32Array
    seen: Ragged
    item_norms: Float32Array | None
    titles: Ragged | None
    held_out: Ragged | None
    id_ranks: NDArray[np.int32] | None = None
    popular_items: NDArray[np.int32] | None = None
    popularity: NDArray[np.int32] | None = None
    user_features: IdMap | None = None
    user_feature_vectors: Float32Array | None = None
    fold_in: Float32Array | None = None
    attributes: Attributes | None = None


def list_versions(volume: Path) -> list[str]:
    """Names of all versions, oldest first. Other files in the directory are ignored.

    One that can't be looked at is listed too: who reads it is told why, and gets the others.

    Raises:
        VolumeError: the volume can't be read.
    """
    directory = layout.versions_dir(volume)
    try:
        with os.scandir(directory) as entries:
            return sorted(
                entry.name
                for entry in entries
                if layout.is_version_name(entry.name) and _may_be_directory(entry)
            )
    except FileNotFoundError:
        if not volume.is_dir():
            raise VolumeError(volume, "the volume doesn't exist") from None
        return []
    except OSError as error:
        raise VolumeError(directory, error.strerror or str(error)) from error


def _may_be_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        # A link to itself leads to nothing for everybody, as one to a missing folder does.
        return error.errno != errno.ELOOP


def has_version(volume: Path, version: str) -> bool:
    """Whether the volume has this version.

    Raises:
        VolumeError: the volume can't be read.
    """
    directory = layout.version_dir(volume, version)
    try:
        return layout.is_version_name(version) and directory.is_dir()
    except OSError as error:
        raise VolumeError(directory, error.strerror or str(error)) from error


def read_manifest(volume: Path, version: str) -> Manifest:
    """Read and check the manifest of a version.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: the manifest isn't valid.
    """
    return manifest.read(directory_of(volume, version))


def open_publication(volume: Path, version: str) -> Publication:
    """Map a version's arrays and id maps, checking names, sizes, types and shapes.

    It doesn't read the data: verify the version once before it is served.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: names the file at fault and both values.
    """
    return open_directory(directory_of(volume, version), version)


def open_directory(directory: Path, version: str) -> Publication:
    """Do the same for a version that lies in any directory, as before it appears on its volume."""
    facts = manifest.read(directory, version=version)
    for name, file_facts in facts.files.items():
        check_size(directory / name, file_facts.size)
    files = _Files(directory, facts)
    items, users, width = facts.items, facts.users, facts.components + 1
    features = None
    if layout.USER_FEATURES in facts.files:
        features = IdMap.open(directory / layout.USER_FEATURES)
    return Publication(
        directory=directory,
        manifest=facts,
        items=_open_id_map(directory / layout.ITEM_IDS, items),
        users=_open_id_map(directory / layout.USER_IDS, users),
        item_vectors=map_array(directory / layout.ITEM_VECTORS, np.float32, (items, width)),
        user_vectors=map_array(directory / layout.USER_VECTORS, np.float32, (users, width)),
        seen=Ragged(
            map_array(directory / layout.SEEN_OFFSETS, np.int64, (users + 1,)),
            map_array(directory / layout.SEEN_ITEMS, np.int32, (None,)),
        ),
        item_norms=files.array(layout.ITEM_NORMS, np.float32, (items,)),
        titles=files.ragged(layout.TITLE_OFFSETS, layout.TITLE_BYTES, np.uint8, items),
        held_out=files.ragged(layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, np.int32, users),
        id_ranks=files.array(layout.ID_RANKS, np.int32, (items,)),
        popular_items=files.array(layout.POPULAR_ITEMS, np.int32, (items,)),
        popularity=files.array(layout.POPULARITY, np.int32, (items,)),
        user_features=features,
        user_feature_vectors=None
        if features is None
        else files.array(layout.USER_FEATURE_VECTORS, np.float32, (len(features), width)),
        fold_in=files.array(layout.FOLD_IN, np.float32, FoldIn.shape(facts.components)),
        attributes=Attributes.open(directory, facts.attributes, items),
    )


@dataclass(frozen=True)
class _Files:
    """Those of a version that may be missing."""

    directory: Path
    facts: Manifest

    def array(self, name: str, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any] | None:
        return map_array(self.directory / name, dtype, shape) if name in self.facts.files else None

    def ragged(self, offsets: str, values: str, dtype: DTypeLike, rows: int) -> Ragged | None:
        starts = self.array(offsets, np.int64, (rows + 1,))
        own = self.array(values, dtype, (None,))
        return None if starts is None or own is None else Ragged(starts, own)


def directory_of(volume: Path, version: str) -> Path:
    """Find the directory of a version; raises VersionNotFoundError, and VolumeError."""
    if not has_version(volume, version):
        raise VersionNotFoundError(version, volume)
    return layout.version_dir(volume, version)


def check_size(path: Path, expected: int) -> None:
    """Raise InvalidPublicationError for a file that is missing, irregular or of another size."""
    try:
        found = check_regular(path).st_size
    except FileNotFoundError as error:
        raise MissingFileError(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if found != expected:
        raise MismatchError(path, "size in bytes", expected=expected, found=found)


def _open_id_map(path: Path, expected: int) -> IdMap:
    id_map = IdMap.open(path)
    if len(id_map) != expected:
        raise MismatchError(path, "number of ids", expected=expected, found=len(id_map))
    return id_map
