"""What weights and times may be, wherever they come from: files, folders, queries and the event log."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lightfm_retriever.hosting.options import Option
from trainer.errors import OptionError

MAX_WEIGHT = 1e9
"""The largest weight, above or below 0.

The model counts in float32, which ends at 3.4e38: with this bound the sum of ten billion weights, and
the square of any weight, are far from that end. Amounts of money and milliseconds of use are below.
"""

SMALLEST_WEIGHT = float(np.finfo(np.float32).tiny)
"""The weight nearest to 0 that isn't 0. Smaller ones would be 0 to processors that round them away."""

MAX_SECONDS_AHEAD = 86_400.0
"""How far a time may lie in the future: clocks differ, but milliseconds for seconds are a mistake."""

EARLIEST_TIME = 31_536_000.0
"""1971-01-01 in seconds since 1970. What lies before is a number of another kind read as seconds."""

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
    """The nearest float32 of each weight, none beyond MAX_WEIGHT: a weight that isn't 0 stays so."""
    result: NDArray[np.float32] = weights.astype(np.float32)
    near = np.abs(result) < np.float32(SMALLEST_WEIGHT)
    if near.any():
        vanished = near & (weights != 0)
        result[vanished] = np.copysign(np.float32(SMALLEST_WEIGHT), weights[vanished])
    return result
