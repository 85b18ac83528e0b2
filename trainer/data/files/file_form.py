"""Declare the options that say how the files of a training are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings.values import PathType
from trainer.data.files import layout
from trainer.data.files.layout import Layout
from trainer.data.times import date_formats
from trainer.errors import OptionError

FileKind = Literal["interactions", "items", "users"]
COLUMNS: Mapping[FileKind, tuple[str, ...]] = {
    "interactions": ("user_id", "item_id", "weight", "timestamp", "event", "event_id"),
    "items": ("item_id", "title"),
    "users": ("user_id",),
}
"""The names that --columns, --item-columns and --user-columns give to columns."""

_REQUIRED: Mapping[FileKind, int] = {"interactions": 2, "items": 1, "users": 1}
_PREFIXES: Mapping[FileKind, str] = {"interactions": "", "items": "item_", "users": "user_"}
_columns = partial(Option, metavar="NAME=COLUMN,...", read=layout.columns_of)
_header = partial(Option, metavar="NAME,...", read=layout.header_of)
_separator = partial(Option, metavar="TEXT", read=layout.separator_of)
_encoding = partial(Option, metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class FileForm:
    """How the files of interactions, items and users are written, and which rows are left out.

    Attributes:
        skipped_file: None for a file that the caller chooses.
    """

    columns: Annotated[
        dict[str, str],
        _columns(
            "columns of the interactions, such as user_id=userId,weight=rating; weight= reads no weight"
            " (default: columns with these names or usual ones, such as userId; a note says so)"
        ),
    ] = field(default_factory=dict)
    header: Annotated[
        list[str],
        _header(
            "names of the columns of a file of interactions without a header; an empty name leaves out "
            f"a column, and {layout.REST} at the end the further ones"
        ),
    ] = field(default_factory=list)
    separator: Annotated[
        str | None,
        _separator(
            "separator of the columns of the interactions, such as ';', '\\t' or '::' (default: by the "
            "name: tabs for .tsv, the one of the first line for .dat and .data, commas otherwise)"
        ),
    ] = None
    encoding: Annotated[
        str | None, _encoding("encoding of the interactions, such as latin-1 (default: utf-8)")
    ] = None
    date_format: Annotated[
        str | None,
        Option(
            "form of the timestamps: s, ms, us or ns since 1970, iso, or a pattern such as 'd/m/Y H:M' "
            "(default: numbers are seconds since 1970, and text is ISO 8601)",
            metavar="FORMAT",
        ),
    ] = None
    escaped_quotes: Annotated[
        bool, Option("in text files, read a backslash and a quote as a quote within a value")
    ] = False
    skip_invalid: Annotated[
        bool,
        Option("leave out invalid rows, count them, and write them to a file for each input"),
    ] = False
    skipped_file: Annotated[
        str | None,
        Option(
            "the file for invalid rows of the interactions; rows of items and users come next to it "
            "(default: the name of the input and .skipped.csv, in this folder)",
            metavar="PATH",
            read=PathType(),
        ),
    ] = None
    item_columns: Annotated[
        dict[str, str], _columns("columns of the items, such as item_id=movieId,title=name")
    ] = field(default_factory=dict)
    item_header: Annotated[list[str], _header("the same as --header, for the items")] = field(
        default_factory=list
    )
    item_separator: Annotated[str | None, _separator("the same as --separator, for the items")] = None
    item_encoding: Annotated[str | None, _encoding("the same as --encoding, for the items")] = None
    user_columns: Annotated[dict[str, str], _columns("columns of the users, such as user_id=ID")] = (
        field(default_factory=dict)
    )
    user_header: Annotated[list[str], _header("the same as --header, for the users")] = field(
        default_factory=list
    )
    user_separator: Annotated[str | None, _separator("the same as --separator, for the users")] = None
    user_encoding: Annotated[str | None, _encoding("the same as --encoding, for the users")] = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value that can't be used."""
        for kind in COLUMNS:
            own = self._given(kind)
            flags = {name: _flag(kind, name) for name in own}
            layout.check_columns(flags["columns"], own["columns"], COLUMNS[kind], _REQUIRED[kind])
            layout.check_header(flags["header"], own["header"])
            if own["separator"] is not None:
                layout.check_separator(flags["separator"], own["separator"])
            if own["encoding"] is not None:
                layout.check_encoding(flags["encoding"], own["encoding"])
        if self.date_format is not None:
            date_formats.parse(self.date_format)
        if self.skipped_file is not None and not self.skip_invalid:
            raise OptionError("--skipped-file", self.skipped_file, "used with --skip-invalid")

    def of(self, kind: FileKind) -> Layout:
        """Return the writing of a file of a kind."""
        own = self._given(kind)
        return Layout(
            columns=own["columns"],
            header=tuple(own["header"]),
            separator=own["separator"],
            encoding=own["encoding"] or layout.UTF_8,
            escaped_quotes=self.escaped_quotes,
            recognises=True,
            flags=_flag(kind, ""),
        )

    def given(self, kind: FileKind) -> dict[str, Any]:
        """Return the given options that are only for files of a kind, by flag."""
        own = {_flag(kind, name): value for name, value in self._given(kind).items()}
        if kind == "interactions":
            own |= {"--date-format": self.date_format, "--skip-invalid": self.skip_invalid}
        return {
            flag: _shown(value) for flag, value in own.items() if value not in (None, {}, [], False)
        }

    def _given(self, kind: FileKind) -> dict[str, Any]:
        names = ("columns", "header", "separator", "encoding")
        return {name: getattr(self, f"{_PREFIXES[kind]}{name}") for name in names}


def _flag(kind: FileKind, name: str) -> str:
    return f"--{_PREFIXES[kind]}{name}".replace("_", "-")


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return layout.written([f"{name}={column}" for name, column in value.items()])
    return layout.written(value) if isinstance(value, list) else value
