"""Prints values of runs and versions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from trainer.notes import NOTE
from trainer.timings import in_order

# No measured number comes near it.
_MOST = 1e12


def print_warnings(warnings: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for warning in warnings:
        print(warning if warning.startswith(NOTE) else f"warning: {warning}", file=sys.stderr)


def print_gates(gates: Iterable[Any]) -> None:
    """Print the outcome of each gate. The gates are a run's or a message's."""
    for gate in gates:
        print(f"gate {'passed' if gate.passed else 'FAILED'}: {gate.text}")


def print_seconds(seconds: Mapping[str, float]) -> None:
    """Print the time of each stage, in the order of the stages."""
    shown = (f"{name} {number(value, 2)}" for name, value in in_order(seconds).items())
    print("seconds: " + ", ".join(shown))


def text(value: Any) -> str:
    """Write a value in words for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    return str(value)


def number(value: float, places: int = 4) -> str:
    """Write a number with so many decimals. A number of many digits has a power of ten."""
    return f"{value:.{places}f}" if abs(value) < _MOST else f"{value:.4g}"


def share(value: float | None) -> str:
    """Write a share in [0, 1]; "-" for an unknown share."""
    return "-" if value is None else number(value)


def pairs(values: Mapping[str, Any]) -> str:
    """Write names with their values in a line."""
    return ", ".join(f"{name} {text(value)}" for name, value in values.items())
