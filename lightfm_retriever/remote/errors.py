"""What can go wrong with a volume elsewhere."""

from __future__ import annotations

from lightfm_retriever.publication.errors import VolumeError


class StoreError(VolumeError):
    """The store doesn't do what it is asked; `path` is a URL or a path."""


class ObjectMissingError(StoreError):
    """There is no such object."""


class ConflictError(StoreError):
    """An object isn't what it was when it was read, or is there and shouldn't be."""


class UnsupportedError(StoreError):
    """The store has no such operation."""


class RefusedError(StoreError):
    """The store doesn't accept the credentials, or they don't allow it."""
