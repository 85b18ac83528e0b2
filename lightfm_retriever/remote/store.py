"""An object store. Only this module uses the library for stores; it converts errors to ours."""

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
"""The state of an object when it was read, for conditional writes: its tag, its version, or both."""

# Larger objects are sent and requested in pieces of this size.
PIECE_BYTES = 8 << 20
"""The size of a piece of a large object."""

_PIECES_AT_ONCE = 4
# Twice the time for all pieces of a few files at a megabyte a second.
_SENDING_SECONDS = 240.0


@dataclass(frozen=True)
class ObjectFacts:
    """Size in bytes, time of writing by the store's clock, and mark of an object."""

    size: int
    modified_at: datetime
    mark: Mark


class Store:
    """The objects of one volume. Keys are relative to its prefix. Threads may share it.

    Each call gives up after about `patience_seconds` without an answer. Until then it retries errors
    that may pass.
    """

    _warned = False

    def __init__(self, location: Location, *, patience_seconds: float = 20.0) -> None:
        """Prepare the connection without a request. Raises StoreError if the location is invalid."""
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
        # For the library, the time for sending data counts as time without an answer.
        return connect(self.location, max(self._patience_seconds, _SENDING_SECONDS))

    def read(self, key: str, *, at_most: int) -> tuple[bytes, Mark]:
        """Read a small object. Raises StoreError also if it has more than `at_most` bytes."""
        self._check_here(key)
        with self._errors(key):
            found = self._store.get(key)
            if found.meta["size"] > at_most:
                raise StoreError(self.where(key), f"is larger than {at_most} bytes")
            return found.bytes().to_bytes(), _mark(found.meta)

    def read_range(self, key: str, start: int, end: int) -> memoryview:
        """Read the bytes from `start` up to but not including `end`."""
        self._check_here(key)
        with self._errors(key):
            found = self._store.get_range(key, start=start, end=end)
        if len(found) != end - start:
            raise StoreError(
                self.where(key), f"returned {len(found)} bytes for the range {start}..{end}"
            )
        return memoryview(found)

    def facts(self, key: str) -> ObjectFacts:
        """Return the facts about an object without reading it."""
        with self._errors(key):
            return _facts(self._store.head(key))

    def exists(self, key: str) -> bool:
        """Return whether an object exists."""
        return self._mark_of(key) is not None

    def _mark_of(self, key: str) -> Mark | None:
        try:
            return self.facts(key).mark
        except ObjectMissingError:
            return None

    def objects(self, prefix: str) -> dict[str, ObjectFacts]:
        """Return all objects below a prefix, by key."""
        with self._errors(prefix):
            chunks = self._store.list(prefix)
            return {meta["path"]: _facts(meta) for chunk in chunks for meta in chunk}

    def write(self, key: str, data: bytes) -> ObjectFacts:
        """Write a small object, replacing any other, and return the facts about it."""
        with self._errors(key):
            self._store.put(key, data, use_multipart=False)
        return self.facts(key)

    def write_if(self, key: str, data: bytes, mark: Mark | None) -> None:
        """Write a small object if the current one has the mark, or with None if there is none.

        If a store doesn't support such writes, the current object is checked just before the write.

        Raises:
            ConflictError: the current object is another one or missing. It may even be the new object:
                if the answer to a write gets lost, the write is retried.
        """
        mode: Any = "create" if mark is None else mark
        try:
            with self._errors(key):
                self._store.put(key, data, mode=mode, use_multipart=False)
        except UnsupportedError:
            if not self._warned:
                _log.warning(
                    "%s doesn't support conditional writes: let only one trainer at a time move labels",
                    self,
                )
                self._warned = True
            if self._mark_of(key) != mark:
                raise ConflictError(self.where(key), "another process has changed it") from None
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
        """Delete objects. Missing objects are no error."""
        for key in keys:
            with contextlib.suppress(ObjectMissingError), self._errors(key):
                self._store.delete(key)

    def _check_here(self, key: str) -> None:
        """Raise StoreError if a path isn't a regular file, which could block the library."""
        if isinstance(self.location, Path):
            try:
                check_regular(self.location / key)
            except IrregularFileError as error:
                raise StoreError(self.where(key), str(error.strerror)) from error
            except OSError:
                return  # the library raises the error

    def where(self, key: str) -> str:
        """Return the name of an object for messages."""
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
        # For errors while listing objects, the library has a text but no error class.
        if "NoSuchBucket" in text:
            return StoreError(str(self), f"the bucket doesn't exist ({reason})")
        if isinstance(error, FileNotFoundError | of.NotFoundError):
            return ObjectMissingError(where, "doesn't exist")
        if isinstance(error, of.AlreadyExistsError | of.PreconditionError):
            return ConflictError(where, "another process has changed it")
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
