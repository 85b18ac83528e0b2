"""Small interactions and features for tests, in memory and as files."""

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import scipy.sparse as sp

from trainer.data.features import FeatureTable
from trainer.data.interactions import Interactions
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.models.given import GivenHyperparameters
from trainer.preparing.dataset import Dataset, build_dataset
from trainer.preparing.splits import Split, Splitting
from trainer.reading import TrainingInput

QUICK = Hyperparameters(components=4, epochs=2, seed=1)
GIVEN = GivenHyperparameters(components=4, epochs=2, seed=1)
"""The same as a user gives them."""
USERS = 24
ITEMS = 16
EACH = 13
"""Interactions of each user: three are left to train on when ten are tested on."""

Row = tuple[str, str, float]
GENRES = ("Drama", "Komödie", "科幻")


def rows(*, seed: int = 1) -> list[Row]:
    """Everyone likes different things, with weights from 1 to 5, in no order of users."""
    random = np.random.default_rng(seed)
    made = [
        (f"u{user}", f"i{item}", float(random.integers(1, 6)))
        for user in range(USERS)
        for item in random.choice(ITEMS, EACH, replace=False)
    ]
    return [made[position] for position in random.permutation(len(made))]


def interactions(
    of: Iterable[Row],
    *,
    name: str = "interactions.csv",
    timestamps: Sequence[float] | None = None,
    events: Sequence[str] | None = None,
) -> Interactions:
    """What `read_interactions` makes of such rows."""
    event_types = list(dict.fromkeys(events or ()))
    users, items, weights = zip(*of, strict=True)
    user_ids, item_ids = list(dict.fromkeys(users)), list(dict.fromkeys(items))
    return Interactions(
        name,
        user_ids,
        item_ids,
        np.array([user_ids.index(user) for user in users], dtype=np.int64),
        np.array([item_ids.index(item) for item in items], dtype=np.int64),
        np.array(weights, dtype=np.float32),
        None if timestamps is None else np.array(timestamps, dtype=np.float64),
        None if events is None else np.array([event_types.index(e) for e in events], dtype=np.int64),
        event_types,
    )


def weighed_pairs(read: Interactions) -> list[Row]:
    """User, item and weight of each row."""
    return [row[:3] for row in as_rows(read)]


def as_rows(read: Interactions) -> list[tuple[str, str, float, float | None, str | None]]:
    """User, item, weight, time and event type of each row, None where there are no such."""
    times = [None] * len(read) if read.timestamps is None else read.timestamps.tolist()
    events = [None] * len(read) if read.events is None else [read.event_types[e] for e in read.events]
    users = [read.user_ids[user] for user in read.users]
    items = [read.item_ids[item] for item in read.items]
    return [*zip(users, items, read.weights.tolist(), times, events, strict=True)]


def table(
    features: Mapping[str, Sequence[str]],
    *,
    name: str = "items.csv",
    titles: Mapping[str, str] | None = None,
) -> FeatureTable:
    """A table of the features "column:value" of each id."""
    columns = sorted({feature.partition(":")[0] for own in features.values() for feature in own})
    return FeatureTable(
        name=name,
        ids=list(features),
        features=[sorted(own) for own in features.values()],
        columns=columns,
        titles=None if titles is None else [titles.get(external_id, "") for external_id in features],
    )


def genres() -> FeatureTable:
    """One or two genres and a title for each item of `rows`."""
    return table(
        {
            f"i{item}": [f"genres:{GENRES[item % 3]}", *(["genres:Drama"] if item % 2 else [])]
            for item in range(ITEMS)
        },
        titles={f"i{item}": f"Film {item} – 映画" for item in range(ITEMS)},
    )


def source(*, seed: int = 1, items: FeatureTable | None = None) -> TrainingInput:
    """Enough to train on."""
    return TrainingInput(interactions(rows(seed=seed)), items or FeatureTable())


def dataset(
    of: Iterable[Row] | None = None,
    *,
    items: FeatureTable | None = None,
    users: FeatureTable | None = None,
    split: Split = "none",
    seed: int = 1,
    split_count: int = 1,
    split_share: float = 0.1,
    timestamps: Sequence[float] | None = None,
) -> Dataset:
    """A dataset of rows, those of `rows` by default."""
    return build_dataset(
        interactions(rows() if of is None else of, timestamps=timestamps),
        items=items or FeatureTable(),
        users=users or FeatureTable(),
        splitting=Splitting(split, seed, split_count, split_share),
    )


def write_csv(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Write columns with commas, or tabs when the name says .tsv; compressed when it says .gz."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if ".tsv" in path.name else ",")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    """Write columns, in two row groups where there is more than one row."""
    made = pa.table(dict(columns))
    pa.parquet.write_table(made, path, row_group_size=max(1, (made.num_rows + 1) // 2))
    return path


def write(path: Path, columns: Mapping[str, Any]) -> Path:
    """Write columns as what the file's name says."""
    return (write_parquet if path.suffix == ".parquet" else write_csv)(path, columns)


def write_rows(path: Path, of: Iterable[Row] | None = None) -> Path:
    """Write interactions, those of `rows` by default."""
    users, items, weights = zip(*(rows() if of is None else of), strict=True)
    return write(path, {"user_id": users, "item_id": items, "weight": weights})


def pairs(dataset: Dataset, matrix: sp.spmatrix) -> dict[tuple[str, str], float]:
    """A matrix as {(user id, item id): value}, with its explicit zeros."""
    coo = matrix.tocoo()
    return {
        (dataset.users.external_id(user), dataset.items.external_id(item)): value
        for user, item, value in zip(coo.row, coo.col, coo.data.tolist(), strict=True)
    }
