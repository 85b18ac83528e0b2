"""The ranges of weights and times, for all sources: files, folders, queries and the event log."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError

MAX_WEIGHT = 1e9
"""The largest absolute value of a weight.

The model computes in float32, whose largest number is 3.4e38. With this bound, sums of ten billion
weights and squares of weights stay far below it. Amounts of money and milliseconds of use fit.
"""

SMALLEST_WEIGHT = float(np.finfo(np.float32).tiny)
"""The smallest absolute value of a weight other than 0. Some processors round smaller ones to 0."""

MAX_SECONDS_AHEAD = 86_400.0
"""How far a time may lie in the future, in seconds. Clocks differ by less; wrong units by more."""

EARLIEST_TIME = 31_536_000.0
"""1971-01-01 in seconds since 1970. Earlier times are mostly numbers of another unit."""

EVENT_WEIGHT = Option(
    ge=-MAX_WEIGHT,
    le=MAX_WEIGHT,
    expected=f"finite numbers, at most {MAX_WEIGHT:g} above or below 0",
)
HALF_LIFE_DAYS, LAST_DAYS = (
    Option(text, gt=0, lt=math.inf, expected="a number of days above 0", metavar="DAYS")
    for text in (
        "count an interaction half that is so much older than the newest (default: age doesn't matter)",
        "use only interactions of this many days before the newest (default: all)",
    )
)


def check_event_weights(weights: Mapping[str, float]) -> None:
    """Raise OptionError for the first weight of an event type that is out of range."""
    for event, weight in weights.items():
        if (expected := EVENT_WEIGHT.problem(weight)) is not None:
            raise OptionError("--event-weights", f"{event}={weight}", expected)


def weights_as_float32(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round weights (n,) to float32; a weight other than 0 stays so. None may exceed MAX_WEIGHT."""
    result: NDArray[np.float32] = weights.astype(np.float32)
    near = np.abs(result) < np.float32(SMALLEST_WEIGHT)
    if near.any():
        vanished = near & (weights != 0)
        result[vanished] = np.copysign(np.float32(SMALLEST_WEIGHT), weights[vanished])
    return result
