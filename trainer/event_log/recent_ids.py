"""The ids of recent events, in bounded memory."""

from __future__ import annotations

import hashlib


class RecentIds:
    """Knows the last `size` ids that were added for certain, and of those before up to as many again.

    It keeps 128-bit digests in two sets; when the younger one is full, it takes the place of the older
    one. So an id costs about 110 bytes whatever its length, twice `size` of them at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._younger: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, event_id: str) -> bool:
        digest = _digest(event_id)
        return digest in self._younger or digest in self._older

    def __len__(self) -> int:
        return len(self._younger) + len(self._older)

    def add(self, event_id: str) -> None:
        """Add an id that isn't known."""
        if len(self._younger) >= self._size:
            self._older = self._younger
            self._younger = set()
        self._younger.add(_digest(event_id))

    def discard(self, event_id: str) -> None:
        """Know an id no more; no error when it isn't known."""
        digest = _digest(event_id)
        self._younger.discard(digest)
        self._older.discard(digest)


def _digest(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()
