"""Read the input of a training run by its DataSpec, and detect changes of the input."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from lightfm_retriever.files.regular_files import open_regular
from trainer.data import combining, features, interactions, item_attributes, movielens
from trainer.data.databases import sql, url
from trainer.data.features import FeatureTable
from trainer.data.files import parquet_folder, tables
from trainer.data.files.file_form import FileForm, FileKind
from trainer.data.interactions import Interactions
from trainer.data.skipping import Reading
from trainer.data.times import date_formats
from trainer.errors import InputError, OptionError
from trainer.event_log import reading as event_reading
from trainer.notes import NOTE
from trainer.preparing.splits import Split
from trainer.preparing.weighting import weigh
from trainer.spec import DataSpec

_SMALL_BYTES = 16 << 20
"""Files up to this size are compared by content, larger ones by size and modification time."""


@dataclass(frozen=True)
class TrainingInput:
    """The interactions and features of a training run."""

    interactions: Interactions
    items: FeatureTable = field(default_factory=FeatureTable)
    users: FeatureTable = field(default_factory=FeatureTable)


def read_source(
    data: DataSpec,
    *,
    data_dir: Path,
    event_log: Path | None,
    now: float | None = None,
    skipped_file: Path | None = None,
) -> TrainingInput:
    """Read interactions and features, and weight the interactions.

    If a log is read in addition to another source, its events come last, in order of arrival, without
    the events that the other source has (see trainer.data.combining).

    Args:
        data: the input.
        data_dir: the directory of fetched datasets.
        event_log: the directory of the log of appended interactions; None if there is none.
        now: the current time in seconds since 1970; None for the clock of the machine.
        skipped_file: the file for invalid rows, unless the spec names one; None for one in the current
            folder.

    Raises:
        OptionError: options contradict each other.
        InputError: names the file and the column or row.
        TrainerError: the dataset is missing, or the database or the log can't be read.
    """
    if data.dataset is not None:
        source = _read_dataset(data, data_dir)
    else:
        # Read the features first: they are small, and an error in them shows early.
        items = features_by(data, "item", skipped_file)
        users = features_by(data, "user", skipped_file)
        read = _read_interactions(data, event_log, now, skipped_file)
        source = TrainingInput(read, items, users)
    return weighed_by(data, source, event_log=event_log, now=now)


def weighed_by(
    data: DataSpec, source: TrainingInput, *, event_log: Path | None = None, now: float | None = None
) -> TrainingInput:
    """Add the events of the log if they are wanted, and weight the interactions, as `read_source`."""
    if data.positive_from is not None:
        source = replace(source, interactions=_from(source.interactions, data.positive_from))
    weighed = _weighed(source.interactions, data, event_log, now)
    # Otherwise Arrow keeps memory for several columns of all rows throughout the training.
    tables.release_memory()
    return replace(source, interactions=weighed)


def _from(read: Interactions, least: float) -> Interactions:
    """Give interactions below the least weight of a positive the weight 0."""
    if not read.has_weights:
        reason = "there is no column weight, which --positive-from needs"
        raise InputError(Path(read.name), reason)
    below = (read.weights < np.float32(least)) & (read.weights > 0)
    if (read.weights < np.float32(least)).all():
        expected = f"at most the largest weight of {read.name}, which is {read.weights.max():g}"
        raise OptionError("--positive-from", least, expected)
    told = (
        f"{NOTE}{int(below.sum()):,} of {len(read):,} interactions of {read.name} have a weight below "
        f"{least:g}: they count as seen, not as liked"
    )
    weights = np.where(below, np.float32(0), read.weights)
    return replace(read, weights=weights, warnings=[*read.warnings, told])


def _weighed(
    read: Interactions, data: DataSpec, event_log: Path | None, now: float | None
) -> Interactions:
    """Add the events of the log if both are wanted, and weight the interactions."""
    parts = [read]
    if data.event_log and data.has_history:
        parts = _with_events(read, data, _log_directory(event_log), now)
    parts[0] = replace(parts[0], event_ids=None)
    parts = weigh(
        parts,
        event_weights=data.event_weights,
        half_life_days=data.half_life_days,
        last_days=data.last_days,
    )
    return combining.join(*parts) if len(parts) > 1 else parts[0]


def _with_events(
    history: Interactions, data: DataSpec, directory: Path, now: float | None
) -> list[Interactions]:
    """Return the history and the events that it lacks; or the history with a warning of no events."""
    events = event_reading.find_interactions(directory, now=now)
    if events is None:
        warning = (
            f"{directory}: no interactions were appended yet, or all were removed: the training uses "
            f"only {history.name}"
        )
        return [replace(history, warnings=[*history.warnings, warning])]
    if data.split in ("time", "leave-last-k"):
        # An error about missing timestamps should name the file, not both sources.
        history.times_for(f"--split {data.split}")
    return [history, combining.without_known(history, events)]


def default_split(data: DataSpec) -> Split:
    """Return the split of a spec without --split."""
    return "first-10" if data.dataset is not None else "random"


def fingerprint(data: DataSpec, *, data_dir: Path, event_log: Path | None) -> str:
    """Return 64 hexadecimal digits that change with the input, for training again if it changed.

    The fingerprint covers the DataSpec without the password, and the input:

    - files: their names, and the content up to 16 MiB; the size and modification time above that;
    - the log: the number of its events, and a mark of the last removal;
    - a query: its rows, in any order. The whole result is read.

    Files aren't parsed, so invalid files have a fingerprint, too.

    Raises:
        InputError: a file can't be read.
        TrainerError: the database or the log can't be read.
    """
    shown = data.database_url and url.parse(data.database_url).shown
    digest = hashlib.sha256(msgspec.json.encode(replace(data, database_url=shown)))
    for path in _paths(data, data_dir):
        # The lengths separate the parts.
        for part in _file_parts(path):
            digest.update(f" {len(part)} ".encode() + part)
    if data.event_log:
        digest.update(event_reading.fingerprint(_log_directory(event_log)).encode())
    if data.interactions_sql is not None and data.database_url is not None:
        digest.update(
            sql.digest(data.interactions_sql, data.database_url, event_ids=data.event_log).encode()
        )
    return digest.hexdigest()


def _read_dataset(data: DataSpec, data_dir: Path) -> TrainingInput:
    if data.dataset != movielens.NAME:
        raise OptionError("--dataset", data.dataset, movielens.NAME)
    for flag, path in (("--items", data.items), ("--users", data.users)):
        if path is not None:
            raise OptionError(flag, path, "left out: --dataset has its own")
    _check_columns("--item-features", data.item_features, movielens.ITEM_COLUMNS)
    _check_columns("--user-features", data.user_features, movielens.USER_COLUMNS)
    attributes = item_attributes.parse(data.item_attributes or movielens.ITEM_COLUMNS)
    _check_columns(item_attributes.OPTION, [own.name for own in attributes], movielens.ITEM_COLUMNS)
    return TrainingInput(
        movielens.read_interactions(data_dir),
        movielens.read_items(data_dir, data.item_features, attributes),
        movielens.read_users(data_dir, data.user_features),
    )


def _read_interactions(
    data: DataSpec, event_log: Path | None, now: float | None, skipped_file: Path | None
) -> Interactions:
    if data.interactions is not None:
        path = Path(data.interactions)
        return interactions.read_interactions(
            path, event_ids=data.event_log, now=now, reading=_reading(data.form, path, skipped_file)
        )
    if data.interactions_sql is not None and data.database_url is not None:
        return sql.read_interactions_sql(
            data.interactions_sql, data.database_url, event_ids=data.event_log, now=now
        )
    return event_reading.read_interactions(_log_directory(event_log), now=now)


def _reading(form: FileForm, path: Path, skipped_file: Path | None) -> Reading:
    """Return how the file of interactions is read."""
    if form.skipped_file is not None:
        skipped_file = Path(form.skipped_file)
    return Reading(
        form.of("interactions"),
        None if form.date_format is None else date_formats.parse(form.date_format),
        form.skip_invalid,
        skipped_file or Path(f"{path.name}.skipped.csv"),
    )


def _reading_of_table(form: FileForm, kind: FileKind, path: Path, skipped_file: Path | None) -> Reading:
    """Return how a file of items or users is read. Its invalid rows go next to the interactions'."""
    file = Path(f"{path.name}.skipped.csv")
    if form.skipped_file is not None:
        skipped_file = Path(form.skipped_file)
    if skipped_file is not None:
        file = skipped_file.with_name(f"{skipped_file.name.removesuffix('.skipped.csv')}.{file}")
    return Reading(form.of(kind), skips=form.skip_invalid, skipped_file=file)


def _log_directory(event_log: Path | None) -> Path:
    if event_log is None:
        raise OptionError("--event-log", True, "left out: this trainer has no log of interactions")
    return event_log


def features_by(data: DataSpec, kind: features.Kind, skipped_file: Path | None = None) -> FeatureTable:
    """Read the features, titles and attributes of a spec; empty if it names no file of them."""
    path, columns, attributes = data.users, data.user_features, list[str]()
    if kind == "item":
        path, columns, attributes = data.items, data.item_features, data.item_attributes
    wanted = item_attributes.parse(attributes)
    if path is not None:
        separator = data.feature_separator
        return features.read_features(
            Path(path),
            kind,
            columns=columns,
            separator=separator,
            attributes=wanted,
            reading=_reading_of_table(
                data.form, "items" if kind == "item" else "users", Path(path), skipped_file
            ),
        )
    for flag, given in ((item_attributes.OPTION, attributes), (f"--{kind}-features", columns)):
        if given:
            raise OptionError(flag, ",".join(given), f"used with --{kind}s FILE")
    return FeatureTable()


def _check_columns(flag: str, columns: list[str], known: tuple[str, ...]) -> None:
    for column in columns:
        if column not in known:
            raise OptionError(flag, column, f"among {', '.join(known)}")


def _paths(data: DataSpec, data_dir: Path) -> Iterator[Path]:
    """Yield the files and folders of the input."""
    if data.dataset is not None:
        yield data_dir / data.dataset
    for path in (data.interactions, data.items, data.users):
        if path is not None:
            yield Path(path)


def _file_parts(path: Path) -> Iterator[bytes]:
    """Yield the parts of a fingerprint for a file, or for the files of a folder."""
    files = parquet_folder.data_files(path) if path.is_dir() else [path]
    for file in files:
        yield os.fsencode(file.relative_to(path))
        try:
            with open_regular(file) as opened:
                status = os.fstat(opened.fileno())
                yield str(status.st_size).encode()
                if status.st_size <= _SMALL_BYTES:
                    yield hashlib.file_digest(opened, "sha256").digest()
                else:
                    yield str(status.st_mtime_ns).encode()
        except OSError as error:
            raise InputError(file, error.strerror or str(error)) from error
