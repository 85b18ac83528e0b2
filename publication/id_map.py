"""External id <-> row, memory-mapped.

An id map is a MARISA trie (marisa-trie): the row of an id is the key number that the trie itself
gives it, so neither direction needs a table beside it and nothing is held on the heap. Rows run from
0 to len - 1 without gaps, in no meaningful order. The keys are the ids in UTF-8.

The trie is marisa-trie's binary one, since the one for text ends a look-up at a NUL character
(pytries/marisa-trie issue 47). Their files are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import marisa_trie

from publication.errors import InvalidIdError, InvalidPublicationError
from publication.regular_files import create_regular, held_open

MAX_ID_BYTES = 512
"""Longest external id, in bytes of UTF-8."""


def check_id(external_id: str) -> str:
    """Return the id unchanged, or raise InvalidIdError when it is empty, too long or no Unicode.

    Ids are compared byte by byte: no case folding, no Unicode normalisation.
    """
    if not external_id:
        raise InvalidIdError(external_id, "is empty")
    try:
        size = len(external_id.encode())
    except UnicodeEncodeError as error:
        raise InvalidIdError(external_id, "has a lone surrogate, so it isn't Unicode") from error
    if size > MAX_ID_BYTES:
        raise InvalidIdError(external_id, f"has {size} bytes of UTF-8, at most {MAX_ID_BYTES}")
    return external_id


class IdMap:
    """Immutable map between external ids and rows 0..len-1."""

    def __init__(self, trie: marisa_trie.BinaryTrie) -> None:
        self._trie = trie

    @classmethod
    def build(cls, external_ids: Iterable[str]) -> IdMap:
        """Build from ids in any order; duplicates count once. Raises InvalidIdError."""
        return cls(marisa_trie.BinaryTrie(check_id(one).encode() for one in external_ids))

    @classmethod
    def open(cls, path: Path) -> IdMap:
        """Map a saved file; raises InvalidPublicationError when it isn't an id map.

        Verify its checksum first: a damaged trie may give wrong answers or crash.
        """
        trie = marisa_trie.BinaryTrie()
        try:
            with held_open(path) as name:
                trie.mmap(name)
        except (OSError, RuntimeError) as error:
            raise InvalidPublicationError(path, f"isn't an id map: {error}") from error
        return cls(trie)

    def save(self, path: Path) -> None:
        """Write the file that `open` maps; OSError when it can't be written."""
        # The trie's own `save` reports a full disk as a RuntimeError without the reason.
        with create_regular(path) as file:
            file.write(self._trie.tobytes())

    def __len__(self) -> int:
        return len(self._trie)

    def __contains__(self, external_id: str) -> bool:
        return self.row(external_id) is not None

    def row(self, external_id: str) -> int | None:
        """The row of an id, None when it isn't in the map."""
        try:
            row: int | None = self._trie.get(external_id.encode())
        except UnicodeEncodeError:
            return None
        return row

    def external_id(self, row: int) -> str:
        """The id of a row; IndexError when there is no such row."""
        try:
            external_id: bytes = self._trie.restore_key(row)
        except (KeyError, OverflowError) as error:
            raise IndexError(f"row {row} isn't in 0..{len(self) - 1}") from error
        return external_id.decode()
