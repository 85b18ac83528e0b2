"""A cache of versions on a local disk: a folder that is a volume like any other.

    FOLDER/
      versions/V/   complete versions in the layout of publication.layout; a file that several versions
                    share exists once, with several names (hard links)
      labels/L      the version that the label named when it was last followed
      partial/V/    incomplete versions that are being downloaded
      used/V        locked by the processes that use the version; its time is that of the latest use

Several processes may share a cache. When room is needed, unused versions are removed, the least
recently used first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from lightfm_retriever.files.durable import make_directory
from lightfm_retriever.files.regular_files import create_regular, read_regular
from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import (
    PublicationError,
    VersionNotFoundError,
    VolumeError,
    as_volume_error,
)
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.remote import versions
from lightfm_retriever.remote.download import FILES, NOTES, UNWATCHED, Arrival, Download, Fetched
from lightfm_retriever.remote.sizes import directories, shown, size_of, sizes
from lightfm_retriever.remote.store import Store
from lightfm_retriever.remote.uses import Uses, alone, locked

_log = logging.getLogger(__name__)

_PARTIAL = "partial"
_USED = "used"
_REMOVED = "removed-"

# Room that stays free for the file system and for other programs.
_SPARE_BYTES = 64 << 20


class Cache:
    """The cached versions in one folder. Threads may share a cache.

    Attributes:
        folder: the volume of the cached versions.
        uses: which versions are in use.

    Args:
        folder: the folder; it is created if it doesn't exist.
        max_bytes: the most bytes of all versions together; None for no limit but the disk.
    """

    def __init__(self, folder: Path, *, max_bytes: int | None = None) -> None:
        """Open or create the cache. Raises VolumeError if the folder can't be written."""
        self.folder = folder
        self._max_bytes = max_bytes
        with self._errors():
            for name in (_PARTIAL, _USED, layout.VERSIONS, layout.LABELS, layout.STAGING):
                make_directory(folder / name)
            self.uses = Uses(folder / _USED)
            for left in (folder / _PARTIAL).glob(f"{_REMOVED}*"):
                shutil.rmtree(left, ignore_errors=True)

    def _errors(self) -> AbstractContextManager[None]:
        return as_volume_error(self.folder, "the cache can't be written")

    def has(self, version: str) -> bool:
        """Return whether the cache has the complete version."""
        return layout.is_version_name(version) and layout.version_dir(self.folder, version).is_dir()

    def bring(
        self,
        store: Store,
        version: str,
        check: Callable[[Path, str], object],
        *,
        arrival: Arrival = UNWATCHED,
    ) -> Fetched | None:
        """Fetch a version unless it is in the cache, and check it. Fetch a damaged copy again.

        `check` is called with the cache's folder and the version. If it raises a PublicationError other
        than a VolumeError, the copy is damaged. Raises the errors of `fetch` and `check`.
        """
        fetched = self.fetch(store, version, arrival=arrival)
        try:
            check(self.folder, version)
        except VolumeError:
            raise
        except PublicationError as error:
            self.discard(version)
            if fetched is not None and not fetched.linked:
                raise
            _log.warning(
                "the cached copy of version %s is damaged: %s; downloading it again", version, error
            )
            fetched = self.fetch(store, version, linked=False, arrival=arrival)
            check(self.folder, version)
        return fetched

    def fetch(
        self, store: Store, version: str, *, linked: bool = True, arrival: Arrival = UNWATCHED
    ) -> Fetched | None:
        """Download a version, and mark it as used. Returns None if it was in the cache.

        If another process downloads the same version, wait for it. With `linked`, files that other
        cached versions have too are linked instead of downloaded.

        Raises:
            VersionNotFoundError: the store doesn't have the version, or not yet.
            InvalidPublicationError: the version in the store doesn't match its manifest.
            VolumeError: the download failed, or there is no room. The downloaded part stays.
        """
        if not layout.is_version_name(version):
            raise VersionNotFoundError(version, str(store))
        with self._errors():
            self.uses.add(version)
        if self.has(version):
            return None
        with (
            self._errors(),
            self._fetching(version, arrival.wanted) as arriving,
        ):
            if self.has(version):
                return None  # another process has downloaded it meanwhile
            data = versions.encoded_manifest(store, version)
            facts = versions.decode_manifest(store, version, data)
            common = self._begin(arriving, data, facts, self._by_checksum() if linked else {})
            left = {name: own for name, own in facts.files.items() if name not in common}
            versions.check_sizes(store, version, left)
            # A file of an earlier attempt has its full size on the disk from the start.
            here = sum(size_of(arriving / FILES / name) or 0 for name in left)
            missing = sum(own.size for own in left.values())
            needed = max(0, missing - here)
            self._make_room(needed, version)
            arrival.begun(facts, needed)
            Download(store, arrival).bring(version, left, arriving)
            self._finish(arriving, version, left)
            fetched = Fetched(missing, sum(common.values()))
            arrival.ended(fetched)
            return fetched

    def _begin(
        self, arriving: Path, data: bytes, facts: Manifest, here: dict[str, Path]
    ) -> dict[str, int]:
        """Make the folder of a version, link the files that the cache has, and return their sizes."""
        files = arriving / FILES
        made = files / layout.MANIFEST
        if not made.exists() or read_regular(made, max_bytes=len(data) + 1) != data:
            for folder in (files, arriving / NOTES):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            with create_regular(made) as file:
                file.write(data)
        linked = {}
        for name, own in facts.files.items():
            if (found := here.get(own.sha256)) is None or size_of(found) != own.size:
                continue
            (files / name).unlink(missing_ok=True)
            # If linking fails, for instance because of too many links, the file is downloaded.
            with contextlib.suppress(OSError):
                os.link(found, files / name)
                linked[name] = own.size
        return linked

    def _by_checksum(self) -> dict[str, Path]:
        found = {}
        for directory in directories(self.folder / layout.VERSIONS):
            with contextlib.suppress(PublicationError):
                for name, own in manifest.read(directory).files.items():
                    found[own.sha256] = directory / name
        return found

    def _finish(self, arriving: Path, version: str, downloaded: Collection[str]) -> None:
        files = arriving / FILES
        for name in (*downloaded, layout.MANIFEST):
            os.chmod(files / name, 0o444)
        os.chmod(files, 0o755)  # noqa: S103 - workers may run as another user
        # No flush to the disk: every use verifies the version, and downloads a damaged one again.
        os.rename(files, layout.version_dir(self.folder, version))
        shutil.rmtree(arriving, ignore_errors=True)

    @contextmanager
    def _fetching(self, version: str, wanted: Callable[[], bool]) -> Iterator[Path]:
        arriving = self.folder / _PARTIAL / version
        with contextlib.ExitStack() as stack:
            while True:
                arriving.mkdir(exist_ok=True)
                # Another process has just finished and removed the folder.
                with contextlib.suppress(FileNotFoundError):
                    stack.enter_context(locked(arriving / "lock", wanted=wanted))
                    break
            yield arriving

    def discard(self, version: str) -> None:
        """Remove a damaged version, even if it is in use: maps of it stay valid."""
        with self._errors():
            self._remove(version)

    def follow(self, label: str, version: str) -> None:
        """Remember the version of a label, for a start while the store is unavailable."""
        path = layout.label_file(self.folder, label)
        temporary = layout.staging_dir(self.folder) / f"label-{label}-{secrets.token_hex(8)}"
        with self._errors():
            with temporary.open("x") as file:
                file.write(version + "\n")
            os.replace(temporary, path)

    def bytes(self) -> int:
        """Return the bytes of all versions together. A file with several names counts once."""
        return sum(sizes(self.folder / name for name in (layout.VERSIONS, _PARTIAL)).values())

    def trim(self) -> None:
        """Remove unused versions while the cache is above its limit. Raises VolumeError."""
        with self._errors():
            while self._max_bytes is not None and self.bytes() > self._max_bytes:
                if not self._remove_one(""):
                    return

    def _make_room(self, needed: int, version: str) -> None:
        while (short := self._short_of(needed)) > 0:
            if not self._remove_one(version):
                limit = "" if self._max_bytes is None else f" of at most {shown(self._max_bytes)}"
                raise VolumeError(
                    self.folder,
                    f"version {version} needs {shown(needed)} more{limit}, but {shown(short)} are "
                    "missing besides the versions in use: use a larger disk or --cache-gb",
                )

    def _short_of(self, needed: int) -> int:
        room = os.statvfs(self.folder)
        short = needed + _SPARE_BYTES - room.f_bavail * room.f_frsize
        if self._max_bytes is not None:
            # The room allocated for an incomplete version counts as used already.
            short = max(short, self.bytes() + needed - self._max_bytes)
        return short if needed > 0 else 0

    def _remove_one(self, wanted: str) -> bool:
        """Remove an abandoned download, else the unused version whose latest use is the oldest."""
        for directory in directories(self.folder / _PARTIAL):
            if directory.name != wanted:
                with alone(directory / "lock") as free:
                    if free:
                        shutil.rmtree(directory, ignore_errors=True)
                        return True
        whole = [path.name for path in directories(self.folder / layout.VERSIONS)]
        for version in sorted(whole, key=self._latest_use):
            if version != wanted and self.uses.unless_used(version, partial(self._remove, version)):
                return True
        return False

    def _latest_use(self, version: str) -> float:
        # A version that a trainer has just written here hasn't been used yet, so use its own time.
        with contextlib.suppress(OSError):
            made = layout.version_dir(self.folder, version).stat().st_mtime
            return max(made, self.uses.latest(version))
        return 0.0

    def _remove(self, version: str) -> None:
        """Move a version away by one rename, then remove its files: nobody sees half of one."""
        gone = self.folder / _PARTIAL / f"{_REMOVED}{version}-{secrets.token_hex(4)}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(layout.version_dir(self.folder, version), gone)
            shutil.rmtree(gone, ignore_errors=True)
