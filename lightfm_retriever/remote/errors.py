"""What can go wrong with a volume elsewhere. All are a PublicationError too.

LocationError              a --volume that isn't one
StoreError                 the store doesn't do what it is asked (a VolumeError)
├── ObjectMissingError     there is no such object
├── ConflictError          somebody else has changed the object
├── UnsupportedError       the store has no such operation
└── RefusedError           the credentials aren't enough
"""

from __future__ import annotations

from lightfm_retriever.publication.errors import PublicationError, VolumeError


class LocationError(PublicationError):
    """Neither a folder nor a URL of a store."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"--volume {text!r}: {reason}")
        self.text = text
        self.reason = reason


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
