"""Sources of versions: the folder that the workers map, or an object store that is copied to it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import TypeAlias

from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.process import Awaited
from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.errors import PublicationError, VolumeError
from lightfm_retriever.publication.manifest import Manifest
from lightfm_retriever.remote.cache import Cache
from lightfm_retriever.remote.connecting import require_library
from lightfm_retriever.remote.download import Arrival, Fetched
from lightfm_retriever.remote.errors import StoreError
from lightfm_retriever.remote.labels import read_label
from lightfm_retriever.remote.location import Location, parse_location
from lightfm_retriever.remote.store import Store
from retriever.config import Config
from retriever.errors import StartError
from retriever.parent.reloading import label_watch
from retriever.parent.reloading.label_watch import Seen
from retriever.parent.reloading.verify_apart import verify_apart
from retriever.version_files import Files

_log = logging.getLogger(__name__)

# Patience with the store. It is short for a look, because the next look follows soon.
_LOOK_SECONDS = 5.0
_FETCH_SECONDS = 20.0
_TELL_SECONDS = 10.0


class FolderSource:
    """Versions in a folder that the workers map. `look` and `verify` are called on other threads."""

    def __init__(self, folder: Path, label: str, pin: str | None) -> None:
        self._folder = folder
        self._label = label
        self._pin = pin

    def look(self) -> Seen:
        """Look at the version to serve."""
        return label_watch.look(self._folder, self._label, self._pin)

    def verify(self, version: str, wanted: Awaited) -> Files:
        """Make a version available in the folder and verify every byte; see `verify_apart`."""
        return verify_apart(self._folder, version, wanted)

    def serves(self, version: str) -> None:
        """Record that a version is served now."""


class Copied:
    """Versions that are copied from a store into a cache. The workers map the copies.

    A restart serves the last version from the cache before it asks the store. So it also works while
    the store is unavailable.
    """

    def __init__(
        self,
        location: Location,
        folder: Path,
        *,
        label: str,
        pin: str | None,
        max_bytes: int | None,
        check: Callable[[Path, str, Awaited], Files] = verify_apart,
    ) -> None:
        """Open the cache. Raises VolumeError if the folder can't be written."""
        self._location = location
        self._label = label
        self._pin = pin
        self._check = check
        self._cache = Cache(folder, max_bytes=max_bytes)
        self._at_start = pin or labels.read_label_or_none(folder, label)
        self._target = self._at_start
        # Kept by the thread that looks, because making a store takes longer than a look.
        self._store: Store | None = None
        self._followed = self._at_start
        self._serving = False

    def look(self) -> Seen:
        """Look at the version to serve."""
        cached = self._at_start
        if cached is not None and self._cache.has(cached):
            seen = self._here(cached)
            # Only after the look succeeded.
            self._at_start = None
            return seen
        self._at_start = None
        try:
            store = self._store = self._store or Store(self._location, patience_seconds=_LOOK_SECONDS)
            target = self._target = self._pin or read_label(store, self._label)
            if self._cache.has(target):
                return self._here(target)
            objects = store.objects(f"{layout.VERSIONS}/{target}/")
            facts = sorted((key, *astuple(own)) for key, own in objects.items())
            return Seen(target, "", ("there", *facts))
        except StoreError as error:
            # Open it again at the next look: a network volume may have been mounted again, for
            # instance.
            self._store = None
            serving = "; the service continues to serve the cached version"
            return Seen(None, f"{error}{serving}" if self._serving else str(error))
        except PublicationError as error:
            return Seen(None, str(error))

    def _here(self, version: str) -> Seen:
        fingerprint = label_watch.fingerprint(layout.version_dir(self._cache.folder, version))
        return Seen(version, "", ("here", *fingerprint))

    def verify(self, version: str, wanted: Awaited) -> Files:
        """Download a version unless it is in the cache, and verify every byte."""
        files: Files = {}

        def check(folder: Path, version: str) -> None:
            nonlocal files
            files = self._check(folder, version, wanted)

        store = Store(self._location, patience_seconds=_FETCH_SECONDS)
        self._cache.bring(store, version, check, arrival=_Told(version, wanted))
        return files

    def serves(self, version: str) -> None:
        """Record that a version is served now."""
        self._serving = True
        self._cache.uses.keep_only({version, self._target or version})
        if self._pin is not None or version == self._followed:
            return
        try:
            self._cache.follow(self._label, version)
            self._followed = version
        except VolumeError as error:
            _log.warning(
                "couldn't record version %s in the cache: %s; a restart without the store would not "
                "serve it",
                version,
                error,
            )


VersionsSource: TypeAlias = FolderSource | Copied


def open_source(config: Config) -> VersionsSource:
    """Open the source of versions. Raises StartError if it can't be used."""
    if config.source is not None:
        try:
            require_library()
            return Copied(
                parse_location(config.source),
                config.volume,
                label=config.label,
                pin=config.pin,
                max_bytes=int(config.cache_gb * 1e9) or None,
            )
        except PublicationError as error:
            raise StartError(str(error)) from error
    try:
        is_folder = config.volume.is_dir()
        str(config.volume).encode()
    except (OSError, UnicodeEncodeError) as error:
        raise StartError(f"--volume {str(config.volume)!r}: {words.reason(error)}") from error
    if not is_folder:
        raise StartError(
            f"--volume {config.volume} isn't a folder: give the folder that the trainer publishes to"
        )
    return FolderSource(config.volume, config.label, config.pin)


class _Told(Arrival):
    """Log the progress of a download."""

    def __init__(self, version: str, wanted: Awaited) -> None:
        self.wanted = wanted
        self._version = version
        self._arrived = 0
        self._started_at = time.monotonic()
        self._told_at = self._started_at
        self._lock = threading.Lock()

    def begun(self, facts: Manifest, needed: int) -> None:
        _log.info(
            "downloading version %s: %d of its %d bytes aren't in the cache",
            self._version,
            needed,
            sum(own.size for own in facts.files.values()),
        )

    def more(self, count: int) -> None:
        with self._lock:
            self._arrived += count
            now = time.monotonic()
            if now - self._told_at < _TELL_SECONDS:
                return
            self._told_at = now
        _log.info("downloading version %s: %d bytes have arrived", self._version, self._arrived)

    def ended(self, fetched: Fetched) -> None:
        _log.info(
            "version %s downloaded in %.1f s: %d bytes; %d more bytes were in the cache",
            *(self._version, time.monotonic() - self._started_at),
            *(fetched.downloaded, fetched.linked),
        )
