"""Errors of object stores."""

from __future__ import annotations

from lightfm_retriever.publication.errors import VolumeError


class StoreError(VolumeError):
    """A request to the store failed. `path` is a URL or a path."""


class ObjectMissingError(StoreError):
    """The object doesn't exist."""


class ConflictError(StoreError):
    """An object has changed since it was read, or exists but shouldn't."""


class UnsupportedError(StoreError):
    """The store doesn't support the operation."""


class RefusedError(StoreError):
    """The store rejects the credentials, or they don't allow the operation."""
