"""What is told of answers as they are served, out of a version's metrics."""

from __future__ import annotations

import pytest

from trainer.evaluation.served_metrics import EXACT, SERVED, ServedRow, served_rows


def test_what_is_served_is_held_against_exact_search():
    assert served_rows({SERVED: 0.1, EXACT: 0.125, "test_auc": 0.5}, "annoy") == [
        ServedRow("as served, by annoy", 0.1, pytest.approx(0.8)),
        ServedRow("by exact search", 0.125, 1.0),
    ]


def test_without_a_hit_there_is_no_ratio_and_of_what_was_not_measured_nothing_is_told():
    assert served_rows({SERVED: 0.0, EXACT: 0.0}, "faiss") == [
        ServedRow("as served, by faiss", 0.0, None),
        ServedRow("by exact search", 0.0, None),
    ]
    # Older versions have neither.
    for metrics in ({}, {SERVED: 0.1}, {EXACT: 0.1}):
        assert served_rows(metrics, "annoy") == []
