"""The source of the data of a training run, and its use, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option, numbers
from lightfm_retriever.hosting.settings.values import PathType
from trainer.data import movielens
from trainer.data.bounds import HALF_LIFE_DAYS, LAST_DAYS, check_event_weights
from trainer.data.files.file_form import FileForm, FileKind
from trainer.errors import OptionError
from trainer.preparing.splits import SPLIT, SPLIT_COUNT, SPLIT_SHARE

_path = partial(Option, metavar="PATH", read=PathType())


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The source of the data, and its use.

    Interactions come from a history, from the event log, or from both (see trainer.data.combining). A
    history is one of dataset, interactions and interactions_sql. An event without a type has the weight
    of "". None for item_attributes means all attributes of a named dataset. None for split means the
    default of the source. `form` says how the files are written.
    """

    dataset: Annotated[
        str | None, Option("train on a dataset by its name", offered=(movielens.NAME,))
    ] = None
    interactions: Annotated[
        str | None, _path("train on a CSV, JSON Lines or Parquet file, or a folder of Parquet files")
    ] = None
    interactions_sql: Annotated[
        str | None,
        Option("train on the result of an SQL query; needs --database-url", metavar="QUERY"),
    ] = None
    database_url: Annotated[
        str | None,
        Option(
            "the database: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE", metavar="URL"
        ),
    ] = None
    items: Annotated[str | None, _path("CSV, JSON Lines or Parquet file of items")] = None
    users: Annotated[str | None, _path("CSV, JSON Lines or Parquet file of users")] = None
    event_log: Annotated[
        bool,
        Option(
            "train on appended interactions, alone or in addition to another source; an event in both "
            "counts once"
        ),
    ] = False
    item_features: Annotated[
        list[str], Option("columns of the items file to use as features", metavar="COLUMN,...")
    ] = field(default_factory=list)
    user_features: Annotated[
        list[str], Option("columns of the users file to use as features", metavar="COLUMN,...")
    ] = field(default_factory=list)
    item_attributes: Annotated[
        list[str],
        Option(
            "columns of the items file to filter by and to return with results. A column of numbers, "
            "also with gaps such as N/A, becomes a number; any other becomes text (default: none; for "
            f"{movielens.NAME} {','.join(movielens.ITEM_COLUMNS)})",
            metavar="COLUMN[:text|:number],...",
        ),
    ] = field(default_factory=list)
    feature_separator: Annotated[str, Option("separator of values in columns that have several")] = "|"
    event_weights: Annotated[
        dict[str, float],
        Option(
            "weights by type of event, such as view=1,purchase=5; write =1 for events without a type",
            metavar="EVENT=WEIGHT,...",
            read=partial(numbers, example="view=1"),
        ),
    ] = field(default_factory=dict)
    half_life_days: Annotated[float | None, HALF_LIFE_DAYS] = None
    last_days: Annotated[float | None, LAST_DAYS] = None
    split: Annotated[str | None, SPLIT] = None
    split_count: Annotated[int, SPLIT_COUNT] = 1
    split_share: Annotated[float, SPLIT_SHARE] = 0.1
    positive_from: Annotated[
        float | None,
        Option(
            "the least weight of a positive, such as 4 stars: lower ones get the weight 0 and count "
            "as seen, not as liked (default: any weight above 0)",
            gt=0,
            lt=math.inf,
            expected="a number above 0",
            metavar="WEIGHT",
        ),
    ] = None
    form: FileForm = field(default_factory=FileForm)
    segment_by: Annotated[
        list[str],
        Option(
            "also measure the test by each value of these attributes of items or columns of "
            "--user-features",
            metavar="NAME,...",
        ),
    ] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise OptionError if no source of interactions is given, or a value is out of range."""
        others = "--interactions, --interactions-sql, --event-log"
        if not self.has_history and not self.event_log:
            raise OptionError("--dataset", None, f"given, or one of {others}")
        if len(self._histories()) > 1:
            expected = f"the only one of --dataset, {others}; --event-log may come in addition"
            raise OptionError(*next(iter(self._histories().items())), expected)
        if (self.interactions_sql is None) != (self.database_url is None):
            # Don't show the address: it may hold a password.
            shown = None if self.database_url is None else "***"
            raise OptionError("--database-url", shown, "used with --interactions-sql")
        if self.item_attributes:
            # Imported here, since the flags need only the defaults.
            from trainer.data import item_attributes

            # Reading the data checks this too, but a run may wait in a queue for hours before.
            item_attributes.parse(self.item_attributes)
        options.check(self, OptionError)
        for flag, given in (
            ("--item-features", self.item_features),
            ("--user-features", self.user_features),
            ("--segment-by", self.segment_by),
        ):
            if len(set(given)) < len(given):
                raise OptionError(flag, ",".join(given), "columns that are named once each")
        check_event_weights(self.event_weights)
        self._check_form()

    def _check_form(self) -> None:
        """Raise OptionError for an option about a file that isn't given."""
        files: dict[FileKind, str | None] = {
            "interactions": self.interactions,
            "items": self.items,
            "users": self.users,
        }
        for kind, path in files.items():
            if path is None:
                for flag, value in self.form.given(kind).items():
                    raise OptionError(flag, value, f"used with --{kind} FILE")
        if self.form.escaped_quotes and not any(files.values()):
            raise OptionError("--escaped-quotes", True, "used with --interactions FILE")
        if self.positive_from is not None and not self.has_history:
            expected = "left out with --event-log alone, whose events keep their weights"
            raise OptionError("--positive-from", self.positive_from, expected)

    @property
    def has_history(self) -> bool:
        """Whether there is another source of interactions than the event log."""
        return bool(self._histories())

    def _histories(self) -> dict[str, str]:
        flags = {
            "--dataset": self.dataset,
            "--interactions": self.interactions,
            "--interactions-sql": self.interactions_sql,
        }
        return {flag: value for flag, value in flags.items() if value is not None}
