"""What is told of users without a vector, out of a version's metrics."""

from __future__ import annotations

import pytest

from trainer.evaluation.cold_metrics import TRAINED, ColdRow, cold_rows

FOLDED = "test_precision_at_10_folded_in"
FEATURES = "test_precision_at_10_features_only"
POPULAR = "test_precision_at_10_popular"
OTHERS = {"test_precision_at_10": 0.3, "evaluated_users": 9.0}


def test_each_kind_of_user_is_held_against_the_trained_ones():
    metrics = {POPULAR: 0.1, FEATURES: 0.15, FOLDED: 0.16, TRAINED: 0.2, **OTHERS}
    assert cold_rows(metrics) == [
        ColdRow("by their own vectors", 0.2, 1.0),
        ColdRow("by what they have seen", 0.16, pytest.approx(0.8)),
        ColdRow("by their features alone", 0.15, pytest.approx(0.75)),
        ColdRow("by what is popular", 0.1, pytest.approx(0.5)),
    ]


def test_what_is_not_known_is_left_out():
    assert [row.title for row in cold_rows({TRAINED: 0.2, POPULAR: 0.1})] == [
        "by their own vectors",
        "by what is popular",
    ]
    assert cold_rows(OTHERS) == []
    # Of trained users alone the other tables tell.
    assert cold_rows({TRAINED: 0.2}) == []


def test_without_a_hit_of_trained_users_there_is_no_ratio():
    assert cold_rows({TRAINED: 0.0, POPULAR: 0.1}) == [
        ColdRow("by their own vectors", 0.0, None),
        ColdRow("by what is popular", 0.1, None),
    ]
    assert cold_rows({POPULAR: 0.1}) == [ColdRow("by what is popular", 0.1, None)]
