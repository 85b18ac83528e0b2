"""Write a version: stage -> fsync -> manifest last -> verify -> rename.

A version appears under its name by one rename, complete and flushed to the disk, or not at all. After a
crash, the rest lies in the staging directory, and the next writer removes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.files.durable import fsync_directory, fsync_file, make_directory
from lightfm_retriever.files.regular_files import lock_regular, open_regular
from lightfm_retriever.publication import layout, manifest, verification
from lightfm_retriever.publication.attributes import Attributes
from lightfm_retriever.publication.errors import InvalidPublicationError, VectorError, VolumeError
from lightfm_retriever.publication.layout import FILES, FileSpec
from lightfm_retriever.publication.manifest import FileFacts, Manifest
from lightfm_retriever.publication.storage.arrays import check_kind
from lightfm_retriever.publication.storage.id_map import AnyIds, count_ids
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.neighbours import Neighbours

Clock = Callable[[], datetime]

_NUMBERS_CHECKED_TOGETHER = 1 << 18
# The lock file in each staging directory. It shows which directories belong to killed writers.
_LOCK = "lock"


def utc_now() -> datetime:
    """Return the time of the default clock of versions."""
    return datetime.now(UTC)


class Staging:
    """A version that is being written; a context manager that leaves nothing behind on failure.

        with Staging(volume) as staging:
            staging.add_array(layout.ITEM_VECTORS, vectors)
            index.save(staging.path("similar.annoy"))
            published = staging.publish(facts)

    Raises:
        VolumeError: the volume can't be written. Any OSError inside the block, for instance because the
            disk is full, becomes a VolumeError too.
    """

    def __init__(self, volume: Path, *, clock: Clock = utc_now) -> None:
        self._volume = volume
        self._clock = clock
        self._root = layout.staging_dir(volume)
        self._stack = contextlib.ExitStack()
        self._directory = self._files = Path()
        # The sizes of the staged arrays and id maps.
        self._sizes: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            for directory in (self._root, layout.versions_dir(self._volume)):
                make_directory(directory)
            _remove_abandoned(self._root)
            self._directory, lock = _make_locked(self._root)
            self._stack.callback(os.close, lock)
            self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
            self._files = self._directory / "files"
            self._files.mkdir()
        except OSError as error:
            self._stack.close()
            raise VolumeError(self._volume, f"can't be written: {error.strerror or error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        if isinstance(error, OSError):
            where = error.filename or self._volume
            reason = error.strerror or str(error)
            raise VolumeError(
                self._volume, f"publishing failed at {where}: {reason}; nothing was published"
            ) from error

    def path(self, name: str) -> Path:
        """Return the path for a file of the version, such as an index."""
        if not layout.is_file_name(name):
            raise ValueError(f"{name!r} isn't a plain file name")
        return self._files / name

    def scratch(self, name: str) -> Path:
        """Make an empty directory on the same file system, for files that aren't published."""
        path = self._directory / f"scratch-{name}"
        path.mkdir()
        return path

    def add_array(self, name: str, array: NDArray[Any]) -> None:
        """Write an array as .npy in C order.

        Raises:
            VectorError: a float isn't finite. NaN is allowed where it means no value.
            MismatchError: `layout.FILES` requires another type, or another shape for the sizes so far.
        """
        spec = FILES.get(name, FileSpec(name, ""))
        if array.dtype.kind == "f" and not _is_finite(array, gaps=spec.rule == "gaps"):
            raise VectorError(f"{name}: not every number is finite")
        if spec.dtype:
            sizes = {**dict(spec.sizes(array.shape)), **self._sizes}
            check_kind(name, array, spec.dtype, spec.lengths(sizes))
            self._sizes = sizes
        with self.path(name).open("xb") as file:
            # Write with Python's own file, because errors of NumPy don't contain the reason.
            written = SimpleNamespace(write=file.write)
            np.save(written, np.ascontiguousarray(array), allow_pickle=False)

    def add_ragged(self, offsets_name: str, values_name: str, ragged: Ragged) -> None:
        """Write offsets and values."""
        self.add_array(offsets_name, ragged.offsets)
        self.add_array(values_name, ragged.values)

    def add_neighbours(self, neighbours: Neighbours) -> None:
        """Write the neighbours of items."""
        self.add_ragged(layout.NEIGHBOUR_OFFSETS, layout.NEIGHBOUR_ITEMS, neighbours.rows)
        self.add_array(layout.NEIGHBOUR_WEIGHTS, neighbours.weights)

    def add_id_map(self, name: str, id_map: AnyIds) -> None:
        """Write an id map. Raises MismatchError if its size doesn't match the staged arrays."""
        count_ids(Path(name), id_map, self._sizes)
        id_map.save(self.path(name))

    def add_attributes(self, attributes: Attributes) -> None:
        """Write the attributes of items. Their facts belong into the manifest."""
        if (text := attributes.text) is not None:
            self.add_id_map(layout.ATTRIBUTE_VALUES, text.values)
            self.add_ragged(layout.ATTRIBUTE_ITEMS_OFFSETS, layout.ATTRIBUTE_ITEMS, text.items)
            self.add_ragged(layout.ITEM_ATTRIBUTES_OFFSETS, layout.ITEM_ATTRIBUTES, text.tokens)
        if (number := attributes.number_arrays) is not None:
            self.add_array(layout.NUMBERS, number.values)
            self.add_array(layout.NUMBER_ORDER, number.order)
            self.add_array(layout.NUMBER_SORTED, number.ordered)

    def publish(self, facts: Manifest) -> Manifest:
        """Seal the version, make it appear, and return its manifest. Raises the errors of `seal`."""
        return self.appear(self.seal(facts))

    def seal(self, facts: Manifest) -> Manifest:
        """Flush all files to the disk and write the manifest. Don't change anything afterwards.

        `facts` are the manifest without version, created_at and files, which this method fills in.
        Raises VolumeError if a required file is missing.
        """
        files = {path.name: _seal(path) for path in sorted(self._files.iterdir())}
        for name in layout.REQUIRED_FILES[facts.kind]:
            if name not in files:
                raise VolumeError(self._volume, f"nothing was published: {name} wasn't staged")
        return self._name(replace(facts, files=files), self._clock())

    def verify(self, sealed: Manifest) -> None:
        """Verify a sealed version as a retriever will, before readers can see it.

        Raises:
            InvalidPublicationError: a file is invalid; the error names it.
        """
        try:
            verification.verify_directory(self._files, sealed.version)
        except InvalidPublicationError as error:
            raise InvalidPublicationError(
                Path(error.path).name,
                f"{error.reason}; nothing was published, because a retriever would refuse this version",
            ) from error

    def appear(self, sealed: Manifest) -> Manifest:
        """Make a sealed version appear, and return its manifest.

        The version gets another name if the same content was already published in the same second.
        """
        while not self._rename(sealed.version):
            taken = datetime.fromisoformat(sealed.created_at)
            sealed = self._name(sealed, taken + timedelta(seconds=1))
        return sealed

    def _name(self, facts: Manifest, created_at: datetime) -> Manifest:
        """Fill in the time of creation and the name, and write the manifest."""
        created_at = created_at.astimezone(UTC).replace(microsecond=0)
        digest = hashlib.sha256("".join(own.sha256 for own in facts.files.values()).encode())
        complete = replace(
            facts,
            format_version=layout.format_version(facts.files),
            version=layout.version_name(created_at, digest.hexdigest()),
            created_at=created_at.isoformat().replace("+00:00", "Z"),
        )
        path = self._files / layout.MANIFEST
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write(manifest.encode(complete))
        os.chmod(path, 0o444)
        fsync_file(path)
        os.chmod(self._files, 0o755)  # noqa: S103 - the retriever may run as another user
        fsync_directory(self._files)
        return complete

    def _rename(self, version: str) -> bool:
        """Make the version appear under its name. Returns False if the name is taken."""
        target = layout.version_dir(self._volume, version)
        try:
            # This can't replace another version: only an empty directory could be replaced.
            os.rename(self._files, target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            return False
        try:
            fsync_directory(target.parent)
        except OSError:
            # The caller gets an error, so the version must not stay.
            with contextlib.suppress(OSError):
                os.rename(target, self._files)
            raise
        return True


def _make_locked(root: Path) -> tuple[Path, int]:
    """Make a staging directory with a lock, which shows other writers that its writer is alive."""
    while True:
        directory = root / f"publish-{secrets.token_hex(8)}"
        directory.mkdir()
        # Before it is locked, another writer may remove the directory as abandoned.
        with contextlib.suppress(FileNotFoundError):
            if (lock := lock_regular(directory / _LOCK)) is not None:
                return directory, lock


def _remove_abandoned(root: Path) -> None:
    """Remove what killed writers left in the staging directory."""
    for path in root.iterdir():
        # It may be gone, or another user's, which can't be locked.
        with contextlib.suppress(OSError):
            # Of the entry itself: where a link leads is none of the writers' business.
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                # Of one that is locked the writer lives.
                if (lock := lock_regular(path / _LOCK)) is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    os.close(lock)
            # The temporary file of a label, which its writer needs for milliseconds.
            elif datetime.now(UTC).timestamp() - facts.st_mtime > 3600:
                path.unlink(missing_ok=True)


def _is_finite(array: NDArray[Any], *, gaps: bool) -> bool:
    """Return whether all numbers are finite; with `gaps`, NaN is allowed. Reads them in parts."""
    flags: Any = ["external_loop", "buffered", "zerosize_ok"]
    parts = np.nditer(array, flags=flags, buffersize=_NUMBERS_CHECKED_TOGETHER)
    return all(not np.isinf(part).any() if gaps else np.isfinite(part).all() for part in parts)


def _seal(path: Path) -> FileFacts:
    """Flush a staged file to the disk, make it readable foreveryone, and return its facts."""
    os.chmod(path, 0o444)
    fsync_file(path)
    with open_regular(path) as file:
        return FileFacts(
            size=os.fstat(file.fileno()).st_size,
            sha256=hashlib.file_digest(file, "sha256").hexdigest(),
        )
