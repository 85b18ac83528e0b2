"""Prints values of runs and versions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from trainer.notes import NOTE
from trainer.timings import in_order

# Nothing that is measured comes near it.
_MOST = 1e12


def print_warnings(warnings: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for warning in warnings:
        print(warning if warning.startswith(NOTE) else f"warning: {warning}", file=sys.stderr)


def print_gates(gates: Iterable[Any]) -> None:
    """How a version did at each gate; they are a run's or a message's."""
    for gate in gates:
        print(f"gate {'passed' if gate.passed else 'FAILED'}: {gate.text}")


def print_seconds(seconds: Mapping[str, float]) -> None:
    """The time of each stage, in the order in which they happen."""
    shown = (f"{name} {number(value, 2)}" for name, value in in_order(seconds).items())
    print("seconds: " + ", ".join(shown))


def text(value: Any) -> str:
    """Say a value in words for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    return str(value)


def number(value: float, places: int = 4) -> str:
    """Say a number with so many places; one of many digits by its power of ten."""
    return f"{value:.{places}f}" if abs(value) < _MOST else f"{value:.4g}"


def share(value: float | None) -> str:
    """Say a share in [0, 1]; "-" for one that isn't known."""
    return "-" if value is None else number(value)


def pairs(values: Mapping[str, Any]) -> str:
    """Say names with their values, in a line."""
    return ", ".join(f"{name} {text(value)}" for name, value in values.items())
