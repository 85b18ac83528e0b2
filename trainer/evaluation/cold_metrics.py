"""How users without a vector of their own do beside those with one, out of a version's metrics."""

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


@dataclass(frozen=True)
class ColdRow:
    """precision@10 of one kind of user, and its ratio to that of trained ones, None if not known."""

    title: str
    precision: float
    ratio: float | None


def cold_rows(metrics: Mapping[str, float]) -> list[ColdRow]:
    """What is known, trained users first; empty when nothing is known of users without a vector."""
    trained = metrics.get(TRAINED)
    cold = [
        ColdRow(title, metrics[name], metrics[name] / trained if trained else None)
        for title, name in _COLD
        if name in metrics
    ]
    if not cold or trained is None:
        return cold
    return [ColdRow("by their own vectors", trained, 1.0 if trained else None), *cold]
