"""Which interactions are held out to test on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.data import movielens
from trainer.errors import OptionError

if TYPE_CHECKING:
    # At run time nothing of it is needed, and the flags need the names only.
    from trainer.data.interactions import Interactions

Split = Literal["first-10", "random", "time", "leave-last-k", "none"]
SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT = Option(
    "what to test on: each user's first ten in file order, a random share, the newest share, each "
    f"user's last k, or nothing (default: first-10 for {movielens.NAME}, else random)",
    choices=SPLITS,
)
SPLIT_COUNT = Option("k of leave-last-k", ge=1, le=2**31 - 1, flag="split_count", metavar="K")
SPLIT_SHARE = Option("share of random and time", gt=0, lt=1, flag="split_share", metavar="SHARE")

_FIRST = 10


@dataclass(frozen=True)
class Splitting:
    """What is held out.

    Attributes:
        split: "first-10" holds out each user's first ten interactions in file order (GroupLens' `ua`
            split), "random" a share of all, "time" the newest share of all, "leave-last-k" each
            user's newest `count`, and "none" nothing. A user with no more than `count` interactions
            keeps the oldest one.
        seed: of the random split.
        share: for "time" it is rounded to whole interactions.
    """

    split: Annotated[Split, SPLIT]
    seed: int
    count: Annotated[int, SPLIT_COUNT] = 1
    share: Annotated[float, SPLIT_SHARE] = 0.1

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)


def held_out(interactions: Interactions, splitting: Splitting) -> NDArray[np.bool_]:
    """For each interaction, in file order, whether it is held out.

    File order also orders those of the same time.

    Returns:
        (n,) bool.

    Raises:
        InputError: the split needs timestamps and there are none.
    """
    split, count, share = splitting.split, splitting.count, splitting.share
    total = len(interactions)
    if split == "random":
        return np.random.default_rng(splitting.seed).random(total) < share
    is_test = np.zeros(total, dtype=bool)
    if split == "first-10":
        ranks, _ = _ranks(interactions.users)
        is_test[:] = ranks < _FIRST
    elif split == "time":
        oldest_first = np.argsort(interactions.times_for(f"--split {split}"), kind="stable")
        is_test[oldest_first[total - round(share * total) :]] = True
    elif split == "leave-last-k":
        oldest_first = np.argsort(interactions.times_for(f"--split {split}"), kind="stable")
        ranks, lengths = _ranks(interactions.users[oldest_first])
        is_test[oldest_first] = ranks >= np.maximum(lengths - count, 1)
    return is_test


def _ranks(users: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row its rank among its user's rows, and how many those are."""
    # A stable sort keeps the order that they are in.
    order = np.argsort(users, kind="stable")
    grouped = users[order]
    starts = np.flatnonzero(np.concatenate([[True], grouped[1:] != grouped[:-1]]))
    sizes = np.diff([*starts, len(users)])
    ranks, lengths = np.empty_like(users), np.empty_like(users)
    ranks[order] = np.arange(len(users)) - np.repeat(starts, sizes)
    lengths[order] = np.repeat(sizes, sizes)
    return ranks, lengths
