"""Reading publications: list, resolve, verify, open. Never changes anything on the volume."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from publication import layout, manifest
from publication.arrays import map_array
from publication.errors import (
    InvalidPublicationError,
    MismatchError,
    MissingFileError,
    VersionNotFoundError,
    VolumeError,
)
from publication.id_map import IdMap
from publication.manifest import Manifest
from publication.ragged import Ragged
from publication.ranking import row_norms
from publication.vector_space import Float32Array, split_biases

_CHUNK_ROWS = 1 << 16


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


def list_versions(volume: Path) -> list[str]:
    """Names of all versions, oldest first. Other files in the directory are ignored.

    Raises:
        VolumeError: the volume can't be read.
    """
    directory = layout.versions_dir(volume)
    try:
        with os.scandir(directory) as entries:
            return sorted(
                entry.name for entry in entries if layout.is_version_name(entry.name) and entry.is_dir()
            )
    except FileNotFoundError:
        if not volume.is_dir():
            raise VolumeError(volume, "the volume doesn't exist") from None
        return []
    except OSError as error:
        raise VolumeError(directory, error.strerror or str(error)) from error


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
    return manifest.read(_directory(volume, version))


def verify(volume: Path, version: str) -> Manifest:
    """Check every byte of a version, and that its parts fit together.

    Reading every file also fills the page cache, so opening the version afterwards is quick.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: names the file at fault and both values.
    """
    directory = _directory(volume, version)
    facts = manifest.read(directory)
    for name, file_facts in facts.files.items():
        path = directory / name
        _check_size(path, file_facts.size)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InvalidPublicationError(path, error.strerror or str(error)) from error
        if found != file_facts.sha256:
            raise MismatchError(path, "SHA-256", expected=file_facts.sha256, found=found)
    _check_contents(open_publication(volume, version))
    return facts


def open_publication(volume: Path, version: str) -> Publication:
    """Map a version's arrays and id maps, checking names, sizes, types and shapes.

    It doesn't read the data: `verify` the version once before it is served.

    Raises:
        VersionNotFoundError: the volume has no such version.
        VolumeError: the volume can't be read.
        InvalidPublicationError: names the file at fault and both values.
    """
    directory = _directory(volume, version)
    facts = manifest.read(directory)
    for name, file_facts in facts.files.items():
        _check_size(directory / name, file_facts.size)
    width = facts.components + 1
    titles = held_out = norms = None
    if layout.TITLE_OFFSETS in facts.files:
        titles = Ragged(
            map_array(directory / layout.TITLE_OFFSETS, np.int64, (facts.items + 1,)),
            map_array(directory / layout.TITLE_BYTES, np.uint8, (None,)),
        )
    if layout.HELD_OUT_OFFSETS in facts.files:
        held_out = Ragged(
            map_array(directory / layout.HELD_OUT_OFFSETS, np.int64, (facts.users + 1,)),
            map_array(directory / layout.HELD_OUT_ITEMS, np.int32, (None,)),
        )
    if layout.ITEM_NORMS in facts.files:
        norms = map_array(directory / layout.ITEM_NORMS, np.float32, (facts.items,))
    return Publication(
        directory=directory,
        manifest=facts,
        items=_open_id_map(directory / layout.ITEM_IDS, facts.items),
        users=_open_id_map(directory / layout.USER_IDS, facts.users),
        item_vectors=map_array(directory / layout.ITEM_VECTORS, np.float32, (facts.items, width)),
        user_vectors=map_array(directory / layout.USER_VECTORS, np.float32, (facts.users, width)),
        seen=Ragged(
            map_array(directory / layout.SEEN_OFFSETS, np.int64, (facts.users + 1,)),
            map_array(directory / layout.SEEN_ITEMS, np.int32, (None,)),
        ),
        item_norms=norms,
        titles=titles,
        held_out=held_out,
    )


def _directory(volume: Path, version: str) -> Path:
    if not has_version(volume, version):
        raise VersionNotFoundError(version, volume)
    return layout.version_dir(volume, version)


def _check_size(path: Path, expected: int) -> None:
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingFileError(path) from error
    except OSError as error:
        raise InvalidPublicationError(path, error.strerror or str(error)) from error
    if found != expected:
        raise MismatchError(path, "size in bytes", expected=expected, found=found)


def _open_id_map(path: Path, expected: int) -> IdMap:
    id_map = IdMap.open(path)
    if len(id_map) != expected:
        raise MismatchError(path, "number of ids", expected=expected, found=len(id_map))
    return id_map


def _check_contents(publication: Publication) -> None:
    """What only reading the data can tell."""
    directory = publication.directory
    for name, vectors in (
        (layout.ITEM_VECTORS, publication.item_vectors),
        (layout.USER_VECTORS, publication.user_vectors),
    ):
        for start in range(0, len(vectors), _CHUNK_ROWS):
            bad = ~np.isfinite(vectors[start : start + _CHUNK_ROWS]).all(axis=1)
            if bad.any():
                row = start + int(bad.argmax())
                raise InvalidPublicationError(directory / name, f"row {row} isn't finite")
    _check_embeddings(publication)
    _check_rows(publication, layout.SEEN_OFFSETS, layout.SEEN_ITEMS, publication.seen)
    if publication.held_out is not None:
        _check_rows(publication, layout.HELD_OUT_OFFSETS, layout.HELD_OUT_ITEMS, publication.held_out)
    titles = publication.titles
    if titles is not None and (problem := titles.problem()) is not None:
        raise InvalidPublicationError(directory / layout.TITLE_OFFSETS, f"offsets {problem}")


def _check_embeddings(publication: Publication) -> None:
    embeddings = split_biases(publication.item_vectors)[0]
    norms = publication.item_norms
    for start in range(0, len(embeddings), _CHUNK_ROWS):
        chunk = embeddings[start : start + _CHUNK_ROWS]
        zero = ~chunk.any(axis=1)
        if zero.any():
            row = start + int(zero.argmax())
            # It has no cosine to anything.
            path = publication.directory / layout.ITEM_VECTORS
            raise InvalidPublicationError(path, f"embedding {row} is zero")
        if norms is None:
            continue
        wrong = ~np.isclose(norms[start : start + _CHUNK_ROWS], row_norms(chunk), rtol=1e-3)
        if wrong.any():
            row = start + int(wrong.argmax())
            path = publication.directory / layout.ITEM_NORMS
            raise InvalidPublicationError(path, f"norm {row} isn't that of the embedding")


def _check_rows(publication: Publication, offsets: str, values: str, rows: Ragged) -> None:
    """Rows of item rows: what users saw, and what was held out."""
    directory, items = publication.directory, publication.manifest.items
    if (problem := rows.problem()) is not None:
        raise InvalidPublicationError(directory / offsets, f"offsets {problem}")
    found = rows.values
    if len(found) and (int(found.min()) < 0 or int(found.max()) >= items):
        raise MismatchError(
            directory / values,
            "range of item rows",
            expected=f"0..{items - 1}",
            found=f"{int(found.min())}..{int(found.max())}",
        )
    if (user := rows.first_not_ascending()) is not None:
        raise InvalidPublicationError(directory / values, f"the items of user row {user} don't ascend")
