"""What counts how much: weights by event type, by age, and an end to what is too old."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import InputError, OptionError
from trainer.interactions import Interactions

DAY = 86_400.0
# What is too old to count for anything still isn't a weight of 0, which would make it no positive.
_SMALLEST = np.finfo(np.float32).tiny
# Beyond any float32, but not yet 0 in float64.
_MOST_HALVINGS = 500
_WITHOUT_TYPE = "--event-weights =1 gives 1 to interactions without a type"


def weigh_together(
    parts: Sequence[Interactions],
    *,
    event_weights: Mapping[str, float],
    half_life_days: float | None,
    last_days: float | None,
) -> list[Interactions]:
    """Weigh the parts of one input as `weigh` does: ages are relative to the newest of all.

    A part of which nothing is left has a warning. Raises as `weigh`, and names the part.
    """
    now = None
    if half_life_days is not None or last_days is not None:
        option = "--last-days" if last_days is not None else "--half-life-days"
        now = max(float(_timestamps(part, option).max()) for part in parts if len(part))
    weighed = []
    for part in parts:
        if last_days is not None and not (_age_days(part, now, "--last-days") <= last_days).any():
            warning = (
                f"none of {len(part)} interactions of {part.name} is of the last {last_days:g} days"
            )
            warnings = [*part.warnings, warning] if len(part) else part.warnings
            weighed.append(replace(part.where(np.zeros(len(part), np.bool_)), warnings=warnings))
        elif not len(part):
            weighed.append(part)
        else:
            weighed.append(
                weigh(
                    part,
                    event_weights=event_weights,
                    half_life_days=half_life_days,
                    last_days=last_days,
                    now=now,
                )
            )
    return weighed


def weigh(
    interactions: Interactions,
    *,
    event_weights: Mapping[str, float],
    half_life_days: float | None,
    last_days: float | None,
    now: float | None = None,
) -> Interactions:
    """Leave out what is too old and multiply the weights by those of event type and age.

    The age of an interaction is relative to the newest one and not to the clock on the wall, so that
    the same input gives the same weights whenever it is read.

    Args:
        interactions: in file order.
        event_weights: weight by event type, finite; 0 or less for what is no positive. "" is for what
            has no type. Empty when events aren't weighted.
        half_life_days: after so many days an interaction counts half: its weight is multiplied by
            0.5 ** (age / half-life). None for no decay.
        last_days: the oldest age that is kept; None for any.
        now: seconds since 1970 that ages are relative to in place of the newest interaction; what is
            newer than that has the age 0.

    Returns:
        The rows that are left, in the order they were in. A weight that isn't 0 stays so, however old
        it is.

    Raises:
        OptionError: an option is out of range.
        InputError: there are no timestamps or event types that an option needs, an event type has no
            weight, or nothing is left.
    """
    _check(event_weights, half_life_days, last_days)
    if not len(interactions):
        raise InputError(Path(interactions.name), "there is no interaction")
    recent = None
    if last_days is not None:
        recent = _age_days(interactions, now, "--last-days") <= last_days
        if not recent.any():
            reason = f"none of {len(interactions)} interactions is of the last {last_days:g} days"
            raise InputError(Path(interactions.name), reason)
        interactions = interactions.where(recent)
    weights = interactions.weights.astype(np.float64)
    with _rows_before(recent):
        if event_weights:
            weights *= _by_event(interactions, event_weights)
        if half_life_days is not None:
            halvings = _age_days(interactions, now, "--half-life-days") / half_life_days
            weights *= 0.5 ** np.minimum(halvings, _MOST_HALVINGS)
        if not event_weights and half_life_days is None:
            return interactions
        return replace(interactions, weights=_float32(interactions, weights))


@contextmanager
def _rows_before(kept: NDArray[np.bool_] | None) -> Iterator[None]:
    """Have an InputError name the row as it was before others were left out."""
    try:
        yield
    except InputError as error:
        if kept is None or error.row is None:
            raise
        row = int(np.flatnonzero(kept)[error.row - 1]) + 1
        raise InputError(error.path, error.reason, row=row) from None


def _check(
    event_weights: Mapping[str, float], half_life_days: float | None, last_days: float | None
) -> None:
    for event, weight in event_weights.items():
        if not math.isfinite(weight):
            raise OptionError("--event-weights", f"{event}={weight}", "finite numbers")
    for option, days in (("--half-life-days", half_life_days), ("--last-days", last_days)):
        if days is not None and not (math.isfinite(days) and days > 0):
            raise OptionError(option, days, "a number of days above 0")


def _timestamps(interactions: Interactions, option: str) -> NDArray[np.float64]:
    if interactions.timestamps is None:
        reason = f"there is no column timestamp, which {option} needs"
        raise InputError(Path(interactions.name), reason)
    return interactions.timestamps


def _age_days(interactions: Interactions, now: float | None, option: str) -> NDArray[np.float64]:
    timestamps = _timestamps(interactions, option)
    if now is None:
        now = float(timestamps.max())
    return np.maximum(now - timestamps, 0) / DAY


def _by_event(interactions: Interactions, event_weights: Mapping[str, float]) -> NDArray[np.float64]:
    """(n,) float64, the weight of each row's event type."""
    path = Path(interactions.name)
    if interactions.events is None:
        if "" in event_weights:
            return np.full(len(interactions), event_weights[""])
        reason = f"there is no column event, which --event-weights needs; {_WITHOUT_TYPE}"
        raise InputError(path, reason)
    for code, event in enumerate(interactions.event_types):
        if event not in event_weights:
            row = int(np.argmax(interactions.events == code)) + 1
            known = ", ".join(event_weights)
            reason = f"event {event!r} has no weight; --event-weights has: {known}"
            if not event:
                reason += f"; {_WITHOUT_TYPE}"
            raise InputError(path, reason, row=row)
    by_code = np.array([event_weights[event] for event in interactions.event_types], dtype=np.float64)
    return by_code[interactions.events]


def _float32(interactions: Interactions, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    vanished = (np.abs(weights) < _SMALLEST) & (weights != 0)
    with np.errstate(over="ignore"):
        result = np.where(vanished, np.copysign(_SMALLEST, weights), weights).astype(np.float32)
    if not np.isfinite(result).all():
        row = int(np.argmin(np.isfinite(result)))
        reason = (
            f"the weight {interactions.weights[row]:g} becomes {weights[row]:g}, which is too large"
        )
        raise InputError(Path(interactions.name), reason, row=row + 1)
    return result
