"""A good data set: users of clusters who like what their cluster likes, and what else they would like.

What a model should learn is so plain that any seed learns it, in a fraction of a second.
"""

import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

USERS, ITEMS, CLUSTERS = 300, 120, 6
LIKED, OTHERS, HELD_OUT = 12, 2, 4
"""Interactions of a user with items of the cluster and others, and positives that no file has."""

DAYS = 60
"""The interactions are of so many days before the run."""

Table: TypeAlias = dict[str, list[Any]]
"""Columns of equal length."""

GENRES = ("Drama", "Komödie", "Krimi", "科幻", "Western", "Musik")
MOODS = ("dark", "light", "slow")
COUNTRIES = ("AT", "CH", "DE")
_NAMESPACE = uuid.UUID(int=7)

IDS: dict[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
    "integer": (lambda number: str(number + 1), lambda number: str(1000 + number)),
    "padded": (lambda number: f"{number + 1:06d}", lambda number: f"{number + 1:05d}"),
    "text": (lambda number: f"Käufer-{number}", lambda number: f"Stück-{number}"),
    "uuid": (
        lambda number: str(uuid.uuid5(_NAMESPACE, f"user {number}")),
        lambda number: str(uuid.uuid5(_NAMESPACE, f"item {number}")),
    ),
}
"""Of each style of ids, those of users and those of items by number."""


class Good:
    """The data set with ids of one style."""

    def __init__(self, style: str, *, now: float) -> None:
        random = np.random.default_rng(1)
        self.style = style
        counts = zip(IDS[style], (USERS, ITEMS), strict=True)
        people, goods = ([named(number) for number in range(count)] for named, count in counts)
        rows: list[tuple[str, str, float]] = []
        self.held_out: dict[str, set[str]] = {}
        for user in range(USERS):
            own = random.permutation(np.arange(user % CLUSTERS, ITEMS, CLUSTERS)).tolist()
            others = [item for item in range(ITEMS) if item % CLUSTERS != user % CLUSTERS]
            rows += [(people[user], goods[item], 2.0 + item % 4) for item in own[:LIKED]]
            chosen = random.choice(others, OTHERS, replace=False).tolist()
            rows += [(people[user], goods[item], 1.0) for item in chosen]
            self.held_out[people[user]] = {goods[item] for item in own[LIKED : LIKED + HELD_OUT]}
        rows = [rows[position] for position in random.permutation(len(rows))]
        newest = int(now) - 3600
        ages = np.sort(random.integers(0, DAYS * 86_400, len(rows)))[::-1]
        self.interactions: Table = {
            "user_id": [user for user, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "weight": [weight for _, _, weight in rows],
            "timestamp": [newest - age for age in ages.tolist()],
            "event": ["purchase" if weight > 3 else "view" for _, _, weight in rows],
        }
        self.items: Table = {
            "item_id": goods,
            "title": [f"Film {item} – 映画" for item in range(ITEMS)],
            "genres": [[GENRES[item % CLUSTERS], MOODS[item % 3]] for item in range(ITEMS)],
            "price": [None if item % 17 == 3 else 5 + item / 4 for item in range(ITEMS)],
            "released": [str(np.datetime64("2001-01-01") + 50 * item) for item in range(ITEMS)],
        }
        self.users: Table = {
            "user_id": people,
            "age": [20 + 5 * (user % CLUSTERS) + user % 2 for user in range(USERS)],
            "country": [COUNTRIES[user % 3] for user in range(USERS)],
        }


RECIPES: dict[str, list[str]] = {
    "plain": [],
    "weights": ["--sample-weights"],
    "last-days": ["--last-days", "50"],
    "half-life": ["--half-life-days", "15", "--sample-weights"],
    "time": ["--split", "time"],
    "leave-last-k": ["--split", "leave-last-k"],
    "features": [
        *("--item-features", "genres", "--item-attributes", "genres,price,released"),
        *("--user-features", "age,country"),
    ],
}
"""Flags by which a shop trains each night. Those of features go with files of items and users."""
