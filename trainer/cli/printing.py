"""How values, tables and JSON are printed, whatever they are of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

# Nothing that is printed is as wide: a table that goes to a file or a pipe keeps its columns whole.
_PIPE_COLUMNS = 1_000_000
# Nothing that is measured comes near it.
_MOST = 1e12


def text(value: Any) -> str:
    """Say a value for people: no word of Python's."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    return str(value)


def number(value: float, places: int = 4) -> str:
    """Say a number with so many places; one of many digits by its power of ten."""
    return f"{value:.{places}f}" if abs(value) < _MOST else f"{value:.4g}"


def share(value: float | None) -> str:
    """Say a share in [0, 1]; "-" for one that isn't known."""
    return "-" if value is None else number(value)


def pairs(values: Mapping[str, Any]) -> str:
    """Say names with their values, in a line."""
    return ", ".join(f"{name} {text(value)}" for name, value in values.items())


def table(*columns: str, texts: int) -> Table:
    """Make a table whose first `texts` columns hold text, the others numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        made.add_column(column, justify="left" if position < texts else "right", no_wrap=True)
    return made


def print_table(rows: Table) -> None:
    """Print a table. Ids and names of files in it are no markup."""
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    Console(width=width, markup=False, emoji=False, highlight=False).print(rows)
