"""Id maps: external id <-> row, memory-mapped.

An id map is a MARISA trie (marisa-trie). The row of an id is the key number in the trie. So neither
direction needs a separate table, and nothing is on the heap. Rows run from 0 to len - 1 without gaps,
in no meaningful order. The keys are the ids in UTF-8.

The trie is marisa-trie's binary trie, because its trie for text ends a look-up at a NUL character
(pytries/marisa-trie issue 47). Both have the same file format.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NewType, Self, TypeAlias, TypeVar, cast

import marisa_trie
import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.files.regular_files import create_regular, held_open, open_regular
from lightfm_retriever.publication.errors import (
    InvalidIdError,
    InvalidPublicationError,
    MismatchError,
    VolumeError,
    unreadable,
)
from lightfm_retriever.publication.layout import FILES

MAX_ID_BYTES = 512
"""The longest external id, in bytes of UTF-8."""

ItemId = NewType("ItemId", str)
UserId = NewType("UserId", str)
ItemRow = NewType("ItemRow", int)
UserRow = NewType("UserRow", int)
Rows: TypeAlias = NDArray[np.int64]
"""Rows of items or users, (n,)."""
Id = TypeVar("Id", bound=str)
Row = TypeVar("Row", bound=int)


def check_id(external_id: str) -> str:
    """Return an id unchanged. Raises InvalidIdError if it is empty, too long or not Unicode.

    Ids are compared byte by byte: no case folding, no Unicode normalisation.
    """
    if not external_id:
        raise InvalidIdError(external_id, "is empty")
    try:
        size = len(external_id.encode())
    except UnicodeEncodeError as error:
        raise InvalidIdError(external_id, "has a lone surrogate, so it isn't Unicode") from error
    if size > MAX_ID_BYTES:
        raise InvalidIdError(
            external_id, f"has {size} bytes of UTF-8, but may have at most {MAX_ID_BYTES}"
        )
    return external_id


# Texts of the library for a file that it can't open or map. A file that is too short for a trie also
# causes an "IO_ERROR".
_UNMAPPED = ("fd_ == -1", "MAP_FAILED")


class IdMap(Generic[Id, Row]):
    """Immutable map between external ids and rows 0..len-1."""

    def __init__(self, trie: marisa_trie.BinaryTrie) -> None:
        self._trie = trie

    @classmethod
    def build(cls, external_ids: Iterable[str]) -> Self:
        """Build from ids in any order; duplicates count once. Raises InvalidIdError."""
        return cls(marisa_trie.BinaryTrie(check_id(one).encode() for one in external_ids))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a saved file.

        Verify its checksum first: a damaged trie may give wrong answers or crash the process.

        Raises:
            InvalidPublicationError: the file isn't an id map.
            VolumeError: the file can't be mapped now.
        """
        trie = marisa_trie.BinaryTrie()
        try:
            with held_open(path) as name:
                trie.mmap(name)
        except (OSError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise unreadable(path, error, "isn't an id map that can be mapped: ") from error
            if str(error).endswith(_UNMAPPED):
                raise _unmapped(path) from error
            raise InvalidPublicationError(path, f"isn't an id map: {error}") from error
        return cls(trie)

    def save(self, path: Path) -> None:
        """Write the file that `open` maps. Raises OSError."""
        # The trie's own `save` reports a full disk as a RuntimeError without the reason.
        with create_regular(path) as file:
            file.write(self._trie.tobytes())

    def __len__(self) -> int:
        return len(self._trie)

    def __contains__(self, external_id: str) -> bool:
        return self.row(external_id) is not None

    def __iter__(self) -> Iterator[Id]:
        """Iterate over the ids in the order of their rows."""
        return map(self.external_id, cast("Iterable[Row]", range(len(self))))

    def row(self, external_id: str) -> Row | None:
        """Return the row of an id, None if it isn't in the map."""
        try:
            return cast("Row | None", self._trie.get(external_id.encode()))
        except UnicodeEncodeError:
            return None

    def rows(self, external_ids: Iterable[str]) -> Rows:
        """Return the rows of ids, -1 for each id that isn't in the map."""
        found = (self.row(own) for own in external_ids)
        return np.fromiter((-1 if row is None else row for row in found), dtype=np.int64)

    def starting_with(self, prefix: str) -> Iterator[Id]:
        """Yield the ids that begin with a text, in no meaningful order."""
        try:
            begin = prefix.encode()
        except UnicodeEncodeError:
            return
        for key in self._trie.iterkeys(begin):
            yield cast("Id", key.decode())

    def external_id(self, row: Row) -> Id:
        """Return the id of a row. Raises IndexError if the row doesn't exist."""
        try:
            external_id: bytes = self._trie.restore_key(row)
        except (KeyError, OverflowError) as error:
            raise IndexError(f"row {row} isn't in 0..{len(self) - 1}") from error
        return cast("Id", external_id.decode())


AnyIds: TypeAlias = IdMap[Any, Any]
ItemIds: TypeAlias = IdMap[ItemId, ItemRow]
UserIds: TypeAlias = IdMap[UserId, UserRow]


def count_ids(path: Path, id_map: AnyIds, sizes: dict[str, int]) -> None:
    """Add the number of ids of an id map to the sizes. Raises MismatchError if it doesn't fit."""
    for size, found in FILES[path.name].sizes((len(id_map),)):
        if sizes.setdefault(size, found) != found:
            raise MismatchError(path, "number of ids", expected=sizes[size], found=found)


def _unmapped(path: Path) -> VolumeError | InvalidPublicationError:
    """Find out why a file can't be mapped, by mapping it here."""
    try:
        with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
            # The file can be mapped, so something else was missing.
            return VolumeError(path, "can't be mapped: not enough memory or file descriptors")
    except OSError as error:
        return unreadable(path, error, "isn't an id map that can be mapped: ")
    except ValueError:
        return InvalidPublicationError(path, "isn't an id map: it is empty")
