"""How good what is served is beside exact search, out of a version's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SERVED = "test_precision_at_10_served"
EXACT = "test_precision_at_10_exact"
USERS = "served_users"


@dataclass(frozen=True)
class ServedRow:
    """precision@10 of one way to search, and its ratio to that of exact search, None if not known."""

    title: str
    precision: float
    ratio: float | None


def served_rows(metrics: Mapping[str, float], backend: str) -> list[ServedRow]:
    """What a retriever answers, then what exact search would; empty when that wasn't measured.

    Args:
        metrics: a version's.
        backend: of its index that recommends.
    """
    if SERVED not in metrics or EXACT not in metrics:
        return []
    served, exact = metrics[SERVED], metrics[EXACT]
    return [
        ServedRow(f"as served, by {backend}", served, served / exact if exact else None),
        ServedRow("by exact search", exact, 1.0 if exact else None),
    ]
