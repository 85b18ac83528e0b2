"""Writes runs as a table: one row a run, as CSV or as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightfm_retriever.files.durable import write_durably
from trainer.errors import OptionError
from trainer.tracking.tracked_run import flat

ENDINGS = (".csv", ".json")


def check_path(path: Path) -> None:
    """Raise OptionError if a table can't be written there."""
    if path.suffix.lower() not in ENDINGS:
        raise OptionError("--export", str(path), f"a file that ends in {' or '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise OptionError("--export", str(path), "a file in a folder that is there")


def write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a row for each run. An earlier file is replaced at once, or stays as it is.

    JSON has the rows as they are. CSV has a column for each scalar, with a dotted name such as
    `params.hyperparameters.epochs`, and an empty field where a run has no such value.

    Raises OptionError if the file can't be written.
    """
    check_path(path)
    text = csv_of(rows) if path.suffix.lower() == ".csv" else _json(rows)
    try:
        write_durably(path.with_name(f".{path.name}.new"), text.encode("utf-8", "replace"), path)
    except OSError as error:
        expected = f"a file that can be written ({error.strerror or error})"
        raise OptionError("--export", str(path), expected) from error


def csv_of(rows: Iterable[Any]) -> str:
    """Return rows as CSV with a header; the columns have the order in which they first appear."""
    flattened = [flat(row) for row in rows]
    # A dict keeps the order, and each name once.
    columns = {name: None for row in flattened for name in row}
    output = io.StringIO()
    writer = csv.DictWriter(output, [*_fixed_first(columns)], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flattened)
    return output.getvalue()


def _fixed_first(columns: Iterable[str]) -> list[str]:
    """Put parameters, and then metrics, behind the other columns; each group keeps its order."""
    groups = ("params.", "metrics.")
    return sorted(
        columns,
        key=lambda name: next((n for n, own in enumerate(groups, 1) if name.startswith(own)), 0),
    )


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, indent=2, ensure_ascii=False, default=str) + "\n"
