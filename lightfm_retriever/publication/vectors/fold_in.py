"""Fold-in: compute a user's embedding from the items of a session, with fixed item vectors.

A trained user has an embedding u, and x, the mean embedding of the items that the user has seen. The
mean of a session's n items is a noisy measurement of such an x. Its error has the covariance W / n,
where W is the covariance of one user's items around their mean. The best linear prediction of u is

    u = ū + Cᵀ (B + W/n)⁻¹ (x - x̄)

with the means ū and x̄ of the trained users, the covariance B of their x without its error, and the
covariance C of x with u. This is regression calibration with replicate measurements (Carroll, Ruppert,
Stefanski & Crainiceanu 2006, "Measurement Error in Nonlinear Models", section 4.4.2). So the embedding
for one item stays near the mean user, and that for many items follows the items.

B gets a ridge, because there may be few users, or fewer than dimensions. C gets the same ridge times c,
the ratio of the lengths of user and item embeddings: in a direction without data, u is c x and not 0.
Without any trained user, u = c x in all directions.

The published array works for any n. With P such that PᵀBP = I and PᵀWP = diag(h),

    u = ū + ((x - x̄) P ∘ n / (n + h)) R,    R = Pᵀ C

so in each direction, h is the number of items after which a session has gone half the way. For given
weights, u is a sum over the items, so the contribution of each item to a score is exact.

docs/adr/0013-fold-in.md compares it with implicit ALS (Hu, Koren & Volinsky 2008) and others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.publication.storage.ragged import Ragged
from lightfm_retriever.publication.vectors.vector_space import LONGEST, Float32Array, split_biases

MOST_USERS = 20_000
"""The most users to learn from."""

# h is 0 or more except for rounding. The sum of h and a number of items, at least 1, must not be 0.
LEAST_HALFWAY = -0.5

# The most items of each user, and for W the most rows of all users. Enough for the estimates.
_MOST_ITEMS = 100
_MOST_ROWS_OF_W = 200_000

# The ridge relative to the mean eigenvalue of B: a constant, and a part that shrinks with more users.
_RIDGE = 0.1
_RIDGE_USERS = 10
# For embeddings of length about 1. Below this power, B contains no information.
_SMALLEST_POWER = 1e-6

# Numbers in memory at a time.
_CHUNK = 1 << 23

# Rows before P and R: ū, x̄ and h.
_HEAD = 3

_Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class FoldIn:
    """Computes a user's embedding from a session.

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
        """Whether all numbers are within LONGEST, as always unless users are much longer than items."""
        return bool(np.abs(self.array).max() <= LONGEST and self.halfway.min() >= LEAST_HALFWAY)

    @classmethod
    def build(
        cls, item_vectors: Float32Array, user_vectors: Float32Array, seen: Ragged, *, seed: int
    ) -> FoldIn | None:
        """Learn from trained users. Uses a random sample of many users, and of a user's many items.

        Args:
            item_vectors: (items, d + 1) float32, embedding then bias.
            user_vectors: (users, d + 1) float32, the same; there may be no users.
            seen: for each user, the rows of the items that the user's vector was trained on.
            seed: seed of the sample.

        Returns:
            None if it can't be computed: there are no items, all are zero, or a number isn't finite or
            exceeds float32.
        """
        random = np.random.default_rng(seed)
        items, users = split_biases(item_vectors)[0], split_biases(user_vectors)[0]
        rows = np.flatnonzero(np.diff(seen.offsets)) if len(users) else np.empty(0, dtype=np.int64)
        rows = random.permutation(rows)[:MOST_USERS]
        item_scale = _scale(items[_draw(len(items), random)])
        user_scale = _scale(users[rows if len(rows) else _draw(len(users), random)]) or item_scale
        if not (item_scale and np.isfinite(item_scale) and np.isfinite(user_scale)):
            return None
        # Scale everything to about 1 until the end, so that no square exceeds float64.
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

    def of_means(self, means: Float32Array, counts: NDArray[np.integer]) -> Float32Array:
        """Return the embeddings of many users, the sums of their `parts`.

        Args:
            means: (m, d), the mean embedding of the distinct items of each user.
            counts: (m,), the number of these items, at least 1.

        Returns:
            (m, d) float32, finite: numbers that would exceed float32 are clipped.
        """
        array = self.array.astype(np.float64)
        mean_u, mean_x, halfway = array[:_HEAD]
        p, r = np.split(array[_HEAD:], 2)
        moved = (means - mean_x) @ p
        moved *= counts[:, None] / (counts[:, None] + halfway)
        most = float(np.finfo(np.float32).max)
        result: Float32Array = (moved @ r + mean_u).clip(-most, most).astype(np.float32)
        return result

    def parts(self, embeddings: Float32Array, weights: Float32Array) -> Float32Array:
        """Return what each item of a session adds to the user's embedding.

        The sum is the embedding u. The score of item i is `u·i + b_i`, and `parts[s]·i` is the
        contribution of item s of the session. Only the ratios of the weights matter. An item that
        occurs twice counts like one with the sum of the weights.

        Args:
            embeddings: (s, d) float32, finite, of at least one item.
            weights: (s,) float32, finite and above 0.

        Returns:
            (s, d) float32, finite: numbers that would exceed float32 are clipped.
        """
        # In float64 no combination of float32 numbers overflows.
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
        """Add users (m, d) and their items (sum of counts, d), `counts` (m,) >= 1 for each user."""
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
        """Return ū (d,), x̄ (d,), h (d,), P (d, d) and R (d, d)."""
        nothing, unit = np.zeros(self.components), np.eye(self.components)
        if not self.users:
            return nothing, nothing, nothing, unit, unit
        mean_x, mean_u = self.x / self.users, self.u / self.users
        # If each user has one item, W can't be distinguished from B.
        within = self.within / max(1, self.freedom)
        error = within * (self.inverse_counts / self.users)
        between, axes = np.linalg.eigh(self.xx / self.users - np.outer(mean_x, mean_x) - error)
        # The estimate by subtraction may be below 0.
        between = between.clip(0)
        power = max(float(between.sum() + mean_x @ mean_x), _SMALLEST_POWER)
        ridge = (_RIDGE + _RIDGE_USERS / self.users) * power / self.components
        whiten = axes / np.sqrt(between + ridge)
        halfway, turn = np.linalg.eigh(whiten.T @ within @ whiten)
        p = whiten @ turn
        covariance = self.xu / self.users - np.outer(mean_x, mean_u) + ridge * unit
        return mean_u, mean_x, halfway, p, p.T @ covariance


def _count(embeddings: Float32Array, shares: _Float64Array) -> float:
    """Return the number of equally weighted items with the same information, at least 1.

    This is Kish's effective sample size.
    """
    together: dict[bytes, float] = {}
    for embedding, share in zip(embeddings, shares.tolist(), strict=True):
        key = embedding.tobytes()
        together[key] = together.get(key, 0.0) + share
    return 1 / sum(share * share for share in together.values())


def _draw(count: int, random: np.random.Generator, *, most: int = MOST_USERS) -> NDArray[np.int64]:
    """Return all positions below `count`, or a random sample of `most` if there are more."""
    return np.arange(count) if count <= most else random.choice(count, most, replace=False)


def _scale(embeddings: Float32Array) -> float:
    """Return the root of the mean squared length of embeddings (n, d); 0 for none."""
    squares = np.einsum("ij,ij->", embeddings, embeddings, dtype=np.float64)
    return float(np.sqrt(squares / max(1, len(embeddings))))
