"""Create a publication of any size with the trainer's code, and keep it for the next benchmark.

    python -m tests.benchmarks.large --items 1000000 --users 1000000 --backend faiss --folder DIR

Items and users are those of MovieLens 100K, trained with the defaults. More of them are interpolated
between random pairs, so they form clusters. A user has seen items near those of the nearest MovieLens
user. The trainer's own code publishes it: both indexes (tuned), users, seen items, popularity, data for
sessions, and two attributes for filters. The text `tenth`, from "0" to "9", matches 10 % of the items.
The `number` is uniform in 0..1.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication import labels, layout, reader
from lightfm_retriever.publication.attributes import Column, NumberColumn, TextColumn
from lightfm_retriever.publication.manifest import DatasetFacts, Manifest
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import Float32Array
from lightfm_retriever.publication.writer import Staging
from tests.benchmarks import frame
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.indexes import movielens_model, settings
from tests.benchmarks.room import Room
from trainer.fitting.embeddings import Embeddings
from trainer.index import AUTO, NAMES, make_backends
from trainer.index.tuning import TuningOptions
from trainer.progress import Reporter
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable
from trainer.report.subject import interpolated
from trainer.timings import Timings

MOST = 10_000_000
TENTHS = [str(number) for number in range(10)]

_CHUNK = 100_000
# The number of seen items of a user is log-normal: a few users have seen many.
_SEEN_MEDIAN, _SEEN_SIGMA, _MOST_SEEN = 14, 0.8, 200

# Peak memory in bytes, with a reserve. With FAISS, a million items and a million users took 2.2 GB.
_MEMORY = 500e6
_MEMORY_AN_ITEM = {"annoy": 2400, "exact": 1100, "faiss": 1300, "nmslib": 3000, AUTO: 2400}
_MEMORY_A_USER = 900
_DISK = 20e6
# All candidates for an index are on the disk at the same time, until the best is chosen.
_DISK_AN_ITEM = {"annoy": 2600, "exact": 350, "faiss": 700, "nmslib": 2700, AUTO: 3200}
_DISK_A_USER = 420


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to create. Equal recipes create equal publications."""

    items: int
    users: int
    backend: str  # backend of both indexes, as of the trainer's --backend
    seed: int  # random seed

    @property
    def name(self) -> str:
        """Name of the folder. Change it when the rules change."""
        return f"{self.items}x{self.users}-{self.backend.replace(',', '+')}-{self.seed}"


@dataclass(frozen=True)
class Large:
    """A volume with one version, which the label "current" names."""

    recipe: Recipe
    volume: Path
    version: str

    @property
    def directory(self) -> Path:
        """Folder of the version's files."""
        return layout.version_dir(self.volume, self.version)

    @property
    def bytes(self) -> int:
        """Size of all files of the version."""
        return sum(path.stat().st_size for path in self.directory.iterdir())

    @property
    def title(self) -> str:
        """Title with the numbers of items and users."""
        return f"{self.recipe.items:,} items, {self.recipe.users:,} users"

    @property
    def indexes(self) -> list[str]:
        """Return a line for each index: its backend, settings, and recall when it was tuned."""
        facts = reader.read_manifest(self.volume, self.version).indexes
        return [
            f"index {name!r}: {facts[name].backend} {settings(facts[name])} "
            f"(tuned to {facts[name].recall_at_10:.4f})"
            for name in (layout.RECOMMEND, layout.SIMILAR)
        ]

    @property
    def described(self) -> dict[str, object]:
        """Return a description for JSON."""
        return {**asdict(self.recipe), "indexes": self.indexes}


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    add_arguments(parser, items=[1_000_000])
    options = parser.parse_args()
    if options.folder is None:
        raise BenchmarkError("--folder is missing: give the folder for the publications")
    started = time.perf_counter()
    for made in each(options, lambda _: Room(0, 0)):
        seconds = time.perf_counter() - started
        frame.report(
            options,
            f"{made.directory}: {made.bytes / 1e6:,.0f} MB, after {seconds:.1f} s",
            **asdict(made.recipe),
            volume=str(made.volume),
            version=made.version,
            bytes=made.bytes,
            seconds=seconds,
        )


def add_arguments(parser: argparse.ArgumentParser, *, items: Sequence[int]) -> None:
    """Add the flags of a recipe. `items` is the default of --items."""
    shown = " ".join(map(str, items))
    parser.add_argument(
        "--items",
        type=int,
        nargs="+",
        default=items,
        help=f"items of each catalogue (default: {shown})",
    )
    parser.add_argument("--users", type=int, default=1_000_000, help="users (default: 1000000)")
    parser.add_argument(
        "--backend",
        default="faiss",
        help=f"{AUTO}, or comma-separated names: {', '.join(NAMES)} (default: faiss)",
    )
    parser.add_argument("--seed", type=int, default=42, help="random seed (default: 42)")
    parser.add_argument(
        "--folder", type=Path, help="folder to keep publications in (default: delete them)"
    )


def each(options: argparse.Namespace, besides: Callable[[Recipe], Room]) -> Iterator[Large]:
    """Create the publications of the flags of `add_arguments`, one after the other, unless they exist.

    Args:
        options: these flags, and `json`, which turns progress bars off.
        besides: memory and disk that the caller needs in addition to a publication.

    Raises:
        BenchmarkError, TrainerError: memory or disk is too small, or a number or backend is wrong. This
            is checked before the first publication.
        OSError, PublicationError: the folder can't be written.
    """
    recipes = [
        Recipe(items=items, users=options.users, backend=options.backend, seed=options.seed)
        for items in options.items
    ]
    together = Room(0, 0)
    with kept_in(options.folder) as folder:
        for recipe in recipes:
            for name, value in (("items", recipe.items), ("users", recipe.users)):
                if not 100 <= value <= MOST:
                    raise BenchmarkError(f"--{name} is {value}, but should be in 100..{MOST}")
            make_backends(recipe.backend)
            if not _made(folder / recipe.name, recipe):
                together = together.then(needs(recipe))
            together = together.then(besides(recipe))
        together.check("this", folder)
        for recipe in recipes:
            yield make(folder, recipe, frame.reporter(options))


@contextlib.contextmanager
def kept_in(folder: Path | None) -> Iterator[Path]:
    """Yield the given folder, or a temporary one."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def make(folder: Path, recipe: Recipe, reporter: Reporter) -> Large:
    """Create a publication in its own folder below `folder`, unless it exists."""
    place = folder / recipe.name
    if (found := _made(place, recipe)) is not None:
        return found
    # Remove leftovers of a run that was killed.
    shutil.rmtree(place, ignore_errors=True)
    version = published(
        place / "volume", generate(recipe), recipe.backend, recipe.seed, reporter
    ).version
    made = Large(recipe, place / "volume", version)
    labels.promote(made.volume, made.version)
    return made


def again(large: Large) -> str:
    """Publish the same content again, as new files. Returns the version. Moves no label."""
    with Staging(large.volume) as staging:
        facts = reader.read_manifest(large.volume, large.version)
        for name in facts.files:
            shutil.copyfile(large.directory / name, staging.path(name))
        return staging.publish(facts).version


def needs(recipe: Recipe) -> Room:
    """Estimate memory and disk for a recipe; with several backends, for the most expensive one."""
    names = [name.strip() for name in recipe.backend.split(",")]
    memory, disk = (
        max(of.get(name, of[AUTO]) for name in names) for of in (_MEMORY_AN_ITEM, _DISK_AN_ITEM)
    )
    return Room(
        _MEMORY + recipe.items * memory + recipe.users * _MEMORY_A_USER,
        _DISK + recipe.items * disk + recipe.users * _DISK_A_USER,
    )


def generate(recipe: Recipe) -> Publishable:
    """Create the trainer's content after training: MovieLens' vectors, and synthetic ones."""
    seed = recipe.seed
    own, dataset = movielens_model("none", seed)
    item_vectors = _scaled(own.item_vectors, recipe.items, seed)
    user_vectors = _scaled(own.user_vectors, recipe.users, seed + 1)
    seen = draw_seen(
        nearest(user_vectors, own.user_vectors),
        dataset.seen(),
        nearest(item_vectors, own.item_vectors),
        seed=seed,
    )
    random = np.random.default_rng([seed, 2])
    tenths = [[tenth] for tenth in TENTHS]
    drawn = random.integers(0, len(TENTHS), recipe.items).tolist()
    attributes = [
        TextColumn("tenth", [tenths[number] for number in drawn]),
        NumberColumn("number", random.random(recipe.items)),
    ]
    name = f"{recipe.items} items, {recipe.users} users"
    return publishable(name, Embeddings(item_vectors, user_vectors), seen, attributes)


def publishable(
    name: str, embeddings: Embeddings, seen: Ragged, attributes: list[Column]
) -> Publishable:
    """Return the trainer's content after training, with ids "item-0", ... and "user-0", ... ."""
    return Publishable(
        items=IdMap.build(f"item-{row}" for row in range(len(embeddings.item_vectors))),
        users=IdMap.build(f"user-{row}" for row in range(len(embeddings.user_vectors))),
        embeddings=embeddings,
        seen=seen,
        held_out=None,
        titles=None,
        facts=DatasetFacts(
            name=f"made up of MovieLens 100K: {name}",
            split="none",
            train_interactions=len(seen.values),
            test_interactions=0,
            item_features=[],
            user_features=[],
        ),
        hyperparameters={},
        metrics={},
        attributes=attributes,
    )


def published(
    volume: Path, content: Publishable, backend: str, seed: int, reporter: Reporter
) -> Manifest:
    """Publish as the trainer does. Moves no label."""
    indexing = Indexing(backends=make_backends(backend), options=TuningOptions(seed=seed))
    return publish(content, volume, indexing=indexing, timings=Timings(), reporter=reporter).manifest


def nearest(vectors: Float32Array, own: Float32Array) -> NDArray[np.int32]:
    """Return for each vector (n, d) the row of the nearest of `own` (m, d), by Euclidean distance."""
    halves = np.square(own).sum(axis=1) / 2
    rows = np.empty(len(vectors), dtype=np.int32)
    for chunk in _chunks(len(vectors)):
        rows[chunk] = (vectors[chunk] @ own.T - halves).argmax(axis=1)
    return rows


def draw_seen(
    user_near: NDArray[np.int32], own_seen: Ragged, item_near: NDArray[np.int32], *, seed: int
) -> Ragged:
    """Draw seen items for each user, near the items that the nearest MovieLens user has seen.

    Args:
        user_near: (users,) nearest MovieLens user of each user.
        own_seen: seen items of each MovieLens user, at least one.
        item_near: (items,) nearest MovieLens item of each item.

    Returns:
        For each user, the rows of items, ascending.
    """
    random = np.random.default_rng([seed, 1])
    items = len(item_near)
    near = np.argsort(item_near, kind="stable").astype(np.int32)
    counts = np.bincount(item_near, minlength=int(own_seen.values.max()) + 1)
    starts = np.cumsum(counts) - counts
    lengths = np.diff(own_seen.offsets)
    offsets = np.zeros(len(user_near) + 1, dtype=np.int64)
    parts = []
    for chunk in _chunks(len(user_near)):
        close = user_near[chunk]
        many = np.exp(np.log(_SEEN_MEDIAN) + _SEEN_SIGMA * random.standard_normal(len(close)))
        owners = np.repeat(np.arange(len(close)), many.clip(1, _MOST_SEEN).astype(np.int64))
        base = close[owners]
        own = own_seen.values[own_seen.offsets[base] + _below(lengths[base], random)]
        # If no item is near, take any item.
        places = np.where(counts[own] > 0, starts[own] + _below(counts[own], random), 0)
        rows = np.where(counts[own] > 0, near[places], random.integers(0, items, len(own)))
        pairs = np.unique(owners * items + rows)
        offsets[chunk.start + 1 : chunk.stop + 1] = np.bincount(pairs // items, minlength=len(close))
        parts.append((pairs % items).astype(np.int32))
    return Ragged(np.cumsum(offsets), np.concatenate(parts))


def _below(most: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Draw for each number an integer in 0..number - 1; 0 for 0."""
    return (random.random(len(most)) * most).astype(np.int64)


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))


def _scaled(own: Float32Array, count: int, seed: int) -> Float32Array:
    return own if count == len(own) else interpolated(own, count, seed=seed)


def _made(place: Path, recipe: Recipe) -> Large | None:
    """Return an existing publication, which is complete if it has its label; else None."""
    version = labels.read_label_or_none(place / "volume", layout.DEFAULT_LABEL)
    return None if version is None else Large(recipe, place / "volume", version)


if __name__ == "__main__":
    frame.run(main)
