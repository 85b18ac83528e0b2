"""An object store, with our errors: the only place that knows the library that talks to it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lightfm_retriever.files.regular_files import IrregularFileError, check_regular
from lightfm_retriever.remote.connecting import connect, reason_of
from lightfm_retriever.remote.errors import (
    ConflictError,
    ObjectMissingError,
    RefusedError,
    StoreError,
    UnsupportedError,
)
from lightfm_retriever.remote.location import Location

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_log = logging.getLogger(__name__)

Mark: TypeAlias = Mapping[str, str]
"""What an object was when it was read, for changing only that one: its tag, its version, or both."""

# Objects beyond it are sent in pieces of this size, so many at a time.
PIECE_BYTES = 8 << 20
"""What is sent, or asked for, at a time of what is larger."""

_PIECES_AT_ONCE = 4
# Twice what all pieces of a few files may take at a megabyte a second.
_SENDING_SECONDS = 240.0


@dataclass(frozen=True)
class ObjectFacts:
    """Size in bytes, when it was written by the store's clock, and what it was then."""

    size: int
    modified_at: datetime
    mark: Mark


class Store:
    """The objects of one volume; keys are relative to its prefix.

    Safe for threads. Each call gives up after about `patience_seconds` without an answer; until then it
    tries again what may be a passing trouble.
    """

    _warned = False

    def __init__(self, location: Location, *, patience_seconds: float = 20.0) -> None:
        """Raises StoreError when the location can't be one; nothing is asked yet."""
        self.location = location
        self._patience_seconds = patience_seconds
        # A folder needn't be mounted yet.
        if not isinstance(location, Path):
            self._store = connect(location, patience_seconds)

    def __str__(self) -> str:
        return str(self.location)

    @cached_property
    def _store(self) -> ObjectStore:
        return connect(self.location, self._patience_seconds)

    @cached_property
    def _patient(self) -> ObjectStore:
        # The library counts as silence how long it takes to send something, too.
        return connect(self.location, max(self._patience_seconds, _SENDING_SECONDS))

    def read(self, key: str, *, at_most: int) -> tuple[bytes, Mark]:
        """A small object; StoreError too when it has more than `at_most` bytes."""
        self._check_here(key)
        with self._errors(key):
            found = self._store.get(key)
            if found.meta["size"] > at_most:
                raise StoreError(self.where(key), f"is larger than {at_most} bytes")
            return found.bytes().to_bytes(), _mark(found.meta)

    def read_range(self, key: str, start: int, end: int) -> memoryview:
        """Bytes `start` to `end`, which isn't among them."""
        self._check_here(key)
        with self._errors(key):
            found = self._store.get_range(key, start=start, end=end)
        if len(found) != end - start:
            raise StoreError(self.where(key), f"gave {len(found)} bytes of {start}..{end}")
        return memoryview(found)

    def facts(self, key: str) -> ObjectFacts:
        """About one object, without reading it."""
        with self._errors(key):
            return _facts(self._store.head(key))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return self._mark_of(key) is not None

    def _mark_of(self, key: str) -> Mark | None:
        try:
            return self.facts(key).mark
        except ObjectMissingError:
            return None

    def objects(self, prefix: str) -> dict[str, ObjectFacts]:
        """All objects below a prefix, by key."""
        with self._errors(prefix):
            chunks = self._store.list(prefix)
            return {meta["path"]: _facts(meta) for chunk in chunks for meta in chunk}

    def write(self, key: str, data: bytes) -> ObjectFacts:
        """Write a small object, whatever is there; returns the facts about it."""
        with self._errors(key):
            self._store.put(key, data, use_multipart=False)
        return self.facts(key)

    def write_if(self, key: str, data: bytes, mark: Mark | None) -> None:
        """Write a small object in place of the one that has the mark, or with None where none is.

        Where a store has no such write, what is there is looked at just before.

        Raises:
            ConflictError: something else is there, or nothing. It may be this object, since an answer
                that got lost is asked for again.
        """
        mode: Any = "create" if mark is None else mark
        try:
            with self._errors(key):
                self._store.put(key, data, mode=mode, use_multipart=False)
        except UnsupportedError:
            if not self._warned:
                _log.warning(
                    "%s can't write an object only if it is what was read: let one trainer at a time "
                    "move its labels",
                    self,
                )
                self._warned = True
            if self._mark_of(key) != mark:
                raise ConflictError(self.where(key), "somebody else has changed it") from None
            self.write(key, data)

    def upload(self, key: str, path: Path) -> None:
        """Write a file of any size."""
        with self._errors(key):
            check_regular(path)
            self._patient.put(key, path, chunk_size=PIECE_BYTES, max_concurrency=_PIECES_AT_ONCE)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, without reading it here."""
        with self._errors(source):
            self._patient.copy(source, target)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that aren't there are no error."""
        for key in keys:
            with contextlib.suppress(ObjectMissingError), self._errors(key):
                self._store.delete(key)

    def _check_here(self, key: str) -> None:
        """Raise StoreError for what isn't a regular file in a folder: the library would wait for it."""
        if isinstance(self.location, Path):
            try:
                check_regular(self.location / key)
            except IrregularFileError as error:
                raise StoreError(self.where(key), str(error.strerror)) from error
            except OSError:
                return  # the library tells why

    def where(self, key: str) -> str:
        """An object as messages name it."""
        return f"{self.location}/{key}"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except (exceptions.BaseError, OSError, ValueError, NotImplementedError) as error:
            raise self._told(key, error) from error

    def _told(self, key: str, error: Exception) -> StoreError:
        from obstore import exceptions as of

        reason, text, where = reason_of(error), str(error), self.where(key)
        # The library says only in words what was wrong when it listed objects.
        if "NoSuchBucket" in text:
            return StoreError(str(self), f"the bucket doesn't exist ({reason})")
        if isinstance(error, FileNotFoundError | of.NotFoundError):
            return ObjectMissingError(where, "doesn't exist")
        if isinstance(error, of.AlreadyExistsError | of.PreconditionError):
            return ConflictError(where, "somebody else has changed it")
        refused = isinstance(error, of.PermissionDeniedError | of.UnauthenticatedError)
        if refused or "403 Forbidden" in text or "401 Unauthorized" in text:
            return RefusedError(where, f"the credentials are refused: {reason}")
        if isinstance(error, of.NotSupportedError | NotImplementedError):
            return UnsupportedError(where, reason)
        return StoreError(where, reason)


def _mark(meta: Any) -> Mark:
    return {name: value for name in ("e_tag", "version") if (value := meta[name]) is not None}


def _facts(meta: Any) -> ObjectFacts:
    return ObjectFacts(meta["size"], meta["last_modified"], _mark(meta))
