"""Read a file under this project's names of columns, although the file may have others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainer.data.files import column_names, csv_files, csv_rows, known_names, parquet_folder, tables
from trainer.data.files.csv_rows import WrongRow
from trainer.data.files.layout import STRICT, Layout
from trainer.data.files.parquet_folder import ParquetFolder
from trainer.data.files.text_file import TextFile
from trainer.errors import InputError, OptionError
from trainer.notes import NOTE

_BY_SKIPPING = "; --skip-invalid leaves out such rows"


@dataclass(frozen=True)
class FileColumns:
    """The columns of a file, under this project's names.

    Attributes:
        path: the file or the folder.
        table: n rows.
        renamed: for each of this project's names that the file doesn't have, the file's.
        notes: the columns that were recognised, one sentence each.
        rows: (n,) int64, the numbers of the rows in the file, counted from 1; None for 1..n.
        wrong: the rows that couldn't be read and were left out.
        folder: the files of a folder.
        offers_skipping: whether --skip-invalid would leave out rows.
    """

    path: Path
    table: pa.Table
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: NDArray[np.int64] | None = None
    wrong: list[WrongRow] = field(default_factory=list)
    folder: ParquetFolder | None = None
    offers_skipping: bool = False

    @contextmanager
    def named(self) -> Iterator[None]:
        """Make an InputError name the row and the column as the file has them."""
        try:
            yield
        except InputError as error:
            if error.path != self.path:
                raise
            reason, row = error.reason, error.row
            for ours, own in self.renamed.items():
                for start in (ours, f"column {ours}"):
                    if reason.startswith(f"{start} "):
                        reason = f"{start} ({own}) {reason.removeprefix(f'{start} ')}"
            if row is not None and self.offers_skipping:
                reason += _BY_SKIPPING
            if row is not None and self.rows is not None:
                row = int(self.rows[row - 1])
            if self.folder is None:
                raise InputError(self.path, reason, row=row) from None
            with self.folder.errors_by_file():
                raise InputError(self.path, reason, row=row) from None


def read(
    path: Path,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    layout: Layout = STRICT,
    as_named: Collection[str] = (),
    skips: bool = False,
) -> FileColumns:
    """Read columns of a file or a folder.

    Args:
        path: see `tables.read_table`; or a folder of Parquet files.
        required, optional: this project's names.
        layout: how the file is written, and which of its columns are meant by this project's names.
        as_named: further required columns, under the file's names.
        skips: whether rows that can't be read are left out.

    Raises:
        InputError: names the file and the column or row.
        OptionError: an option of the layout is wrong for this file.
    """
    is_folder = path.is_dir()
    if is_folder:
        _refuse_for_folders(path, layout, skips=skips)
    if not layout.columns and not layout.recognises and not skips and not layout.header:
        return _read_strictly(path, [*required, *as_named], optional)
    found = parquet_folder.names_of(path) if is_folder else tables.names_of(path, layout)
    chosen, notes = choose(path, found, required, optional, layout)
    wanted = [*dict.fromkeys([*chosen.values(), *as_named])]
    missing = [name for name in required if name not in chosen]
    folder, rows, wrong = None, None, list[WrongRow]()
    if is_folder:
        others = [name for name in optional if name not in chosen and name not in layout.columns]
        needed = [*missing, *(chosen[name] for name in required if name in chosen), *as_named]
        more = [*(chosen[name] for name in optional if name in chosen), *others]
        folder = parquet_folder.read_folder(path, required=needed, optional=more)
        table = folder.table
    else:
        # The exact names come last: an error is about them.
        unchosen = [name for name in optional if name not in layout.columns and name not in chosen]
        column_names.wanted(path, found, [*missing, *wanted], unchosen, flags=layout.flags)
        table, rows, wrong = _read_rows(path, wanted, layout, skips=skips)
    renamed = {ours: own for ours, own in chosen.items() if ours != own}
    columns = {ours: table.column(own) for ours, own in chosen.items()}
    columns |= {name: table.column(name) for name in as_named if name not in columns}
    result = FileColumns(path, pa.table(columns), renamed, notes, rows, wrong, folder)
    return result if skips else _offering(result, layout)


def choose(
    path: Path, found: Sequence[str], required: Sequence[str], optional: Sequence[str], layout: Layout
) -> tuple[dict[str, str], list[str]]:
    """Return the file's column for each of this project's names that it has, and notes.

    Raises:
        InputError: a required column may be one of several.
        OptionError: the layout names a column that the file doesn't have.
    """
    for name, own in layout.columns.items():
        if own and own not in found:
            shown = f"a column of {path}, which are: {column_names.listed(found)}"
            raise OptionError(f"{layout.flags}columns", f"{name}={own}", shown)
    ours = [*required, *optional]
    given = {name: name for name in ours if name in found} | dict(layout.columns)
    chosen = {name: own for name, own in given.items() if own}
    notes: list[str] = []
    guessed: dict[str, str] = {}
    for name in ours if layout.recognises else []:
        free = [own for own in dict.fromkeys(found) if own not in {*given.values(), *guessed.values()}]
        matching = known_names.recognised(name, free, in_table=len(required) == 1)
        if name in given or not matching:
            continue
        if len(matching) == 1:
            guessed[name] = matching[0]
        elif name in required:
            raise InputError(path, _ambiguous(name, matching, found, layout))
        else:
            notes.append(
                f"{NOTE}{path.name}: {' and '.join(matching)} may be the {name}, so none is read; name "
                f"one by {layout.flags}columns {name}=COLUMN"
            )
    if guessed:
        told = ", ".join(f"{own} as {name}" for name, own in guessed.items())
        notes.insert(0, f"{NOTE}{path.name}: reads {told}")
    chosen |= guessed
    return {name: chosen[name] for name in ours if name in chosen}, notes


def _ambiguous(name: str, matching: Sequence[str], found: Sequence[str], layout: Layout) -> str:
    return (
        f"{' and '.join(matching)} may be the {name}: name one by {layout.flags}columns "
        f"{name}={matching[0]}; the columns are: {column_names.listed(found)}"
    )


def _read_strictly(path: Path, required: Sequence[str], optional: Sequence[str]) -> FileColumns:
    if path.is_dir():
        folder = parquet_folder.read_folder(path, required=required, optional=optional)
        return FileColumns(path, folder.table, folder=folder)
    return FileColumns(path, tables.read_table(path, required=required, optional=optional))


def _read_rows(
    path: Path, wanted: list[str], layout: Layout, *, skips: bool
) -> tuple[pa.Table, NDArray[np.int64] | None, list[WrongRow]]:
    """Read columns; if rows are wrong and may be skipped, again without them."""
    try:
        return tables.read_table(path, required=wanted, optional=[], layout=layout), None, []
    except InputError as error:
        if not skips or error.row is None or tables.kind_of(path, layout) != "csv":
            raise
    file = TextFile(path, layout)
    table, rows, wrong = csv_rows.read_right(file, csv_files.names(file), wanted)
    return table, np.array(rows, dtype=np.int64), wrong


def _offering(source: FileColumns, layout: Layout) -> FileColumns:
    offers = layout.flags == "--" and source.folder is None
    return source if not offers else FileColumns(**{**vars(source), "offers_skipping": True})


def _refuse_for_folders(path: Path, layout: Layout, *, skips: bool) -> None:
    options = layout.text_options() | ({"--skip-invalid": True} if skips else {})
    for flag, value in options.items():
        raise OptionError(flag, value, f"left out: {path} is a folder of Parquet files")
