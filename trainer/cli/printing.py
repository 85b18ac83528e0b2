"""How values are printed, whatever they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Nothing that is measured comes near it.
_MOST = 1e12


def text(value: Any) -> str:
    """Say a value for people: no word of Python's."""
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
