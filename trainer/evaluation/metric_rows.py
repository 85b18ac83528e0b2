"""Figures of a version's metrics that are held against one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TRAINED = "test_precision_at_10_trained"
POPULAR = "test_precision_at_10_popular"
_COLD = (
    ("by what they have seen", "test_precision_at_10_folded_in"),
    ("by their features alone", "test_precision_at_10_features_only"),
    ("by what is popular", POPULAR),
)
SERVED = "test_precision_at_10_served"
EXACT = "test_precision_at_10_exact"
USERS = "served_users"


@dataclass(frozen=True)
class MetricRow:
    """precision@10 of one kind of users or search, and its ratio to the best, None if not known."""

    title: str
    precision: float
    ratio: float | None


def cold_rows(metrics: Mapping[str, float]) -> list[MetricRow]:
    """How users without a vector do beside trained ones; empty when nothing is known of the former."""
    trained = metrics.get(TRAINED)
    cold = [_row(title, metrics[name], trained) for title, name in _COLD if name in metrics]
    if not cold or trained is None:
        return cold
    return [_row("by their own vectors", trained, trained), *cold]


def served_rows(metrics: Mapping[str, float], backend: str) -> list[MetricRow]:
    """What a retriever answers, then what exact search would; empty when that wasn't measured.

    Args:
        metrics: a version's.
        backend: of its index that recommends.
    """
    if SERVED not in metrics or EXACT not in metrics:
        return []
    served, exact = metrics[SERVED], metrics[EXACT]
    return [_row(f"as served, by {backend}", served, exact), _row("by exact search", exact, exact)]


def _row(title: str, precision: float, best: float | None) -> MetricRow:
    return MetricRow(title, precision, precision / best if best else None)
