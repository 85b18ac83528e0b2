"""Hold the findings of an inspection, ready for JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainer.data.files.file_form import FileKind


@dataclass(frozen=True)
class ColumnFacts:
    """A column of a file.

    Attributes:
        name: in the file, or in the header that the command gives.
        read_as: this project's name; None for a column that is read only by request.
        type: "integer", "number", "text", "date", or a type of Parquet.
        example: the first value.
    """

    name: str
    read_as: str | None
    type: str
    example: str


@dataclass(frozen=True)
class Written:
    """The writing of a file. Fields that its format doesn't have are None."""

    format: str
    separator: str | None = None
    encoding: str | None = None
    has_header: bool | None = None
    date_format: str | None = None


@dataclass(frozen=True)
class InteractionFacts:
    """The contents of interactions, without the invalid rows.

    Attributes:
        pairs: the number of distinct pairs of a user and an item.
        density: pairs divided by users times items.
        first, last: times as ISO 8601; None without timestamps.
        weights: least, median and largest; None without weights.
        not_positive: rows with a weight of 0 or less.
        events: rows by type of event, the most frequent first.
        invalid: invalid rows by reason, the most frequent first.
        invalid_rows: the number of such rows.
    """

    rows: int
    users: int
    items: int
    pairs: int
    density: float
    first: str | None
    last: str | None
    weights: tuple[float, float, float] | None
    not_positive: int
    events: dict[str, int]
    invalid: dict[str, int]
    invalid_rows: int


@dataclass(frozen=True)
class TableFacts:
    """The contents of a file of items or users.

    Attributes:
        rows: its valid rows, one for each item or user.
        titles: how many rows have a title; None without titles.
        matching: how many are in the interactions; None without interactions.
        invalid: as in InteractionFacts.
    """

    rows: int
    titles: int | None
    matching: int | None
    invalid: dict[str, int]


@dataclass(frozen=True)
class FileFindings:
    """All about one file; `interactions` or `table` is None, by its kind."""

    path: str
    kind: FileKind
    written: Written
    columns: list[ColumnFacts]
    interactions: InteractionFacts | None = None
    table: TableFacts | None = None
    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Inspection:
    """All about the files, and the command to train on them.

    Attributes:
        complete: whether the command can run; it can't without a file of interactions.
        arguments: the command, in parts.
        command: the command for a shell.
    """

    files: list[FileFindings]
    complete: bool
    arguments: list[str]
    command: str
