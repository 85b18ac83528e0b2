"""Take frames of any library as Arrow tables; errors name the frame, the column and the row.

pandas and polars aren't imported: they are recognised by their names. Any other frame comes by the
Arrow PyCapsule interface.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightfm_retriever.hosting.errors import ArgumentError
from trainer.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from trainer.data.files.source import FileColumns

EXPECTED = (
    "a frame with named columns: of pandas, polars or Arrow, a mapping from names to lists, or the "
    "path of a file"
)

_ONE_COLUMN = ("Series", "Array", "ChunkedArray", "ndarray")


def is_path(frame: Any) -> bool:
    """Return whether an argument is the path of a file instead of a frame."""
    return isinstance(frame, str | os.PathLike)


def is_frame(value: Any) -> bool:
    """Return whether an argument has columns, so that it isn't a list of values."""
    if type(value).__name__ in _ONE_COLUMN:
        return False
    # A lazy frame warns when it is asked for its columns.
    if isinstance(value, Mapping) or _is_lazy(value):
        return True
    return any(hasattr(value, name) for name in ("column_names", "columns", "schema"))


def source_of(
    frame: Any,
    name: str,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    columns: Mapping[str, str],
    as_named: Collection[str] = (),
) -> FileColumns:
    """Read the columns of a frame as those of a file are read.

    Args:
        frame: see EXPECTED. Only the chosen columns are converted.
        name: of the frame, for errors.
        required, optional: this project's names. Usual other names are recognised.
        columns: the frame's column for each of this project's names that it calls otherwise.
        as_named: further required columns, under the frame's names.

    Raises:
        ArgumentError: the argument isn't a frame.
        InputError: names the frame and the column or row.
        OptionError: `columns` names a column that the frame doesn't have.
    """
    import pyarrow as pa

    from trainer.data.files import column_names, parquet_files, source
    from trainer.data.files.layout import Layout

    path = Path(name)
    frame = _with_columns(frame, name)
    labels = _labels(frame)
    found = [str(label) for label in labels]
    layout = Layout(columns={ours: str(own) for ours, own in columns.items()}, recognises=True)
    chosen, notes = source.choose(path, found, required, optional, layout)
    missing = [ours for ours in required if ours not in chosen]
    if missing and _has_ids_as_index(frame):
        remedy = f"name it if it has the ids: frame.rename_axis({missing[0]!r})"
        raise InputError(path, f"column {missing[0]} is missing, and the index has no name: {remedy}")
    wanted = [*dict.fromkeys([*chosen.values(), *as_named])]
    column_names.wanted(path, found, [*missing, *wanted], ())
    table = _converted(path, frame, [label for label in labels if str(label) in wanted])
    if not table.num_rows:
        raise InputError(path, "there is no row")
    renamed = {ours: own for ours, own in chosen.items() if ours != own}
    own = {ours: table.column(theirs) for ours, theirs in chosen.items()}
    own |= {theirs: table.column(theirs) for theirs in as_named if theirs not in own}
    made = source.FileColumns(path, pa.table(own), renamed, notes)
    with made.named():
        # Arrow doesn't check the text of other programs.
        parquet_files.check_text(path, made.table)
    return made


def _with_columns(frame: Any, name: str) -> Any:
    """Return a frame whose index, if it has names, became columns. Raises ArgumentError."""
    if _is_lazy(frame):
        frame = frame.collect()
    if _is_of(frame, "pandas") and hasattr(frame, "columns"):
        names = [own for own in frame.index.names if own is not None and own not in frame.columns]
        return frame.reset_index(names) if names else frame
    if isinstance(frame, Mapping) or (is_frame(frame) and _exports(frame)):
        return frame
    kind = type(frame)
    text = f"{name} is of the kind {kind.__module__}.{kind.__name__}, but should be {EXPECTED}"
    if kind.__name__ == "Series":
        text += ": a Series has one column, and interactions need user_id and item_id"
    elif _is_of(frame, "pyspark"):
        text += ": convert it by toArrow()"
    raise ArgumentError(name, frame, EXPECTED, text=text)


def _has_ids_as_index(frame: Any) -> bool:
    """Return whether a frame of pandas has an index without a name that isn't just a count of rows."""
    index = getattr(frame, "index", None) if _is_of(frame, "pandas") else None
    return index is not None and index.names == [None] and type(index).__name__ != "RangeIndex"


def _labels(frame: Any) -> list[Any]:
    """Return the names of the columns; those of pandas may be of any kind."""
    if isinstance(frame, Mapping):
        return [*frame]
    for name in ("column_names", "columns"):
        if (names := getattr(frame, name, None)) is not None:
            return [*names]
    return [*frame.schema.names]


def _converted(path: Path, frame: Any, labels: Sequence[Any]) -> pa.Table:
    """Convert some columns. Raises InputError for values that Arrow can't hold."""
    import pyarrow as pa

    if isinstance(frame, Mapping) or _is_of(frame, "pandas"):
        columns = {str(label): _column(path, str(label), frame[label]) for label in labels}
        lengths = {name: len(own) for name, own in columns.items()}
        if len({*lengths.values()}) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise InputError(path, f"the columns have different lengths: {told}")
        return pa.table(columns)
    try:
        if _is_of(frame, "polars"):
            return _without_views(pa.table(frame.select(labels)))
        table = frame if isinstance(frame, pa.Table) else pa.table(frame)
        return _without_views(table.select(labels))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise InputError(path, f"can't be read as Arrow: {error}") from error


def _without_views(table: pa.Table) -> pa.Table:
    """Give dictionaries of views, which polars writes, a type that Arrow can decode."""
    import pyarrow as pa

    for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        kind = column.type
        if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
            text = pa.large_string()
            chunks = [
                pa.DictionaryArray.from_arrays(own.indices, own.dictionary.cast(text))
                for own in column.chunks
            ]
            made = pa.chunked_array(chunks, pa.dictionary(kind.index_type, text))
            table = table.set_column(place, name, made)
    return table


def _column(path: Path, name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa

    try:
        if getattr(values, "ndim", 1) != 1:
            raise InputError(path, f"column {name} is there more than once")
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        row, reason = _first_odd([*values])
        told = reason or f"holds values that Arrow can't hold: {error}"
        raise InputError(path, f"column {name} {told}", row=row) from error


def _first_odd(values: Sequence[Any]) -> tuple[int | None, str]:
    """Return the first row whose value has another type than those before, and a reason."""
    first: tuple[int, Any] | None = None
    for row, value in enumerate(values, start=1):
        # NaN differs from itself.
        if value is None or value != value:
            continue
        if first is None:
            first = row, value
        elif type(value) is not type(first[1]):
            return row, (
                f"holds {_shown(value)}, but row {first[0]} holds {_shown(first[1])}: convert the "
                "column to one type, such as by astype(str) in pandas"
            )
    return None, ""


def _shown(value: Any) -> str:
    return f"{str(value)[:40]!r} of the type {type(value).__name__}"


def _is_of(value: Any, library: str) -> bool:
    """Return whether a value's class, or one that it extends, is of a library."""
    return any(own.__module__.partition(".")[0] == library for own in type(value).__mro__)


def _is_lazy(value: Any) -> bool:
    return _is_of(value, "polars") and type(value).__name__ == "LazyFrame"


def _exports(frame: Any) -> bool:
    return hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__")
