"""Vectors of some other model than LightFM, in files, as `publish` takes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import datasets
from trainer.__main__ import main

ITEMS, USERS, DIMENSIONS = 300, 25, 6
ITEM_IDS = [f"item {(7 * row) % ITEMS} – 映画" for row in range(ITEMS)]
USER_IDS = [f"user{(3 * row) % USERS}" for row in range(USERS)]


class Model:
    """Vectors of some other model, in files."""

    def __init__(self, folder):
        random = np.random.default_rng(1)
        self.folder = folder
        self.items = random.normal(size=(ITEMS, DIMENSIONS))
        self.users = random.normal(size=(USERS, DIMENSIONS))
        self.item_biases = random.normal(size=ITEMS)
        self.user_biases = random.normal(size=USERS)
        # The best of all and seven others.
        self.seen = {user: {self.best(user, seen=True)} for user in USER_IDS}
        for its in self.seen.values():
            its.update(random.permutation([one for one in ITEM_IDS if one not in its])[:7].tolist())
        np.save(folder / "items.npy", np.asfortranarray(self.items))
        np.save(folder / "users.npy", self.users.astype(np.float32))
        np.save(folder / "item_biases.npy", self.item_biases)
        np.save(folder / "user_biases.npy", self.user_biases)
        for name, ids in (("items", ITEM_IDS), ("users", USER_IDS)):
            (folder / f"{name}.txt").write_bytes("\r\n".join(ids).encode("utf-8-sig"))
        seen = [(user, item, 1.0) for user, its in self.seen.items() for item in its]
        datasets.write_rows(folder / "seen.parquet", [*seen, ("stranger", ITEM_IDS[0], 1.0)])
        # What the vectors say, so that they are found.
        held_out = [(user, self.best(user), 1.0) for user in USER_IDS]
        datasets.write_rows(folder / "held_out.csv", held_out)
        columns = {"item_id": ITEM_IDS, "title": [f"Title of {one}" for one in ITEM_IDS]}
        datasets.write(folder / "titles.csv", columns)

    def flags(self, *, users=True):
        names = {"item-vectors": "items.npy", "item-ids": "items.txt", "items": "titles.csv"}
        if users:
            names |= {
                "item-biases": "item_biases.npy",
                "user-vectors": "users.npy",
                "user-ids": "users.txt",
                "user-biases": "user_biases.npy",
                "seen": "seen.parquet",
                "held-out": "held_out.csv",
            }
        return [part for name, file in names.items() for part in (f"--{name}", self.folder / file)]

    def scores(self, user_id, *, seen=False):
        """Each item's score, without those that the user has seen."""
        user = USER_IDS.index(user_id)
        scores = self.items @ self.users[user] + self.user_biases[user] + self.item_biases
        return {
            item: score
            for item, score in zip(ITEM_IDS, scores.tolist(), strict=True)
            if seen or item not in self.seen[user_id]
        }

    def best(self, user_id, *, seen=False):
        """The item with the highest score."""
        scores = self.scores(user_id, seen=seen)
        return max(scores, key=scores.get)

    def cosines(self, item_id):
        """Each other item's cosine."""
        unit = self.items / np.linalg.norm(self.items, axis=1, keepdims=True)
        cosines = unit @ unit[ITEM_IDS.index(item_id)]
        found = dict(zip(ITEM_IDS, cosines.tolist(), strict=True))
        del found[item_id]
        return found


def publisher(volume: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Publishes to a volume; returns what was printed as JSON."""

    def publish(*arguments: object) -> Any:
        flags = ["--volume", volume, "--seed", 1, "--index-threads", 1, "--json"]
        status = main(["publish", *map(str, [*arguments, *flags])])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return json.loads(printed.out)

    return publish
