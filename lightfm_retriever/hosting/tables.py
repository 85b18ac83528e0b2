"""Tables that the commands print."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection

from rich.console import Console
from rich.table import Table

# Wider than any table, so that tables in a file or a pipe aren't cut.
_PIPE_COLUMNS = 1_000_000


def table(*columns: str, texts: int | None = None, also_texts: Collection[str] = ()) -> Table:
    """Make a table without rows.

    Args:
        columns: names of the columns.
        texts: number of leading columns with text; the others have numbers. None: all have text.
        also_texts: names of further columns with text.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        is_text = texts is None or position < texts or column in also_texts
        made.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    return made


def show(rows: Table, *, at_least: int = 0) -> None:
    """Print a table, on a terminal with at least `at_least` columns. Texts aren't read as markup."""
    width = _PIPE_COLUMNS
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, at_least)
    Console(width=width, markup=False, emoji=False, highlight=False).print(rows)
