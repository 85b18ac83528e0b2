"""Say how sure a measured mean is: standard errors and 95 % confidence intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.measures import Values

ENOUGH_USERS = 100
"""Fewer evaluated users are too few for a conclusion."""

MOST_RELATIVE = 0.25
"""An interval that reaches further from the mean, relative to it, is too wide for a conclusion."""

_Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """The 95 % confidence interval of a mean over users."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} (95 % confidence: {self.low:.4f} to {self.high:.4f})"


def standard_error(values: Values) -> float | None:
    """Return the standard error of the mean of (n,) values, without NaN; None for fewer than two."""
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return None
    return float(known.std(ddof=1) / math.sqrt(len(known)))


def share_interval(mean: float, error: float | None, users: int) -> Interval:
    """Return the interval of a mean of shares in [0, 1], which stays in [0, 1].

    It is Wilson's interval (1927) for the number of users that has this error as a proportion (Korn and
    Graubard 1998), with the quantile of Student's t. So it is asymmetric near 0 and 1, and isn't empty
    when all users have the same share, as the normal approximation would be.

    Args:
        mean: in [0, 1].
        error: its standard error; None if unknown.
        users: the number of users of the mean.
    """
    if users < 2 or error is None:
        return Interval(mean, 0.0, 1.0)
    spread = mean * (1 - mean)
    # Rounding may make an error too large for any shares.
    count = users if error <= 0 else max(1.0, spread / error**2) if spread > 0 else users
    square = _t_quantile(users - 1) ** 2
    centre = (mean + square / (2 * count)) / (1 + square / count)
    half = math.sqrt(square * (spread / count + square / (4 * count**2))) / (1 + square / count)
    # The mean is inside, but for rounding.
    return Interval(mean, min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half)))


def mean_interval(values: Values) -> Interval:
    """Return the interval of the mean of (n,) values without NaN, by Student's t.

    It reaches from minus to plus infinity for a single value.
    """
    mean, error = float(values.mean()), standard_error(values)
    half = math.inf if error is None else _t_quantile(len(values) - 1) * error
    return Interval(mean, mean - half, mean + half)


def too_few(interval: Interval, users: int) -> bool:
    """Return whether no conclusion should be drawn from a mean over so many users."""
    reach = max(interval.mean - interval.low, interval.high - interval.mean)
    return users < ENOUGH_USERS or reach > MOST_RELATIVE * interval.mean


def _t_quantile(freedom: int) -> float:
    """Return the 0.975 quantile of Student's t distribution."""
    exact = {1: 12.706, 2: 4.303, 3: 3.182}
    if freedom in exact:
        return exact[freedom]
    # The expansion of Cornish and Fisher is off by less than 0.3 % from 4 degrees of freedom on.
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
