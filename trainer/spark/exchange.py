"""Parquet parts that the trainer and Spark's nodes pass one another, in a folder or an object store.

Spark's nodes get this file's code with each task, and that of remote.credentials. It needs nothing
else of this project: only pyarrow, and obstore for a store. They reach the store by their own
environment (AWS_* and the like).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lightfm_retriever.remote.credentials import missing_credentials

if TYPE_CHECKING:
    import pyarrow as pa

PAIRS, ITEMS, USERS = "pairs", "items", "users"
"""What parts are of: "pairs/0", "pairs/1"."""

# So many rows are in memory at a time.
_BATCH_ROWS = 1 << 12


class Exchange:
    """Parts by name, such as "pairs/3", in a folder or below an object store's URL.

    A part appears complete or not at all, and one that is written again replaces the one before: a
    task that Spark repeats does no harm.
    """

    def __init__(
        self, location: str, *, credentials: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        """`credentials` are the trainer's own for the store; they go to no other process."""
        self.location = location
        self._credentials = credentials

    def __reduce__(self) -> tuple[type[Exchange], tuple[str]]:
        return Exchange, (self.location,)

    def write(self, name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        """Write a part. Raises OSError, and what obstore raises."""
        import pyarrow.parquet as pq

        folder = None if self._is_remote else self._path(name).parent
        if folder is not None:
            folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / f"{uuid4().hex}.parquet"
            # Factors hardly repeat, so a dictionary of them would only take memory.
            with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            if folder is None:
                import obstore

                obstore.put(self._store(), f"{name}.parquet", path)
            else:
                os.replace(path, self._path(name))

    def read(self, name: str) -> Iterator[pa.RecordBatch]:
        """Read a part, some rows at a time. Raises OSError, and what obstore raises."""
        import pyarrow.parquet as pq

        if not self._is_remote:
            path = self._path(name)
            if not path.exists():
                raise FileNotFoundError(
                    f"{path} isn't there: every node of the cluster has to see the volume's folder, "
                    "under the same path"
                )
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS)
            return
        import obstore

        with tempfile.TemporaryFile() as copied:
            for chunk in obstore.get(self._store(), f"{name}.parquet").stream():
                copied.write(chunk)
            copied.seek(0)
            with pq.ParquetFile(copied) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS)

    def remove(self, *, before: datetime | None = None) -> None:
        """Remove what lies in a store, of whichever exchange; or what does since before a time."""
        import obstore

        store = self._store()
        for chunk in obstore.list(store):
            if old := [own["path"] for own in chunk if before is None or own["last_modified"] < before]:
                obstore.delete(store, old)

    def folder(self, name: str) -> Path | None:
        """A folder for what is Spark's own; None of a store, which Spark itself can't write to."""
        return None if self._is_remote else Path(self.location) / name

    @property
    def _is_remote(self) -> bool:
        return "://" in self.location

    def _path(self, name: str) -> Path:
        return Path(self.location) / f"{name}.parquet"

    def _store(self) -> Any:
        problem = missing_credentials(self.location.partition("://")[0])
        if problem is not None:
            raise ValueError(f"{self.location}: {problem}")
        from obstore import store

        options: dict[str, Any] = {}
        if self._credentials is not None:
            options["credential_provider"] = self._credentials
        return store.from_url(self.location, **options)
