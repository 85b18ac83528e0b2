"""Small files in the shapes of public datasets, each made from the same interactions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests import datasets

FIRST = 1_262_304_000
"""2010-01-01 in seconds since 1970."""
EACH = 11

Row = tuple[int, int, int, int]
"""A user from 1, an item from 1, a rating from 1 to 5, and seconds since 1970."""


@dataclass(frozen=True)
class Shape:
    """A dataset's files.

    Attributes:
        write: writes them into a folder.
        files: their names, the interactions first.
        user_id, item_id: the ids of user 1 and item 1.
        invalid: how many rows are invalid.
        flags: what the command must say, apart from files and volume.
        weighs, dates: whether the file has weights and times.
    """

    write: Callable[[Path], None]
    files: tuple[str, ...]
    flags: str
    user_id: str = "1"
    item_id: str = "1"
    invalid: int = 0
    weighs: bool = True
    dates: bool = True
    titles: dict[str, str] = field(default_factory=dict)


def rows() -> list[Row]:
    """All interactions, in the order of time."""
    found = []
    for place, (user, item, weight) in enumerate(datasets.rows()):
        found.append((int(user[1:]) + 1, int(item[1:]) + 1, int(weight), FIRST + place * 86_399))
    return found


def _lines(path: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> None:
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode(encoding))


def _csv(path: Path, header: list[str], of: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *of] if header else of)


def _movielens_100k(folder: Path) -> None:
    _lines(folder / "u.data", [f"{u}\t{i}\t{r}\t{t}" for u, i, r, t in rows()])
    genres = "|".join("01" * 9 + "0")
    items = [f"{i}|Léon {i} (1994)|01-Jan-1994||http://x?{i}|{genres}" for i in range(1, 17)]
    _lines(folder / "u.item", items, "latin-1")
    _lines(folder / "u.user", [f"{u}|{20 + u}|M|writer|0{u}213" for u in range(1, 25)])


def _movielens_1m(folder: Path) -> None:
    _lines(folder / "ratings.dat", [f"{u}::{i}::{r}::{t}" for u, i, r, t in rows()])
    items = [f'{i}::Léon: the "Best", {i} (1994)::Crime|Drama' for i in range(1, 17)]
    _lines(folder / "movies.dat", items, "latin-1")
    _lines(folder / "users.dat", [f"{u}::F::{u % 7}::10::4806{u % 10}" for u in range(1, 25)])


def _movielens_20m(folder: Path) -> None:
    made = [[u, i, r - 0.5, t] for u, i, r, t in rows()]
    _csv(folder / "ratings.csv", ["userId", "movieId", "rating", "timestamp"], made)
    items: list[list[object]] = [[i, f"Léon, {i} (1994)", "Crime|Drama"] for i in range(1, 17)]
    _csv(folder / "movies.csv", ["movieId", "title", "genres"], items)


def _lastfm(folder: Path) -> None:
    header = "userID\tartistID\tweight"
    lines = [f"{u}\t{i}\t{r * 1000}" for u, i, r, _ in rows()]
    _lines(folder / "user_artists.dat", [header, *lines], end="\r\n")
    artists = [f"{i}\tSigur Rós {i}\thttp://x/{i}\thttp://y/{i}" for i in range(1, 17)]
    _lines(folder / "artists.dat", ["id\tname\turl\tpictureURL", *artists])


def _amazon_ratings(folder: Path) -> None:
    made = [[f"A{u:013}", f"B{i:09}", float(r), t] for u, i, r, t in rows()]
    _csv(folder / "ratings_Beauty.csv", [], made)


def _amazon_items_first(folder: Path) -> None:
    made = [[f"B{i:09}", f"A{u:013}", float(r), t] for u, i, r, t in rows()]
    _csv(folder / "All_Beauty.csv", [], made)


def _amazon_reviews(folder: Path) -> None:
    made = [
        {
            "reviewerID": f"A{u:013}",
            "asin": f"B{i:09}",
            "reviewerName": "Zoë",
            "helpful": [0, 1],
            "reviewText": 'It\'s "good",\nreally',
            "overall": float(r),
            "unixReviewTime": t,
            "reviewTime": datetime.fromtimestamp(t, UTC).strftime("%m %d, %Y"),
        }
        for u, i, r, t in rows()
    ]
    _lines(folder / "reviews_5.json", [json.dumps(own) for own in made])


def _retailrocket(folder: Path) -> None:
    kinds = ["view", "view", "addtocart", "view", "transaction"]
    made = [[t * 1000 + 117, u, kinds[r - 1], i, u if r == 5 else ""] for u, i, r, t in rows()]
    _csv(folder / "events.csv", ["timestamp", "visitorid", "event", "itemid", "transactionid"], made)


def _steam(folder: Path) -> None:
    made: list[list[object]] = []
    for u, i, r, _ in rows():
        made += [[u, f"Half-Life {i}, the Game", "purchase", 1.0, 0]]
        made += [[u, f"Half-Life {i}, the Game", "play", r * 10.5, 0]]
    _csv(folder / "steam-200k.csv", [], made)


def _book_crossing(folder: Path) -> None:
    ratings = [f'"{u}";"03451{i:04}X";"{(r - 1) * 2}"' for u, i, r, _ in rows()]
    _lines(folder / "BX-Book-Ratings.csv", ['"User-ID";"ISBN";"Book-Rating"', *ratings], "latin-1")
    books = [f'"03451{i:04}X";"Caf\xe9; \\"{i}\\" &amp; more";"A";"2002"' for i in range(1, 17)]
    # The real file has such rows: a title and an author in one.
    books.append('"078946697X";"DK Readers (Level 4)\\";Michael Teitelbaum";"2000"')
    header = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"'
    _lines(folder / "BX-Books.csv", [header, *books], "latin-1")


def _online_retail(folder: Path) -> None:
    header = ["InvoiceNo", "StockCode", "Description", "Quantity"]
    header += ["InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    made: list[list[object]] = []
    for place, (u, i, r, t) in enumerate(rows()):
        when = datetime.fromtimestamp(t, UTC)
        date = f"{when.month}/{when.day}/{when.year} {when.hour}:{when.minute:02}"
        number = f"{'C' if r == 1 else ''}{536365 + place}"
        quantity = -1 if r == 1 else r * 6
        who = "" if place % EACH == 0 else 17000 + u
        name = f"WHITE HANGING HEART, {i}"
        made.append([number, f"{i}A", name, quantity, date, 2.55, who, "United Kingdom"])
    _csv(folder / "online_retail.csv", header, made)


_RATINGS = "--header user_id,item_id,weight,timestamp"
SHAPES = {
    "MovieLens 100K": Shape(
        _movielens_100k,
        ("u.data", "u.item", "u.user"),
        f"{_RATINGS} --item-header item_id,title,... --item-separator '|' --item-encoding latin-1 "
        "--user-header user_id,column2,column3,column4,column5 --user-separator '|'",
        titles={"1": "Léon 1 (1994)"},
    ),
    "MovieLens 1M": Shape(
        _movielens_1m,
        ("ratings.dat", "movies.dat", "users.dat"),
        f"{_RATINGS} --item-header item_id,title,column3 --item-encoding latin-1 "
        "--user-header user_id,column2,column3,column4,column5",
        titles={"1": 'Léon: the "Best", 1 (1994)'},
    ),
    "MovieLens 20M": Shape(
        _movielens_20m, ("ratings.csv", "movies.csv"), "", titles={"1": "Léon, 1 (1994)"}
    ),
    "Last.fm hetrec": Shape(
        _lastfm,
        ("user_artists.dat", "artists.dat"),
        "",
        titles={"1": "Sigur Rós 1"},
        dates=False,
    ),
    "Amazon ratings": Shape(
        _amazon_ratings,
        ("ratings_Beauty.csv",),
        _RATINGS,
        user_id="A0000000000001",
        item_id="B000000001",
    ),
    "Amazon ratings, items first": Shape(
        _amazon_items_first,
        ("All_Beauty.csv",),
        "--header item_id,user_id,weight,timestamp",
        user_id="A0000000000001",
        item_id="B000000001",
    ),
    "Amazon reviews": Shape(
        _amazon_reviews, ("reviews_5.json",), "", user_id="A0000000000001", item_id="B000000001"
    ),
    "RetailRocket": Shape(_retailrocket, ("events.csv",), "--date-format ms", weighs=False),
    "Steam": Shape(
        _steam,
        ("steam-200k.csv",),
        "--header user_id,item_id,event,weight,",
        item_id="Half-Life 1, the Game",
        dates=False,
    ),
    "Book-Crossing": Shape(
        _book_crossing,
        ("BX-Book-Ratings.csv", "BX-Books.csv"),
        "--separator ';' --escaped-quotes --skip-invalid --item-separator ';' --item-encoding latin-1",
        item_id="034510001X",
        dates=False,
        titles={"034510001X": 'Café; "1" &amp; more'},
    ),
    "online retail": Shape(
        _online_retail,
        ("online_retail.csv",),
        "--date-format 'm/d/Y H:M' --skip-invalid",
        user_id="17001",
        item_id="1A",
        invalid=-(-len(datasets.rows()) // EACH),
    ),
}
"""The datasets by name."""
