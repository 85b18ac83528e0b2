"""Read files as a training would, find the options that they need, and report the contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data import features, interactions, lookalikes, odd_values, skipping
from trainer.data.features import FeatureTable
from trainer.data.files import column_types, layout, parquet_folder, tables
from trainer.data.files import source as sources
from trainer.data.files.file_form import COLUMNS as FILE_COLUMNS
from trainer.data.files.file_form import FileForm, FileKind
from trainer.data.files.layout import Layout
from trainer.data.files.source import FileColumns
from trainer.data.interactions import Interactions
from trainer.data.times import date_formats, date_guesses
from trainer.errors import InputError, OptionError
from trainer.inspection import command, describing, roles, sniffing
from trainer.inspection.facts import FileFindings, Inspection, Written
from trainer.inspection.sniffing import Sniffed

_PREFIXES: Mapping[FileKind, str] = {"interactions": "", "items": "item_", "users": "user_"}
# The default of --feature-separator.
_SEPARATOR = "|"
_FORMATS = {"csv": "CSV", "json": "JSON Lines", "parquet": "Parquet"}


class Inspector:
    """Inspects files one after the other, and collects the options that they need."""

    def __init__(self, form: FileForm, *, now: float) -> None:
        """Begin with the options of the user; `now` is in seconds since 1970."""
        self._given = self._form = form
        self._now = now
        self._paths: dict[FileKind, Path] = {}
        self._facts: list[FileFindings] = []
        self._read: Interactions | None = None
        self._tables: dict[FileKind, FeatureTable] = {}

    def add(self, path: Path, kind: FileKind | None = None) -> None:
        """Inspect a file; None to guess its kind.

        Raises:
            InputError: the file can't be read, as a training would say it.
            OptionError: an option is wrong for this file, or there are two files of a kind.
        """
        sniffed = self._sniffed(path, kind)
        if sniffed is not None and not sniffed.has_header and sniffed.rows:
            kind = kind or roles.kind_by_values(path, sniffed.rows, now=self._now)
        names = _names(path, None if sniffed is None else sniffed.layout)
        if kind is None:
            kind = roles.kind_by_names(path, names)
        if kind in self._paths:
            raise OptionError(
                f"--{kind}", str(path), f"the only file of {kind}: {self._paths[kind]} is"
            )
        self._paths[kind] = path
        if sniffed is not None:
            self._take_over(kind, sniffed)
        own = self._form.of(kind)
        written, sample = self._written(path, own, sniffed), _sample(path, own, sniffed)
        if kind == "interactions":
            self._add_interactions(path, own, written, sample)
        else:
            self._add_table(path, kind, own, written, sample)

    def result(self) -> Inspection:
        """Return the findings; raises OptionError for an option about a file that isn't there."""
        for kind in _PREFIXES.keys() - self._paths.keys():
            for flag, value in self._given.given(kind).items():
                raise OptionError(flag, value, f"used with a file of {kind}")
        arguments = command.arguments_of(self._paths, self._form)
        complete = "interactions" in self._paths
        found = [self._matched(own) for own in self._facts]
        return Inspection(found, complete, arguments, command.shown(arguments))

    def _sniffed(self, path: Path, kind: FileKind | None) -> Sniffed | None:
        """Look at a text file; None for another kind of file."""
        given = Layout() if kind is None else self._form.of(kind)
        if path.is_dir() or tables.kind_of(path, replace(given, header=())) != "csv":
            return None
        try:
            return sniffing.sniff(path, given)
        except (pa.ArrowException, OSError, UnicodeError):
            # Reading the file says what is wrong.
            return None

    def _take_over(self, kind: FileKind, sniffed: Sniffed) -> None:
        """Add what a file needs to the options, unless the user gave it."""
        prefix, found = _PREFIXES[kind], sniffed.layout
        changes: dict[str, Any] = {}
        if found.separator is not None:
            changes[f"{prefix}separator"] = found.separator
        if found.encoding != layout.UTF_8:
            changes[f"{prefix}encoding"] = found.encoding
        if not sniffed.has_header and not self._form.of(kind).header and sniffed.rows:
            changes[f"{prefix}header"] = roles.header_by_values(kind, sniffed.rows, now=self._now)
        changes = {name: own for name, own in changes.items() if not getattr(self._form, name)}
        if found.escaped_quotes:
            changes["escaped_quotes"] = True
        self._form = replace(self._form, **changes)

    def _written(self, path: Path, own: Layout, sniffed: Sniffed | None) -> Written:
        if sniffed is None:
            is_folder = path.is_dir()
            return Written("folder of Parquet" if is_folder else _FORMATS[tables.kind_of(path)])
        return Written("CSV", sniffed.separator, own.encoding, not own.header)

    def _add_interactions(self, path: Path, own: Layout, written: Written, sample: pa.Table) -> None:
        skips = not path.is_dir()
        source = sources.read(
            path,
            required=interactions.REQUIRED,
            optional=interactions.OPTIONAL,
            layout=own,
            skips=skips,
        )
        hints = self._find_dates(source)
        form = self._form.date_format
        parsed = None if form is None else date_formats.parse(form)
        invalid: dict[str, int] = {}
        rows = source.table.num_rows + len(source.wrong)
        if skips:
            source, skipped = skipping.skip(source, now=self._now, form=parsed)
            invalid = skipped.counts()
        if invalid:
            self._form = replace(self._form, skip_invalid=True)
        with source.named():
            read = interactions.from_table(
                path, source.table, name=path.name, now=self._now, form=parsed
            )
        self._read = read
        self._facts.append(
            FileFindings(
                str(path),
                "interactions",
                replace(written, date_format=form),
                describing.columns(sample, _chosen(source)),
                describing.interactions(read, rows=rows, invalid=invalid),
                warnings=[*source.notes, *read.warnings, *_ids_warnings(read)],
                hints=[*hints, *describing.hints(read)],
            )
        )

    def _find_dates(self, source: FileColumns) -> list[str]:
        """Choose the form of the timestamps, unless the user gave it; return what is in doubt."""
        if self._form.date_format is not None or "timestamp" not in source.table.column_names:
            return []
        values = column_types.decoded(source.table.column("timestamp"))
        found = date_guesses.guess(values, now=self._now)
        if found:
            self._form = replace(self._form, date_format=found[0])
        if len(found) > 1:
            told = f"the command takes {found[0]!r}; the other is --date-format {found[1]!r}"
            return [f"the timestamps may have the day or the month first: {told}"]
        return []

    def _add_table(
        self, path: Path, kind: FileKind, own: Layout, written: Written, sample: pa.Table
    ) -> None:
        is_items = kind == "items"
        key: features.Kind = "item" if is_items else "user"
        source = sources.read(
            path,
            required=(f"{key}_id",),
            optional=("title",) if is_items else (),
            layout=own,
            as_named=sample.column_names,
            skips=True,
        )
        source, skipped = skipping.skip_in_table(source, f"{key}_id")
        if len(skipped):
            self._form = replace(self._form, skip_invalid=True)
        with source.named():
            table = features.from_table(path, source.table, key, columns=[], separator=_SEPARATOR)
        self._tables[kind] = table
        chosen = {name: source.renamed.get(name, name) for name in FILE_COLUMNS[kind]}
        described = describing.columns(sample, chosen)
        others = [column.name for column in described if column.read_as is None]
        flags = "--item-features or --item-attributes" if is_items else "--user-features"
        hints = [f"further columns: {', '.join(others)}; {flags} uses them"] if others else []
        self._facts.append(
            FileFindings(
                str(path),
                kind,
                written,
                described,
                table=describing.table(table, skipped.counts()),
                warnings=[
                    *source.notes,
                    *table.warnings,
                    *lookalikes.warnings_of(key, table.ids, np.arange(0)),
                    *_odd_values(source, others),
                ],
                hints=hints,
            )
        )

    def _matched(self, facts: FileFindings) -> FileFindings:
        """Add how many ids of a table the interactions have."""
        if facts.table is None or self._read is None:
            return facts
        is_items = facts.kind == "items"
        known = {*(self._read.item_ids if is_items else self._read.user_ids)}
        own = self._tables[facts.kind]
        matching = len(known.intersection(own.ids))
        warnings = [*facts.warnings]
        try:
            others = self._read.user_ids if is_items else self._read.item_ids
            warnings += features.match_warnings("item" if is_items else "user", own, known, others)
        except InputError as error:
            warnings.append(str(error))
        return replace(facts, table=replace(facts.table, matching=matching), warnings=warnings)


def _names(path: Path, own: Layout | None) -> Sequence[str]:
    return parquet_folder.names_of(path) if path.is_dir() else tables.names_of(path, own or Layout())


def _sample(path: Path, own: Layout, sniffed: Sniffed | None) -> pa.Table:
    """Return the first rows with all columns, without those that the header leaves out."""
    if sniffed is None:
        file = parquet_folder.data_files(path)[0] if path.is_dir() else path
        return tables.first_rows(file)
    names = tables.names_of(path, own)
    rows = [row for row in sniffed.rows[sniffed.has_header :] if len(row) == len(names)]
    return pa.table(
        {
            name: pa.array([row[place] for row in rows], pa.string())
            for place, name in enumerate(names)
            if not name.startswith("\0")
        }
    )


def _chosen(source: FileColumns) -> dict[str, str]:
    """Return the file's column for each of this project's names that it has."""
    return {name: source.renamed.get(name, name) for name in source.table.column_names}


def _odd_values(source: FileColumns, columns: Sequence[str]) -> list[str]:
    """Warn of odd values in columns that may be features: their values come again."""
    warnings: list[str] = []
    for name in columns:
        values = column_types.decoded(source.table.column(name))
        if column_types.is_text(values.type) and len(pc.unique(values)) * 2 <= len(values):
            warnings += odd_values.warnings_of(source.path, source.table, name, _SEPARATOR)
    return warnings


def _ids_warnings(read: Interactions) -> list[str]:
    return [
        *lookalikes.warnings_of("user", read.user_ids, read.users),
        *lookalikes.warnings_of("item", read.item_ids, read.items),
    ]
