"""Read files that have a JSON object on each line, as Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from trainer.data.files.text_file import SNIFFED_BYTES, TextFile
from trainer.errors import InputError

_SHOWN_BYTES = 60
_MOST_NAMES_ROWS = 100
_decoder = msgspec.json.Decoder()
_NUMBER = pa.float64()


def is_it(path: Path) -> bool:
    """Whether the first line of a file is a JSON object; False if it can't be read."""
    try:
        line = TextFile(path).start(SNIFFED_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0]
        return line.startswith(b"{") and isinstance(_decoder.decode(line), dict)
    except (pa.ArrowException, OSError, msgspec.DecodeError):
        return False


def names(path: Path) -> list[str]:
    """Return the keys of the first rows, in order; raises InputError as `read`."""
    found: dict[str, None] = {}
    for row, own in _objects(path):
        found |= dict.fromkeys(own)
        if row >= _MOST_NAMES_ROWS:
            break
    return list(found)


def read(path: Path, choose: Callable[[list[str]], list[str]]) -> pa.Table:
    """Read keys of each object as columns; a missing key is null.

    Args:
        path: the file. It may be compressed, as a CSV file.
        choose: returns the columns to read, of those that there are.

    Raises:
        InputError: a line isn't a JSON object, or a column holds values of several kinds; names the
            row.
    """
    return _table(path, choose(names(path)), _objects(path))


def first_rows(path: Path) -> pa.Table:
    """Read some rows with all keys; raises InputError as `read`."""
    return _table(path, names(path), islice(_objects(path), _MOST_NAMES_ROWS))


def _table(
    path: Path, chosen: Sequence[str], objects: Iterable[tuple[int, dict[str, Any]]]
) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in chosen}
    for _, own in objects:
        for name, values in columns.items():
            values.append(own.get(name))
    return pa.table({name: _column(path, name, values) for name, values in columns.items()})


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each row and its object."""
    row = 0
    try:
        with TextFile(path).opened_to_damage() as stream:
            for line in _lines(stream):
                row += 1
                try:
                    own = _decoder.decode(line)
                except msgspec.DecodeError as error:
                    shown = line[:_SHOWN_BYTES].decode(errors="replace")
                    reason = f"isn't a JSON object ({error}): {shown!r}"
                    raise InputError(path, reason, row=row) from error
                if not isinstance(own, dict):
                    raise InputError(path, "isn't a JSON object, but another value", row=row)
                yield row, own
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InputError(path, f"can't be read as JSON Lines after row {row}: {error}") from error


def _lines(stream: Any) -> Iterator[bytes]:
    """Yield the lines that aren't blank."""
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        yield from (own for own in lines if own.strip())
    if rest.strip():
        yield rest


def _column(path: Path, name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        pass
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], _NUMBER)
    first = next(value for value in values if value is not None)
    row = next(
        row
        for row, value in enumerate(values, start=1)
        if value is not None and type(value) is not type(first)
    )
    reason = f"{name} is {values[row - 1]!r}, but other rows have another kind, such as {first!r}"
    raise InputError(path, reason, row=row)
