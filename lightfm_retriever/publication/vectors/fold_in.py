"""From a session's items to a user's embedding, against frozen item vectors.

A trained user's embedding u goes with x, the mean embedding of the items that the user has seen. The
mean of a session's n items is a noisy measurement of such an x: its error has the covariance W / n, W
being that of one user's items around their mean. The best linear prediction of u from it is

    u = ū + Cᵀ (B + W/n)⁻¹ (x - x̄)

with the trained users' means ū and x̄, the covariance B of their x without the error in it, and the
covariance C of x with u. This is regression calibration with replicate measurements (Carroll, Ruppert,
Stefanski & Crainiceanu 2006, "Measurement Error in Nonlinear Models", section 4.4.2). So a session of
one item stays near what all users like, and a long one goes where its items point.

B gets a ridge, since there may be few users, or fewer than dimensions. C gets the same ridge times c,
the ratio of the lengths of user and item embeddings: in a direction of which nothing is known, u is
c x and not 0. Without any trained user that is all there is: u = c x.

What is published answers for any n. With P such that PᵀBP = I and PᵀWP = diag(h),

    u = ū + ((x - x̄) P ∘ n / (n + h)) R,    R = Pᵀ C

so h tells for each direction after how many items a session has gone half of its way. Given the
weights, u is a sum over the items, so each item's contribution to a score is exact.

Measured beside implicit ALS (Hu, Koren & Volinsky 2008) and others: docs/adr/0013-fold-in.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import LONGEST, Float32Array, split_biases

MOST_USERS = 20_000
"""How many users are learned from at most."""

# h is 0 or more but for rounding; added to a number of items, at least 1, it must never give 0.
LEAST_HALFWAY = -0.5

# Of each user's items, and, for W, of the rows of all users together. Enough for the estimates.
_MOST_ITEMS = 100
_MOST_ROWS_OF_W = 200_000

# Relative to the mean eigenvalue of B: a constant, and what this many more users would count.
_RIDGE = 0.1
_RIDGE_USERS = 10
# Of embeddings that are about 1 long; below it B tells nothing.
_SMALLEST_POWER = 1e-6

# Numbers in memory at a time.
_CHUNK = 1 << 23

# Before P and R: ū, x̄ and h, a row each.
_HEAD = 3

_Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class FoldIn:
    """What turns a session into a user's embedding.

    Attributes:
        array: (2 d + 3, d) float32: ū, x̄, h, the d rows of P, the d rows of R.
    """

    array: Float32Array

    @property
    def halfway(self) -> Float32Array:
        """h (d,), none below 0."""
        return cast("Float32Array", self.array[_HEAD - 1])

    @property
    def may_be_published(self) -> bool:
        """Whether no number is beyond LONGEST: where users are much longer than items, one may be."""
        return bool(np.abs(self.array).max() <= LONGEST and self.halfway.min() >= LEAST_HALFWAY)

    @classmethod
    def build(
        cls, item_vectors: Float32Array, user_vectors: Float32Array, seen: Ragged, *, seed: int
    ) -> FoldIn | None:
        """Learn from trained users. Of many users and of users with many items, some are drawn.

        Args:
            item_vectors: (items, d + 1) float32, embedding then bias.
            user_vectors: (users, d + 1) float32, the same; perhaps of no user.
            seen: for each user the rows of items that the user's vector was trained on.
            seed: of what is drawn.

        Returns:
            None when it can't be made: there is no item, all are zero, or a number isn't finite or
            would be beyond float32.
        """
        random = np.random.default_rng(seed)
        items, users = split_biases(item_vectors)[0], split_biases(user_vectors)[0]
        rows = np.flatnonzero(np.diff(seen.offsets)) if len(users) else np.empty(0, dtype=np.int64)
        rows = random.permutation(rows)[:MOST_USERS]
        item_scale = _scale(items[_draw(len(items), random)])
        user_scale = _scale(users[rows if len(rows) else _draw(len(users), random)]) or item_scale
        if not (item_scale and np.isfinite(item_scale) and np.isfinite(user_scale)):
            return None
        # Everything is about 1 until the end, so that no square is beyond float64.
        moments = _Moments(items.shape[1])
        step = max(1, _CHUNK // (_MOST_ITEMS * items.shape[1]))
        for start in range(0, len(rows), step):
            chunk = rows[start : start + step]
            chosen = [seen[row][_draw(len(seen[row]), random, most=_MOST_ITEMS)] for row in chunk]
            own = items[np.concatenate(chosen)].astype(np.float64) / item_scale
            counts = np.array([len(row) for row in chosen])
            moments.add(own, counts, users[chunk].astype(np.float64) / user_scale)
        if not moments.finite:
            return None
        mean_u, mean_x, halfway, p, r = moments.solve()
        head = np.stack([mean_u * user_scale, mean_x * item_scale, halfway])
        with np.errstate(over="ignore"):
            array = np.concatenate([head, p, r * (user_scale / item_scale)]).astype(np.float32)
        return cls(array) if np.isfinite(array).all() else None

    def parts(self, embeddings: Float32Array, weights: Float32Array) -> Float32Array:
        """What each item of a session adds to the user's embedding.

        Their sum is the embedding u; the score of item i is `u·i + b_i`, of which `parts[s]·i` is
        what item s of the session contributed. Only the ratios of the weights matter. An item that
        comes twice is the same as one with both weights.

        Args:
            embeddings: (s, d) float32, finite, of at least one item.
            weights: (s,) float32, finite and above 0.

        Returns:
            (s, d) float32, finite: what would be beyond float32 is cut.
        """
        # In float64 nothing overflows, whatever the float32 numbers are.
        array = self.array.astype(np.float64)
        mean_u, mean_x, halfway = array[:_HEAD]
        p, r = np.split(array[_HEAD:], 2)
        shares = weights.astype(np.float64)
        shares /= shares.sum()
        count = _count(embeddings, shares)
        moved = (embeddings - mean_x) @ p
        moved *= count / (count + halfway)
        result = moved @ r
        result += mean_u
        result *= shares[:, None]
        most = float(np.finfo(np.float32).max) / len(result)
        parts: Float32Array = result.clip(-most, most).astype(np.float32)
        return parts


class _Moments:
    """Sums over users and their items."""

    def __init__(self, components: int) -> None:
        self.components = components
        self.users = self.freedom = 0
        self.inverse_counts = 0.0
        self.x, self.u = np.zeros((2, components))
        self.xx, self.xu, self.within = np.zeros((3, components, components))

    def add(self, items: _Float64Array, counts: NDArray[np.int64], users: _Float64Array) -> None:
        """Users (m, d) with `counts` (m,) of at least 1 of the items (sum of counts, d), in order."""
        starts = np.cumsum(counts) - counts
        x = np.add.reduceat(items, starts) / counts[:, None]
        self.users += len(users)
        self.inverse_counts += float((1 / counts).sum())
        self.x += x.sum(axis=0)
        self.u += users.sum(axis=0)
        self.xx += x.T @ x
        self.xu += x.T @ users
        if self.freedom < _MOST_ROWS_OF_W:
            deviations = items - np.repeat(x, counts, axis=0)
            self.within += deviations.T @ deviations
            self.freedom += len(items) - len(users)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.xx).all() and np.isfinite(self.xu).all())

    def solve(self) -> tuple[_Float64Array, ...]:
        """ū (d,), x̄ (d,), h (d,), P (d, d) and R (d, d)."""
        nothing, unit = np.zeros(self.components), np.eye(self.components)
        if not self.users:
            return nothing, nothing, nothing, unit, unit
        mean_x, mean_u = self.x / self.users, self.u / self.users
        # Where each user has one item, there is nothing to tell W from B by.
        within = self.within / max(1, self.freedom)
        error = within * (self.inverse_counts / self.users)
        between, axes = np.linalg.eigh(self.xx / self.users - np.outer(mean_x, mean_x) - error)
        # An estimate by subtraction may fall below 0.
        between = between.clip(0)
        power = max(float(between.sum() + mean_x @ mean_x), _SMALLEST_POWER)
        ridge = (_RIDGE + _RIDGE_USERS / self.users) * power / self.components
        whiten = axes / np.sqrt(between + ridge)
        halfway, turn = np.linalg.eigh(whiten.T @ within @ whiten)
        p = whiten @ turn
        covariance = self.xu / self.users - np.outer(mean_x, mean_u) + ridge * unit
        return mean_u, mean_x, halfway, p, p.T @ covariance


def _count(embeddings: Float32Array, shares: _Float64Array) -> float:
    """How many equally weighted items tell as much (Kish's effective sample size); at least 1."""
    together: dict[bytes, float] = {}
    for embedding, share in zip(embeddings, shares.tolist(), strict=True):
        key = embedding.tobytes()
        together[key] = together.get(key, 0.0) + share
    return 1 / sum(share * share for share in together.values())


def _draw(count: int, random: np.random.Generator, *, most: int = MOST_USERS) -> NDArray[np.int64]:
    """Positions below `count`: all, or of more than `most` so many."""
    return np.arange(count) if count <= most else random.choice(count, most, replace=False)


def _scale(embeddings: Float32Array) -> float:
    """Root of the mean squared length of embeddings (n, d); 0 for none."""
    squares = np.einsum("ij,ij->", embeddings, embeddings, dtype=np.float64)
    return float(np.sqrt(squares / max(1, len(embeddings))))
