"""Tables for people, as all our commands print them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection

from rich.console import Console
from rich.table import Table

# Nothing that is printed is as wide: a table that goes to a file or a pipe keeps its columns whole.
_PIPE_COLUMNS = 1_000_000


def table(*columns: str, texts: int | None = None, also_texts: Collection[str] = ()) -> Table:
    """Make a table without rows.

    Args:
        columns: their names.
        texts: how many of the first columns hold text, the others numbers; None for all.
        also_texts: names of further columns that hold text.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        is_text = texts is None or position < texts or column in also_texts
        made.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    return made


def show(rows: Table, *, at_least: int = 0) -> None:
    """Print a table, on a terminal at least so wide. Ids and names of files in it are no markup."""
    width = _PIPE_COLUMNS
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, at_least)
    Console(width=width, markup=False, emoji=False, highlight=False).print(rows)
