"""Read interactions and features, from frames or files, by the code of the trainer."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightfm_workbench import options
from lightfm_workbench.frame import Frame
from lightfm_workbench.frames_in import is_path, source_of

if TYPE_CHECKING:
    from trainer.data.features import FeatureTable
    from trainer.data.files.file_form import FileForm
    from trainer.data.interactions import Interactions
    from trainer.reading import TrainingInput
    from trainer.spec import DataSpec


@dataclass(frozen=True, repr=False)
class Data:
    """Interactions, and the features, titles and attributes of items and users.

    `read` makes it.

    Attributes:
        source: the same as a training run of the command line reads.
        spec: the options that it was read by.
    """

    source: TrainingInput
    spec: DataSpec

    @property
    def name(self) -> str:
        """Return the name of the source."""
        return self.source.interactions.name

    @property
    def user_ids(self) -> list[str]:
        """Return the distinct ids of users, in order of appearance."""
        return self.source.interactions.user_ids

    @property
    def item_ids(self) -> list[str]:
        """Return the distinct ids of items with an interaction, in order of appearance."""
        return self.source.interactions.item_ids

    @property
    def warnings(self) -> list[str]:
        """Return what looks wrong, one sentence each."""
        own = self.source
        return [*own.interactions.warnings, *own.items.warnings, *own.users.warnings]

    def interactions(self) -> Frame:
        """Return the interactions as they are trained on: ids as text, times in seconds since 1970."""
        import pyarrow as pa

        own = self.source.interactions
        columns = {
            "user_id": pa.DictionaryArray.from_arrays(own.users, own.user_ids).dictionary_decode(),
            "item_id": pa.DictionaryArray.from_arrays(own.items, own.item_ids).dictionary_decode(),
            "weight": pa.array(own.weights),
        }
        if own.timestamps is not None:
            columns["timestamp"] = pa.array(own.timestamps)
        if own.events is not None:
            made = pa.DictionaryArray.from_arrays(own.events, own.event_types)
            columns["event"] = made.dictionary_decode()
        return Frame(pa.table(columns))

    def __len__(self) -> int:
        """Return the number of interactions."""
        return len(self.source.interactions)

    def __repr__(self) -> str:
        """Describe the data in a line."""
        told = f"{len(self):,} interactions of {len(self.user_ids):,} users and "
        told += f"{len(self.item_ids):,} items"
        for kind, table in (("items", self.source.items), ("users", self.source.users)):
            if table.ids:
                told += f"; {kind}: {len(table.ids):,} rows"
        count = len(self.warnings)
        return f"<{self.name}: {told}" + (f"; {count} warnings" if count else "") + ">"


def read(
    interactions: Any = None,
    *,
    items: Any = None,
    users: Any = None,
    name: str = "interactions",
    data_dir: str | os.PathLike[str] = ".data",
    **more: Any,
) -> Data:
    """Read interactions and features from frames or files.

    Interactions need the columns user_id and item_id. They may have weight, timestamp (seconds since
    1970, or times) and event. Items need item_id, and may have a title; users need user_id. Usual other
    names of columns, such as userId, are recognised; a note in `warnings` says so.

    Args:
        interactions: a frame of pandas or polars, anything with the Arrow PyCapsule interface, a
            mapping from names to lists, or the path of a CSV, JSON Lines or Parquet file. The names of
            an index of pandas count as columns. A LazyFrame is collected.
        items, users: the same, with a row for each item or user; None for none.
        name: the name of a frame of interactions, for errors and the manifest.
        data_dir: the folder of fetched datasets, for dataset="movielens-100k" in place of
            interactions.
        **more: any option of `lightfm-trainer train` about the data, by the name of its flag:
            columns={"user_id": "who"}, item_features=["genre"], item_attributes=["genre", "year"],
            event_weights={"view": 1, "purchase": 5}, last_days=90 and others. `separator`,
            `encoding`, `header` and `skip_invalid` are for files only.

    Raises:
        InputError: names the frame or file and the column or row.
        OptionError, ArgumentError: an option is wrong.
    """
    from lightfm_retriever.hosting.settings.option_flags import made
    from trainer import reading
    from trainer.data.files.file_form import FileForm
    from trainer.reading import TrainingInput
    from trainer.spec import DataSpec

    own = options.checked(more, options.known(DataSpec, FileForm))
    parts = {"interactions": interactions, "items": items, "users": users}
    shown = {"interactions": name, "items": "items", "users": "users"}
    given = {
        part: os.fspath(frame) if is_path(frame) else shown[part]
        for part, frame in parts.items()
        if frame is not None
    }
    spec = made(DataSpec, {**own, **given})
    if spec.dataset is not None:
        return Data(reading.read_source(spec, data_dir=Path(data_dir), event_log=None), spec)
    if interactions is None or is_path(interactions):
        alone = replace(
            spec, items=None, users=None, item_features=[], user_features=[], item_attributes=[]
        )
        source = reading.read_source(alone, data_dir=Path(data_dir), event_log=None)
    else:
        _refuse_for_frames(spec.form)
        source = TrainingInput(_interactions(interactions, name, spec.form))
        source = reading.weighed_by(spec, source)
    source = replace(source, items=_features(spec, "item", items), users=_features(spec, "user", users))
    return Data(source, spec)


def _interactions(frame: Any, name: str, form: FileForm) -> Interactions:
    from trainer.data import interactions
    from trainer.data.times import date_formats

    source = source_of(
        frame,
        name,
        required=interactions.REQUIRED,
        optional=interactions.OPTIONAL,
        columns=form.columns,
    )
    dates = None if form.date_format is None else date_formats.parse(form.date_format)
    with source.named():
        read = interactions.from_table(source.path, source.table, name=name, form=dates)
    return replace(read, warnings=[*source.notes, *read.warnings])


def _features(spec: DataSpec, kind: Literal["item", "user"], frame: Any) -> FeatureTable:
    """Read features from a frame, or from the file of the spec; empty for None."""
    from trainer import reading
    from trainer.data import features, item_attributes

    if frame is None or is_path(frame):
        return reading.features_by(spec, kind)
    columns = spec.item_features if kind == "item" else spec.user_features
    attributes = item_attributes.parse(spec.item_attributes if kind == "item" else [])
    source = source_of(
        frame,
        f"{kind}s",
        required=(f"{kind}_id",),
        optional=("title",) if kind == "item" else (),
        columns=spec.form.item_columns if kind == "item" else spec.form.user_columns,
        as_named=[*dict.fromkeys([*columns, *(own.name for own in attributes)])],
    )
    with source.named():
        read = features.from_table(
            source.path,
            source.table,
            kind,
            columns=columns,
            separator=spec.feature_separator,
            attributes=attributes,
        )
    return replace(read, warnings=[*source.notes, *read.warnings])


def _refuse_for_frames(form: FileForm) -> None:
    """Raise OptionError for an option that only files have."""
    from trainer.errors import OptionError

    given = form.given("interactions") | {"--escaped-quotes": form.escaped_quotes}
    for flag, value in given.items():
        if value and flag not in ("--columns", "--date-format"):
            raise OptionError(flag, value, "left out: the interactions are a frame, not a file")
