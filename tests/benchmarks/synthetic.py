"""Create many synthetic interactions or vectors; equal arguments create equal data.

    python -m tests.benchmarks.synthetic interactions --users 1000000 --items 1000000 \\
        --interactions 20000000 --output FOLDER     # then: trainer train --interactions FOLDER
    python -m tests.benchmarks.synthetic vectors --items 10000000 --users 1000000 --output FOLDER
        # then: trainer publish --item-vectors FOLDER/items.npy --item-ids FOLDER/items.txt ...

Interactions are in order of time. The popularity of items follows Zipf's law, within a cluster and
overall. Each user has an early and a late cluster, and over time, interactions move from the early to
the late one. So each cluster's share of all interactions changes, too. Interactions outside the user's
clusters are with any item. With at least four interactions per user and item, every user and item
appears.

Vectors form clusters, and items and users share the centres. Like embeddings, they vary more along some
directions than along others. Their norms differ a little.

Each block of rows has its own random generator, from the seed and the number of the block. For
interactions, memory grows with users, items and clusters, but not with interactions. For vectors, it
grows only with clusters.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from lightfm_retriever.hosting.settings import option_flags
from tests.benchmarks import frame, room
from tests.benchmarks.room import NoRoomError, Room
from tests.machine import machine_name
from trainer.errors import OptionError
from trainer.progress import Reporter

# Rows of a row group, and in memory at a time.
BLOCK_ROWS = 125_000
PART_ROW_GROUPS = 8
VECTOR_BLOCK_ROWS = 50_000
# Upper bounds for the check of free disk space.
ROW_BYTES = 30
ID_BYTES = 12

START = 1_735_689_600
SPAN_SECONDS = 365 * 86_400
# With a larger value, fewer users have most interactions. With this one, the most active of a million
# users has 100 times the mean.
_ACTIVITY = 1.5
# With fewer interactions per user and item, some don't appear.
_ENOUGH = 4
# Standard deviation of the logarithms of the norms.
_NORMS = 0.2

# Purposes of random generators.
_MODEL, _ROWS, _CENTRES, _ITEMS, _USERS = range(5)


_Many = Annotated[int, Option("number to create", ge=1, le=100_000_000)]
_Seed = Annotated[int, Option("random seed", ge=0, le=2**31 - 1)]
_Share = partial(Option, ge=0, le=1)


@dataclass(frozen=True, kw_only=True)
class _Spec:
    users: _Many
    items: _Many

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


@dataclass(frozen=True, kw_only=True)
class InteractionsSpec(_Spec):
    """The options for interactions."""

    interactions: Annotated[int, Option("number of interactions", ge=1, le=10_000_000_000)]
    seed: _Seed = 42
    # The share of the item of rank r is proportional to r ** -exponent.
    exponent: Annotated[
        float, Option("exponent of Zipf's law for the popularity of items; 0: all equal", ge=0, le=3)
    ] = 1.0
    clusters: Annotated[
        int, Option("number of clusters, at most the number of items", ge=1, le="items")
    ] = 100
    concentration: Annotated[float, _Share("share of interactions within the user's clusters")] = 0.8
    # 0 at the start.
    drift: Annotated[
        float, _Share("share of these in the user's late cluster, at the end of the time")
    ] = 0.5


@dataclass(frozen=True, kw_only=True)
class VectorsSpec(_Spec):
    """The options for vectors."""

    components: Annotated[int, Option("dimensions of the vectors", ge=1, le=4096)] = 64
    seed: _Seed = 42
    clusters: Annotated[int, Option("number of clusters", ge=1, le=1_000_000)] = 1000
    spread: Annotated[
        float,
        Option("distance of a vector from its centre, relative to the centre's norm", ge=0, le=10),
    ] = 0.7


SPECS: dict[str, type[InteractionsSpec | VectorsSpec]] = {
    "interactions": InteractionsSpec,
    "vectors": VectorsSpec,
}


@dataclass(frozen=True)
class Block:
    """Interactions in order of time, (n,) each: numbers of users and items, and seconds since 1970."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    timestamps: NDArray[np.int64]


class Interests:
    """Draws interactions: the users' interests, over time."""

    def __init__(self, spec: InteractionsSpec) -> None:
        self._spec = spec
        random = np.random.default_rng([spec.seed, _MODEL])
        # Shuffle the numbers: as in real files, an id says nothing about popularity or activity.
        self._by_rank = random.permutation(spec.items).astype(np.int32)
        self._by_activity = random.permutation(spec.users).astype(np.int32)
        cluster_of_rank = random.permutation(spec.items) % spec.clusters
        order = np.argsort(cluster_of_rank, kind="stable")
        sizes = np.bincount(cluster_of_rank, minlength=spec.clusters)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._by_cluster = self._by_rank[order]
        rank_within = np.arange(spec.items) - np.repeat(self._starts[:-1], sizes)
        self._mass_within = _mass(rank_within, spec.exponent)
        self._mass = _mass(np.arange(spec.items), spec.exponent)
        share = (1 + np.arange(spec.clusters)) ** -0.5
        share /= share.sum()
        self._early_cluster, self._late_cluster = (
            random.choice(spec.clusters, spec.users, p=of).astype(np.int32)
            for of in (share, share[::-1])
        )

    def blocks(self) -> Iterator[Block]:
        """Yield all interactions, BLOCK_ROWS in each block but the last."""
        return map(self._block, range(-(-self._spec.interactions // BLOCK_ROWS)))

    def _block(self, number: int) -> Block:
        spec = self._spec
        random = np.random.default_rng([spec.seed, _ROWS, number])
        start = number * BLOCK_ROWS
        rows = np.arange(start, min(start + BLOCK_ROWS, spec.interactions))
        count = len(rows)
        drawn = (spec.users * random.random(count) ** _ACTIVITY).astype(np.int64)
        users = self._by_activity[drawn].astype(np.int64)
        moved = random.random(count) < spec.drift * rows / spec.interactions
        cluster = np.where(moved, self._late_cluster[users], self._early_cluster[users])
        own = random.random(count) < spec.concentration
        first, last = self._starts[cluster], self._starts[cluster + 1]
        quantile = random.random(count)
        items = np.where(
            own,
            self._by_cluster[_draw(self._mass_within, first, last, quantile)],
            self._by_rank[_draw(self._mass, 0, spec.items, quantile)],
        ).astype(np.int64)
        each, rest = np.divmod(rows, spec.interactions // max(spec.users, spec.items) or 1)
        if spec.interactions >= _ENOUGH * max(spec.users, spec.items):
            items = np.where((rest == 0) & (each < spec.items), each % spec.items, items)
            users = np.where((rest == 1) & (each < spec.users), each % spec.users, users)
        # Use integers: a float can't hold the product.
        return Block(users, items, START + rows * SPAN_SECONDS // spec.interactions)


class Clustered:
    """Draws vectors around centres."""

    def __init__(self, spec: VectorsSpec) -> None:
        self._spec = spec
        random = np.random.default_rng([spec.seed, _CENTRES])
        self._centres = random.standard_normal((spec.clusters, spec.components), dtype=np.float32)
        self._centres /= np.linalg.norm(self._centres, axis=1, keepdims=True)
        scale = (1 + np.arange(spec.components, dtype=np.float32)) ** -0.5
        self._scale = spec.spread * scale / np.linalg.norm(scale)

    def block(self, kind: int, number: int, count: int) -> NDArray[np.float32]:
        """Return a block of one kind (_ITEMS or _USERS) by its number: (count, components) float32."""
        spec = self._spec
        random = np.random.default_rng([spec.seed, kind, number])
        made = random.standard_normal((count, spec.components), dtype=np.float32)
        made *= self._scale
        made += self._centres[random.integers(spec.clusters, size=count)]
        made *= random.lognormal(0, _NORMS, size=(count, 1)).astype(np.float32)
        return made


def main() -> None:
    given = _parser().parse_args()
    reporter = frame.reporter(given)
    started = time.perf_counter()
    spec = option_flags.made(SPECS[given.kind], vars(given))
    with making(given.output, needed_bytes(spec)) as folder:
        if isinstance(spec, InteractionsSpec):
            users, items = write_interactions(spec, folder, reporter)
            rows = spec.interactions
        else:
            write_vectors(spec, folder, reporter)
            users, items, rows = spec.users, spec.items, spec.users + spec.items
        sizes = [file.stat().st_size for file in folder.iterdir()]
    seconds = time.perf_counter() - started
    peak = room.of_process()["VmHWM"]
    row = {
        "rows": f"{rows:,}",
        "users": f"{users:,}",
        "items": f"{items:,}",
        "files": f"{len(sizes)}",
        "MB": f"{sum(sizes) / 1e6:,.0f}",
        "s": f"{seconds:,.1f}",
        "rows/s": f"{rows / seconds:,.0f}",
        "peak memory, MB": f"{peak / 1e6:,.0f}",
    }
    frame.report(
        given,
        frame.table(f"{given.output}; {machine_name()}", [row], left=0),
        output=str(given.output),
        spec=asdict(spec),
        rows=rows,
        users=users,
        items=items,
        files=len(sizes),
        file_bytes=sum(sizes),
        seconds=round(seconds, 3),
        peak_bytes=peak,
    )


def write_interactions(spec: InteractionsSpec, folder: Path, reporter: Reporter) -> tuple[int, int]:
    """Write Parquet files to a folder. Returns the numbers of distinct users and items.

    The columns are user_id and item_id (text), and timestamp (integer seconds since 1970).
    """
    interests = Interests(spec)
    users, items = np.zeros(spec.users, dtype=bool), np.zeros(spec.items, dtype=bool)
    schema = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("timestamp", pa.int64())])
    blocks = interests.blocks()
    parts = -(-spec.interactions // (BLOCK_ROWS * PART_ROW_GROUPS))
    with reporter.step("Interactions", spec.interactions) as advance:
        for part in range(parts):
            file = folder / f"part-{part:05}.parquet"
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for _, block in zip(range(PART_ROW_GROUPS), blocks, strict=False):
                    users[block.users] = items[block.items] = True
                    columns = [_ids("u", block.users), _ids("i", block.items)]
                    writer.write_table(pa.table([*columns, block.timestamps], schema=schema))
                    advance(len(block.users))
    return int(users.sum()), int(items.sum())


def write_vectors(spec: VectorsSpec, folder: Path, reporter: Reporter) -> None:
    """Write items.npy, items.txt, users.npy and users.txt to a folder."""
    clustered = Clustered(spec)
    with reporter.step("Vectors", spec.users + spec.items) as advance:
        for name, stream, count in (("items", _ITEMS, spec.items), ("users", _USERS, spec.users)):
            path = folder / f"{name}.npy"
            shape = (count, spec.components)
            np.lib.format.open_memmap(path, "w+", dtype=np.float32, shape=shape)
            # Allocate the file first: a full disk is then an error, and not a SIGBUS in a sparse map.
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            with (folder / f"{name}.txt").open("w") as ids:
                for number, start in enumerate(range(0, count, VECTOR_BLOCK_ROWS)):
                    rows = range(start, min(start + VECTOR_BLOCK_ROWS, count))
                    # Map the file again, so that written pages leave this process's memory.
                    array = np.lib.format.open_memmap(path, "r+")
                    array[rows.start : rows.stop] = clustered.block(stream, number, len(rows))
                    ids.writelines(f"{name[0]}{row}\n" for row in rows)
                    advance(len(rows))


@contextmanager
def making(output: Path, needed: int) -> Iterator[Path]:
    """Yield a folder to fill. After the block, it is renamed to `output`, or removed after an error.

    Raises:
        NoRoomError: `output` exists and isn't an empty folder, or the disk is too full.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise NoRoomError(f"{output} exists already: give a new or empty folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    Room(0, needed).check(str(output), output.parent)
    with tempfile.TemporaryDirectory(prefix=".synthetic-", dir=output.parent) as temporary:
        folder = Path(temporary, "made")
        folder.mkdir()
        yield folder
        folder.rename(output)


def needed_bytes(spec: InteractionsSpec | VectorsSpec) -> int:
    """Return the maximum size of the files."""
    if isinstance(spec, InteractionsSpec):
        return spec.interactions * ROW_BYTES
    return (spec.users + spec.items) * (4 * spec.components + ID_BYTES)


def _mass(ranks: NDArray[np.int64], exponent: float) -> NDArray[np.float64]:
    """Return the cumulative mass (n + 1,): the mass before each position, and the total."""
    return np.concatenate([[0.0], np.cumsum((1.0 + ranks) ** -exponent)])


def _draw(
    mass: NDArray[np.float64],
    first: NDArray[np.int64] | int,
    last: NDArray[np.int64] | int,
    quantile: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Draw positions from `first` to before `last`, with probabilities proportional to the mass."""
    wanted = mass[first] + (mass[last] - mass[first]) * quantile
    # A sum that was rounded up may be at the next position.
    return np.clip(np.searchsorted(mass, wanted, side="right") - 1, first, np.asarray(last) - 1)


def _ids(prefix: str, numbers: NDArray[np.int64]) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _parser() -> argparse.ArgumentParser:
    parser = frame.parser(__spec__.name, __doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, spec in SPECS.items():
        own = kinds.add_parser(kind, help=f"make {kind}")
        for one in options.declared(spec).values():
            changes: dict[str, Any] = {"required": True, "default": None}
            if one.default is not MISSING:
                told = f"{one.option.help} (default: {one.default})"
                changes = {"help": told, "default": one.default}
            option_flags.add_one(own, one, **changes)
        own.add_argument("--output", type=Path, required=True, help="new or empty folder")
        own.add_argument("--json", action="store_true", help="print a description as JSON")
    return parser


if __name__ == "__main__":
    frame.run(main)
