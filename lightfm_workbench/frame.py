"""Give out results as one kind of frame, which pandas, polars and Arrow can take."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_SHOWN_ROWS = 10
_SHOWN_COLUMNS = 10
_SHOWN_WIDTH = 40


class Frame:
    """A table of results: columns with names, and rows in an order.

    A notebook shows it as a table. `to_pandas`, `to_polars` and `to_arrow` convert it; the first two
    need that library. Any library that knows the Arrow PyCapsule interface can also take it directly:
    `polars.DataFrame(frame)`, or a DuckDB query that names it.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]], types: Mapping[str, Any]) -> Frame:
        """Make a frame of rows; `types` are Arrow's types of all columns, in their order."""
        import pyarrow as pa

        schema = pa.schema([*types.items()])
        return cls(pa.Table.from_pylist([*rows], schema=schema))

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns."""
        return [*self._table.column_names]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def __getitem__(self, column: str) -> list[Any]:
        """Return a column as a list. Raises KeyError, which names the columns, for another name."""
        if column not in self._table.column_names:
            raise KeyError(f"{column!r} isn't a column; the columns are {', '.join(self.columns)}")
        return [*self._table.column(column).to_pylist()]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as mappings from columns to values."""
        return [*self._table.to_pylist()]

    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table, without a copy."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a pandas DataFrame. Raises ModuleNotFoundError without pandas."""
        return self._table.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """Convert to a polars DataFrame. Raises ModuleNotFoundError without polars."""
        import polars as pl

        return pl.DataFrame(self._table)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the table to another library, by the Arrow PyCapsule interface."""
        return self._table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        """Show the first rows and columns."""
        lines = [self.columns[:_SHOWN_COLUMNS], *self._texts()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([*shown, *self._rest()])

    def _repr_html_(self) -> str:
        def row(cells: Sequence[str], kind: str) -> str:
            return "<tr>" + "".join(f"<{kind}>{html.escape(own)}</{kind}>" for own in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self._texts())
        rest = "".join(f"<p>{html.escape(line)}</p>" for line in self._rest())
        head = row(self.columns[:_SHOWN_COLUMNS], "th")
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{rest}"

    def _texts(self) -> Iterator[list[str]]:
        columns = self._table.slice(0, _SHOWN_ROWS).columns[:_SHOWN_COLUMNS]
        for row in zip(*(own.to_pylist() for own in columns), strict=True):
            yield [*map(_text, row)]

    def _rest(self) -> list[str]:
        left = {"rows": len(self) - _SHOWN_ROWS, "columns": len(self.columns) - _SHOWN_COLUMNS}
        return [f"... {count:,} more {what}" for what, count in left.items() if count > 0]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= _SHOWN_WIDTH else f"{text[:_SHOWN_WIDTH]}..."
