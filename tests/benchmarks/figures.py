"""Computes figures from rounds of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # The import loads gRPC, whose memory would count in benchmarks that only need ratios.
    from tests.benchmarks.asking import Calls


@dataclass(frozen=True)
class Ratio:
    """The median and the range of the rounds' ratios."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, heads: Sequence[float], bases: Sequence[float]) -> Ratio:
        """Compute the ratio of head to base in each round. Both have the same length, at least 1."""
        ratios = np.divide(heads, bases)
        return cls(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.lowest:.2f}..{self.highest:.2f})"


@dataclass(frozen=True)
class Figures:
    """Figures of one server's calls, in one or more rounds."""

    calls_per_second: float
    cpu_microseconds: float
    p50_milliseconds: float
    p90_milliseconds: float
    p99_milliseconds: float
    p999_milliseconds: float

    @classmethod
    def of(cls, *rounds: Calls) -> Figures:
        """Compute the medians of the rounds' rates, and the percentiles over all calls."""
        return cls(
            float(np.median([one.calls_per_second for one in rounds])),
            float(np.median([one.cpu_microseconds for one in rounds])),
            *percentiles([one.seconds for one in rounds], 50, 90, 99, 99.9),
        )


def percentiles(seconds: Sequence[NDArray[np.float64]], *wanted: float) -> list[float]:
    """Return percentiles in milliseconds, over the calls of all rounds (at least one call)."""
    return [float(value) * 1000 for value in np.percentile(np.concatenate(seconds), wanted)]
