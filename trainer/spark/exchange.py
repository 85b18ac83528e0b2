"""Passes Parquet parts between the trainer and Spark's nodes, in a folder or an object store.

Spark sends the code of this file and of remote.credentials to the nodes. So this file needs nothing
else of this project: only pyarrow, and obstore for an object store. The nodes get their credentials
from their own environment (AWS_* and the like).
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
"""Kinds of parts. A part's name is its kind and its number: "pairs/0", "pairs/1"."""

# Number of rows in memory at a time.
_BATCH_ROWS = 1 << 12


class Exchange:
    """Reads and writes parts, such as "pairs/3", in a folder or below an object store's URL.

    A part appears complete or not at all. Writing a part again replaces it, so Spark may repeat a task.
    """

    def __init__(
        self, location: str, *, credentials: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        """Open an exchange. `credentials` are the trainer's own; they never leave this process."""
        self.location = location
        self._credentials = credentials

    def __reduce__(self) -> tuple[type[Exchange], tuple[str]]:
        return Exchange, (self.location,)

    def write(self, name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        """Write a part. Raises OSError and obstore's errors."""
        import pyarrow.parquet as pq

        folder = None if self._is_remote else self._path(name).parent
        if folder is not None:
            folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / f"{uuid4().hex}.parquet"
            # Factors hardly repeat, so a dictionary would only take memory.
            with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            if folder is None:
                import obstore

                obstore.put(self._store(), f"{name}.parquet", path)
            else:
                os.replace(path, self._path(name))

    def read(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield a part's rows in batches. Raises OSError and obstore's errors."""
        import pyarrow.parquet as pq

        if not self._is_remote:
            path = self._path(name)
            if not path.exists():
                raise FileNotFoundError(
                    f"{path} doesn't exist: give every node of the cluster the volume's folder, under "
                    "the same path"
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
        """Remove all objects below a store's URL, of any exchange; or only those from before a time."""
        import obstore

        store = self._store()
        for chunk in obstore.list(store):
            if old := [own["path"] for own in chunk if before is None or own["last_modified"] < before]:
                obstore.delete(store, old)

    def folder(self, name: str) -> Path | None:
        """Return a folder for Spark's own files; None for a store, which Spark can't write to."""
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
