"""Read versions: list, look up and open them. This never changes the volume."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import check_regular
from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.attributes import Attributes, NumberIndex, TextIndex
from lightfm_retriever.publication.errors import (
    MismatchError,
    MissingFileError,
    NoVectorsError,
    VersionNotFoundError,
    VolumeError,
    unreadable,
)
from lightfm_retriever.publication.layout import FILES, MODEL
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.publication.storage.arrays import map_file
from lightfm_retriever.publication.storage.id_map import AnyIds, IdMap, ItemIds, UserIds, count_ids
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours
from lightfm_retriever.publication.vectors.vector_space import Float32Array


@dataclass(frozen=True)
class Publication:
    """One opened version. All arrays are read-only memory maps.

    An attribute with the name of a file contains what `layout.FILES` says about that file. `seen`,
    `titles` and `held_out` are ragged rows. `item_norms`, `titles`, `held_out` and all attributes with
    default None are None if the version doesn't have the file. A version has either vectors or
    neighbours.

    Attributes:
        directory: the folder of the files, for opening the indexes.
        neighbours: of the items; None for a model of vectors.
        profiles: for each user the items whose neighbours count; None where these are the seen ones.
        files: all id maps and arrays by file name, even those without an attribute here.
    """

    directory: Path
    manifest: Manifest
    items: ItemIds
    users: UserIds
    item_vectors: Float32Array | None
    user_vectors: Float32Array | None
    seen: Ragged
    item_norms: Float32Array | None
    titles: Ragged | None
    held_out: Ragged | None
    id_ranks: NDArray[np.int32] | None = None
    popular_items: NDArray[np.int32] | None = None
    popularity: NDArray[np.int32] | None = None
    user_features: AnyIds | None = None
    user_feature_vectors: Float32Array | None = None
    fold_in: Float32Array | None = None
    attributes: Attributes | None = None
    neighbours: Neighbours | None = None
    profiles: Ragged | None = None
    files: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vectors(self) -> tuple[Float32Array, Float32Array]:
        """The vectors of items and of users. Raises NoVectorsError for an item-item model."""
        if self.item_vectors is None or self.user_vectors is None:
            raise NoVectorsError(self.manifest.version, self.manifest.family)
        return self.item_vectors, self.user_vectors


def list_versions(volume: Path) -> list[str]:
    """Return the names of all versions, oldest first. Other files in the directory are ignored.

    A version that can't be checked is listed too: the error comes when it is read.

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
        # A link to itself leads nowhere, like a link to a missing folder.
        return error.errno != errno.ELOOP


def has_version(volume: Path, version: str) -> bool:
    """Return whether the volume has this version. Raises VolumeError if it can't be read."""
    directory = layout.version_dir(volume, version)
    try:
        return layout.is_version_name(version) and directory.is_dir()
    except OSError as error:
        raise VolumeError(directory, error.strerror or str(error)) from error


def read_manifest(volume: Path, version: str) -> Manifest:
    """Read and check the manifest of a version. Raises the errors of `open_publication`."""
    return manifest.read(directory_of(volume, version))


def open_publication(volume: Path, version: str) -> Publication:
    """Map the arrays and id maps of a version, and check names, sizes, types and shapes.

    This doesn't read the data: verify the version once before you serve it.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: a file is invalid; the error names it and both values.
    """
    return open_directory(directory_of(volume, version), version)


def open_directory(directory: Path, version: str) -> Publication:
    """Open a version in any directory, such as one that isn't published yet."""
    facts = manifest.read(directory, version=version)
    paths = {name: directory / name for name in facts.files}
    for name, path in paths.items():
        check_size(path, facts.files[name].size)
    files = _open_files(paths, facts)
    # Files by their names without endings, which are names of attributes.
    stems = {name.partition(".")[0]: own for name, own in files.items()}
    own: dict[str, Any] = {field.name: stems.get(field.name) for field in fields(Publication)}
    own |= {"directory": directory, "manifest": facts, "files": files}
    own["seen"] = _rows(files, layout.SEEN_OFFSETS)
    own["titles"] = _rows(files, layout.TITLE_OFFSETS)
    own["held_out"] = _rows(files, layout.HELD_OUT_OFFSETS)
    own["profiles"] = _rows(files, layout.PROFILE_OFFSETS)
    if facts.kind == "neighbours":
        rows = _rows(files, layout.NEIGHBOUR_OFFSETS)
        own["neighbours"] = Neighbours(rows, files[layout.NEIGHBOUR_WEIGHTS])
    own["attributes"] = _attributes(files, facts) if facts.attributes else None
    return Publication(**own)


def _open_files(paths: Mapping[str, Path], facts: Manifest) -> dict[str, Any]:
    """Map the files of a version, except those for a warm start of training."""
    sizes = {"items": facts.items, "users": facts.users, "components": facts.components}
    sizes["numbers"] = sum(attribute.kind == "number" for attribute in facts.attributes)
    files: dict[str, Any] = {}
    for name, spec in FILES.items():
        if (path := paths.get(name)) is None or not spec.shape or spec.group == MODEL:
            continue
        if spec.dtype:
            files[name] = map_file(path, sizes)
            # So that later files of the same length are held against this one.
            sizes = {**dict(spec.sizes(files[name].shape)), **sizes}
        else:
            files[name] = IdMap.open(path)
            count_ids(path, files[name], sizes)
    return files


def _rows(files: Mapping[str, Any], offsets: str) -> Any:
    values = FILES[offsets].values
    return Ragged(files[offsets], files[values]) if values in files else None


def _attributes(files: Mapping[str, Any], facts: Manifest) -> Attributes:
    text = number = None
    if layout.ATTRIBUTE_VALUES in files:
        both = (layout.ATTRIBUTE_ITEMS_OFFSETS, layout.ITEM_ATTRIBUTES_OFFSETS)
        text = TextIndex(files[layout.ATTRIBUTE_VALUES], *(_rows(files, name) for name in both))
    if layout.NUMBERS in files:
        number = NumberIndex(*(files[name] for name in layout.ATTRIBUTE_FILES["number"]))
    return Attributes(facts.attributes, text, number)


def directory_of(volume: Path, version: str) -> Path:
    """Return the directory of a version. Raises VersionNotFoundError and VolumeError."""
    if not has_version(volume, version):
        raise VersionNotFoundError(version, volume)
    return layout.version_dir(volume, version)


def check_size(path: Path, expected: int) -> None:
    """Raise InvalidPublicationError if a file is missing, isn't regular or has another size."""
    try:
        found = check_regular(path).st_size
    except FileNotFoundError as error:
        raise MissingFileError(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if found != expected:
        raise MismatchError(path, "size in bytes", expected=expected, found=found)
