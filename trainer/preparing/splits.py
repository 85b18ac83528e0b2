"""Choose how interactions are held out for testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.data import movielens
from trainer.errors import OptionError

Split = Literal["first-10", "random", "time", "leave-last-k", "none"]
SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT = Option(
    "test interactions: each user's first ten in file order, a random share, the newest share, each "
    f"user's last k, or none (default: first-10 for {movielens.NAME}, else random)",
    choices=SPLITS,
)
SPLIT_COUNT = Option("k of the split leave-last-k", ge=1, le=2**31 - 1, flag="split_count", metavar="K")
SPLIT_SHARE = Option(
    "share of the splits random and time", gt=0, lt=1, flag="split_share", metavar="SHARE"
)


@dataclass(frozen=True)
class Splitting:
    """The interactions to hold out.

    Attributes:
        split: "first-10" holds out each user's first ten interactions in file order (GroupLens' `ua`
            split), "random" a share of all, "time" the newest share of all, "leave-last-k" each
            user's newest `count`, and "none" nothing. A user with at most `count` interactions keeps
            the oldest one.
        seed: the seed of the random split.
        count: the k of "leave-last-k".
        share: the share of "random" and "time"; "time" rounds it to whole interactions.
    """

    split: Annotated[Split, SPLIT]
    seed: int
    count: Annotated[int, SPLIT_COUNT] = 1
    share: Annotated[float, SPLIT_SHARE] = 0.1

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)
