"""Compare metrics of a version with one another."""

from __future__ import annotations

import re
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
USERS = "served_users"


UNSEEN, SERVED, EXACT = "test_{}_unseen", "test_{}_served", "test_{}_exact"
_KINDS = (
    ("unseen items", UNSEEN),
    ("all items", "test_{}"),
    ("training interactions, all items", "train_{}"),
    ("as served, by {}", SERVED),
    ("by exact search", EXACT),
    ("users by their own vectors", "test_{}_trained"),
    ("users by their seen items", "test_{}_folded_in"),
    ("users by their features alone", "test_{}_features_only"),
    ("users by the most popular items", "test_{}_popular"),
)
MEASURES = (
    ("ndcg", "NDCG"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("map", "MAP"),
    ("mrr", "MRR"),
    ("hit_rate", "hit rate"),
    ("auc", "AUC"),
)
"""The measures of a table and their titles: at 10, but for AUC."""

_HIDDEN = re.compile(r"test_\w+_at_(?:1|5|20|50)_unseen|test_\w+_at_10_(?:served|exact)")
_SHOWN = re.compile(r"test_(?:ndcg|precision)_at_10_\w+")


def is_main(name: str) -> bool:
    """Return whether a list of metrics for people has this one. A list in JSON has all."""
    return not _HIDDEN.fullmatch(name) or bool(_SHOWN.fullmatch(name))


@dataclass(frozen=True)
class TableRow:
    """The measures of one kind of ranking at 10; `pattern` makes names of metrics from measures."""

    title: str
    pattern: str
    values: Mapping[str, float]


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


def table_rows(metrics: Mapping[str, float], backend: str) -> list[TableRow]:
    """Return the measures at 10 for all kinds of rankings; none for a kind that wasn't measured.

    Args:
        metrics: the metrics of a version.
        backend: the backend of its index `recommend`.
    """
    rows = []
    for title, pattern in _KINDS:
        values = {}
        for measure, _ in MEASURES:
            name = measure if measure == "auc" else f"{measure}_at_10"
            if (value := metrics.get(pattern.format(name))) is not None:
                values[measure] = value
        if values:
            rows.append(TableRow(title.format(backend), pattern, values))
    return rows


def _row(title: str, precision: float, best: float | None) -> MetricRow:
    return MetricRow(title, precision, precision / best if best else None)
