"""What is told of a version that arrives from a store."""

from __future__ import annotations

from dataclasses import dataclass

from lightfm_retriever.publication.manifest import Manifest


@dataclass(frozen=True)
class Fetched:
    """What bringing a version took: bytes that were downloaded, and those that were here already."""

    downloaded: int
    linked: int


class Arrival:
    """Is told how a version arrives; on several threads."""

    def begun(self, facts: Manifest, needed: int) -> None:
        """So many bytes of its files aren't here."""

    def more(self, count: int) -> None:
        """So many bytes more are."""

    def ended(self, fetched: Fetched) -> None:
        """All are."""


UNWATCHED = Arrival()
