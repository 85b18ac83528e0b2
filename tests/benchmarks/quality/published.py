"""Read the scores of a published version, by nothing but its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import marisa_trie
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Scores = Callable[[NDArray[np.int64]], Float32]
"""Exact scores of all items, (n, items) float32, for n rows of users."""


class Published:
    """A version, by the ids of a split.

    Raises:
        ValueError: the version has files of no kind that is known here.
    """

    def __init__(self, version: Path, users: list[str], items: list[str]) -> None:
        self.version = version
        self._users = _rows(version / "users.trie", users)
        self._items = _rows(version / "items.trie", items)
        self._scores = self._of_files()

    def scores(self, rows: NDArray[np.int64]) -> Float32:
        """Return the exact scores (n, items of the split) for n users of the split.

        An item that the version lacks scores the least. A user whom it lacks has equal scores.
        """
        known = self._users[rows] >= 0
        found = np.zeros((len(rows), len(self._items)), np.float32)
        if known.any():
            found[known] = self._scores(self._users[rows[known]])[:, np.maximum(self._items, 0)]
        found[:, self._items < 0] = -np.inf
        return found

    def _of_files(self) -> Scores:
        # An item-item model sums its neighbours; it has a file that vectors lack.
        for name, build in (
            ("neighbour_offsets.npy", self._neighbours),
            ("item_vectors.npy", self._vectors),
        ):
            if (self.version / name).is_file():
                return build()
        raise ValueError(f"{self.version} has neither vectors nor neighbours")

    def _vectors(self) -> Scores:
        """Score by `u·i + b_i`."""
        users, items = self._array("user_vectors"), self._array("item_vectors")
        return lambda rows: users[rows, :-1] @ items[:, :-1].T + items[:, -1]

    def _neighbours(self) -> Scores:
        """Score by the sum of the neighbours' weights over the items of a user's profile."""
        import scipy.sparse as sp

        offsets, columns, weights = map(
            self._array, ("neighbour_offsets", "neighbour_items", "neighbour_weights")
        )
        shape = (len(offsets) - 1,) * 2
        similar = sp.csr_matrix((weights, columns, offsets), shape=shape)
        # The profiles are the seen items where the version has no others.
        has_own = (self.version / "profile_offsets.npy").is_file()
        kind = "profile" if has_own else "seen"
        profile_offsets, profile_items = map(self._array, (f"{kind}_offsets", f"{kind}_items"))
        ones = np.ones(len(profile_items), np.float32)
        profiles = sp.csr_matrix(
            (ones, profile_items, profile_offsets), shape=(len(profile_offsets) - 1, shape[0])
        )
        return lambda rows: (profiles[rows] @ similar).toarray()

    def _array(self, name: str) -> NDArray[np.float32]:
        loaded: NDArray[np.float32] = np.load(self.version / f"{name}.npy", allow_pickle=False)
        return loaded


def current(volume: Path) -> Path:
    """Return the folder of the version that the label `current` names."""
    name = (volume / "labels" / "current").read_text().strip()
    return volume / "versions" / name


def facts_of(version: Path) -> dict[str, object]:
    """Return the family of the model, its settings, and the candidates that it was chosen among.

    An older manifest has no family; its model is of LightFM.
    """
    manifest = json.loads((version / "manifest.json").read_text())
    return {
        "model": (manifest.get("model") or {}).get("family", "lightfm"),
        "settings": manifest["hyperparameters"],
        "trials": manifest.get("candidates", []),
    }


def _rows(path: Path, ids: list[str]) -> NDArray[np.int64]:
    """Return the version's row of each id, -1 for none."""
    trie = marisa_trie.BinaryTrie().load(str(path))
    return np.array([trie.get(one.encode(), -1) for one in ids], np.int64)
