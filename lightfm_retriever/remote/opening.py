"""Opening a volume by where it is."""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.publication.volume import FolderVolume, Volume
from lightfm_retriever.remote.location import Location
from lightfm_retriever.remote.store import Store
from lightfm_retriever.remote.volume import RemoteVolume


def open_volume(location: Location, cache_dir: Path, *, max_bytes: int | None = None) -> Volume:
    """A volume in a folder or in a store; neither is asked anything yet.

    Args:
        location: a folder, or a store's URL.
        cache_dir: for a URL, the folder of versions that are made or fetched here.
        max_bytes: that these may have together; None for what the disk holds.

    Raises:
        StoreError: the URL can't be used, or the library for it is missing.
    """
    if isinstance(location, Path):
        return FolderVolume(location)
    return RemoteVolume(Store(location), cache_dir, max_bytes=max_bytes)
