"""Defines the search space and the options of a search for hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from lightfm_retriever.hosting import options
from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError
from trainer.fitting.lightfm_model import LOSSES, Hyperparameters
from trainer.preparing.splits import SPLITS, Split

_RANGE = Option("range to search", metavar=("LOW", "HIGH"))


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The ranges and losses to search. Ranges include both ends, on a log scale.

    Attributes:
        components, learning_rate, item_alpha, user_alpha: ranges; see Hyperparameters. A penalty must
            be above 0; 1e-7 has practically no effect.
        losses: losses to choose from.
    """

    components: Annotated[tuple[int, int], _RANGE] = (8, 128)
    learning_rate: Annotated[tuple[float, float], _RANGE] = (0.005, 1.0)
    item_alpha: Annotated[tuple[float, float], _RANGE] = (1e-7, 1e-2)
    user_alpha: Annotated[tuple[float, float], _RANGE] = (1e-7, 1e-2)
    losses: Annotated[Sequence[str], Option("losses to choose among", offered=LOSSES)] = LOSSES

    def __post_init__(self) -> None:
        """Raise OptionError for a range or a loss that can't be searched."""
        for name, (low, high) in self.ranges().items():
            flag = f"--{name.replace('_', '-')}"
            if not 0 < low <= high:
                raise OptionError(flag, (low, high), "a range above 0, its lower end first")
            for end in (low, high):
                Hyperparameters(**{name: end})  # type: ignore[arg-type]
        if not self.losses or len(set(self.losses)) < len(self.losses):
            raise OptionError("--losses", list(self.losses), f"distinct ones of {', '.join(LOSSES)}")
        for loss in self.losses:
            Hyperparameters(loss=loss)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return the ranges by name."""
        names = ("components", "learning_rate", "item_alpha", "user_alpha")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """The options of a search. With 1 thread and no timeout, a search is reproducible.

    Attributes:
        space: ranges and losses to search.
        start: hyperparameters of the first trial, moved into the search space. All trials use its
            `sample_weights` and `threads`. Its seed is also the seed of the search.
        timeout_seconds: time limit. The running trial ends at its next validation. The search always
            makes at least one trial.
        objective: one of measures.OBJECTIVES.
        validation: how to hold out validation interactions, with the count and share of the test
            interactions; see preparing.splits.
    """

    space: SearchSpace = field(default_factory=SearchSpace)
    start: Hyperparameters = field(default_factory=Hyperparameters)
    trials: Annotated[int, Option("number of trials", ge=1, le=100_000)] = 50
    timeout_seconds: Annotated[
        float | None,
        Option(
            "begin no trial after this time (default: none; with one, a search isn't reproducible)",
            gt=0,
        ),
    ] = None
    max_epochs: Annotated[int, Option("largest number of epochs of a trial", ge=1, le=10_000)] = 60
    epoch_step: Annotated[
        int, Option("number of epochs between two validations", ge=1, le="max_epochs")
    ] = 5
    patience: Annotated[
        int,
        Option("end a trial after this many validations without a better value", ge=1, le=10_000),
    ] = 3
    objective: Annotated[
        str,
        Option(
            "measure to maximise on the validation, seen items excluded: ndcg, precision, recall, map, "
            "mrr or hit_rate with _at_ and 1, 5, 10, 20 or 50, or auc",
            metavar="MEASURE",
        ),
    ] = "ndcg_at_10"
    validation: Annotated[
        Split | None,
        Option(
            "how to choose validation interactions (default: like the test interactions if that "
            "is by time, else random)",
            choices=[split for split in SPLITS if split != "none"],
            expected="a split that holds something out",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        options.check(self, OptionError)
        # Imported here, since the flags need only the default.
        from trainer.evaluation.measures import OBJECTIVES

        if self.objective not in OBJECTIVES:
            raise OptionError("--objective", self.objective, f"one of {', '.join(OBJECTIVES)}")
        for loss in self.space.losses:
            replace(self.start, loss=loss)
