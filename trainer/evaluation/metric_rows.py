"""Compare metrics of a version with one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NDCG = "test_ndcg_at_10_unseen"
"""The metric that decides between models: it counts a hit more the higher it is in the list."""

TRAINED = "test_precision_at_10_trained"
POPULAR = "test_precision_at_10_popular"
_COLD = (
    ("by their seen items", "test_precision_at_10_folded_in"),
    ("by their features alone", "test_precision_at_10_features_only"),
    ("by the most popular items", POPULAR),
)
SERVED = "test_precision_at_10_served"
EXACT = "test_precision_at_10_exact"
USERS = "served_users"


@dataclass(frozen=True)
class MetricRow:
    """precision@10 for one kind of users or search, and its ratio to the reference, None if unknown."""

    title: str
    precision: float
    ratio: float | None


def cold_rows(metrics: Mapping[str, float]) -> list[MetricRow]:
    """Compare users without a vector with trained users; [] if they weren't measured."""
    trained = metrics.get(TRAINED)
    cold = [_row(title, metrics[name], trained) for title, name in _COLD if name in metrics]
    if not cold or trained is None:
        return cold
    return [_row("by their own vectors", trained, trained), *cold]


def served_rows(metrics: Mapping[str, float], backend: str) -> list[MetricRow]:
    """Compare the answers of a retriever with exact search; [] if they weren't measured.

    Args:
        metrics: the metrics of a version.
        backend: the backend of its index `recommend`.
    """
    if SERVED not in metrics or EXACT not in metrics:
        return []
    served, exact = metrics[SERVED], metrics[EXACT]
    return [_row(f"as served, by {backend}", served, exact), _row("by exact search", exact, exact)]


def _row(title: str, precision: float, best: float | None) -> MetricRow:
    return MetricRow(title, precision, precision / best if best else None)
