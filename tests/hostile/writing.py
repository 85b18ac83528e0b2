"""Writes a draft as what the trainer reads, and says by which flags."""

import csv
import gzip
import io
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from tests.hostile.draft import GOODS, LOG, PEOPLE, Draft
from tests.hostile.good import RECIPES, Table
from tests.publications import npy
from trainer.event_log.log import Event, EventLog

TEXTS = ("csv", "tsv", "gz")
PARQUET = ("parquet", "folder")
TABLES = (*TEXTS, *PARQUET, "sql")
"""Sources that hold columns of any values; an event log holds valid events only."""

VECTORS = "vectors"
SOURCES = (*TABLES, "events", VECTORS)
"""How the interactions come: files, a folder, a query, the event log; or vectors of a model."""

_PART_ROWS = 2000
_WHOLE = re.compile(r"(0|[1-9][0-9]*)?")


def write(draft: Draft, folder: Path) -> list[str]:
    """Write all files; returns the command and its flags, less those about the volume."""
    folder.mkdir(parents=True)
    if draft.source == VECTORS:
        return ["publish", *_vectors(draft, folder)]
    flags = ["train", *_interactions(draft, folder)]
    if "features" in draft.recipes:
        source = {"folder": "parquet", "sql": "csv", "events": "csv"}.get(draft.source, draft.source)
        for flag, table in (("--items", GOODS), ("--users", PEOPLE)):
            flags += [flag, str(_table(draft, table, folder, source))]
    for recipe in draft.recipes:
        flags += RECIPES[recipe]
    return flags


def _interactions(draft: Draft, folder: Path) -> list[str]:
    if draft.source == "events":
        _append(draft, folder / "state" / "events")
        flags = ["--event-log", "--state", str(folder / "state")]
        if draft.history is None:
            return flags
        file = folder / "history.csv"
        file.write_bytes(_csv(draft.history, ","))
        return [*flags, "--interactions", str(file)]
    if draft.source == "sql":
        file = folder / "shop.db"
        _sqlite(draft, file)
        # No column's name, lest an error that shows the query names the column at fault by chance.
        return ["--interactions-sql", "SELECT * FROM log", "--database-url", f"sqlite:///{file}"]
    return ["--interactions", str(_table(draft, LOG, folder, draft.source))]


def _append(draft: Draft, directory: Path) -> None:
    columns = draft.log
    names = ("user_id", "item_id", "event", "weight", "timestamp")
    rows = zip(*(columns.get(name) or [None] * len(columns["user_id"]) for name in names), strict=True)
    events = [
        Event(f"e{row}", user, item, event or "", 1.0 if weight is None else weight, when)
        for row, (user, item, event, weight, when) in enumerate(rows)
    ]
    directory.parent.mkdir(parents=True)
    with EventLog(directory) as log:
        log.append(events)


def _sqlite(draft: Draft, file: Path) -> None:
    columns = {name: _typed(name, values) for name, values in draft.log.items()}
    with sqlite3.connect(file) as database:
        names = ", ".join(f'"{name}"' for name in columns)
        database.execute(f"CREATE TABLE log ({names})")
        marks = ", ".join("?" * len(columns))
        rows = zip(*columns.values(), strict=True)
        database.executemany(f"INSERT INTO log VALUES ({marks})", rows)  # noqa: S608 - only marks
    database.close()


def _table(draft: Draft, table: str, folder: Path, source: str) -> Path:
    columns = draft.tables[table]
    if source in PARQUET:
        parts = [_arrow(columns)]
        for reshape in draft.reshape.get(table, []):
            parts = [new for part in parts for new in reshape(part)]
        if source == "folder":
            return _folder(draft, table, folder, parts)
        path = folder / f"{table}.parquet"
        path.write_bytes(_rewritten(draft, table, _parquet(parts[0])))
        return path
    content = _rewritten(draft, table, _csv(columns, "\t" if source == "tsv" else ","))
    suffix = {"csv": ".csv", "tsv": ".tsv", "gz": ".csv.gz"}[source]
    path = folder / f"{table}{suffix if draft.suffix is None else draft.suffix}"
    path.write_bytes(gzip.compress(content, 1) if source == "gz" else content)
    return path


def _folder(draft: Draft, table: str, folder: Path, parts: Sequence[pa.Table]) -> Path:
    if len(parts) == 1:
        parts = [parts[0].slice(at, _PART_ROWS) for at in range(0, max(1, len(parts[0])), _PART_ROWS)]
    path = folder / table
    path.mkdir()
    for number, part in enumerate(parts):
        content = _parquet(part)
        if number == len(parts) - 1:
            content = _rewritten(draft, table, content)
        (path / f"part-{number}.parquet").write_bytes(content)
    for name, content in draft.extra.items():
        (path / name).write_bytes(content)
    return path


def _rewritten(draft: Draft, table: str, content: bytes) -> bytes:
    for rewrite in draft.rewrite.get(table, []):
        content = rewrite(content)
    return content


def _csv(columns: Table, delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow("|".join(map(str, own)) if isinstance(own, list) else own for own in row)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink)
    return sink.getvalue()


def _arrow(columns: Table) -> pa.Table:
    arrays = []
    for name, values in columns.items():
        typed = _typed(name, values)
        try:
            arrays.append(pa.array(typed))
        except (pa.ArrowException, OverflowError):
            # Where a dataframe has both, all become text.
            texts = [None if value is None else str(value) for value in typed]
            arrays.append(pa.array(texts, pa.string()))
    return pa.table(arrays, names=list(columns))


def _typed(name: str, values: list[Any]) -> list[Any]:
    texts = ["" if value is None else str(value) for value in values]
    if not name.endswith("_id") or not all(map(_WHOLE.fullmatch, texts)):
        return values
    return [int(text) if text else None for text in texts]


def _vectors(draft: Draft, folder: Path) -> list[str]:
    files: dict[str, tuple[str, bytes]] = {}
    for side, own in draft.sides.items():
        files[f"--{side}-vectors"] = (f"{side}.npy", _rewritten(draft, side, npy(own.vectors)))
        files[f"--{side}-ids"] = (f"{side}.txt", "".join(f"{one}\n" for one in own.ids).encode())
        if own.biases is not None:
            files[f"--{side}-biases"] = (f"{side}_biases.npy", npy(own.biases))
    files["--seen"] = ("seen.csv", _csv(draft.log, ","))
    files["--held-out"] = ("later.csv", _csv(draft.held_out, ","))
    files["--items"] = ("goods.csv", _csv(draft.tables[GOODS], ","))
    flags = ["--item-attributes", "genres,price,released"]
    for flag, (name, content) in files.items():
        (folder / name).write_bytes(content)
        flags += [flag, str(folder / name)]
    return flags
