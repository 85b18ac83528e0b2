"""What is told out of a version's metrics."""

from dataclasses import astuple

import pytest

from trainer.evaluation.metric_rows import EXACT, POPULAR, SERVED, TRAINED, cold_rows, served_rows

FOLDED = "test_precision_at_10_folded_in"
FEATURES = "test_precision_at_10_features_only"
OTHERS = {"test_precision_at_10": 0.3, "evaluated_users": 9.0}
OWN, POPULARS, BY_EXACT = "by their own vectors", "by what is popular", "by exact search"


@pytest.mark.parametrize(
    ("metrics", "rows"),
    [
        (
            {POPULAR: 0.1, FEATURES: 0.15, FOLDED: 0.16, TRAINED: 0.2, **OTHERS},
            [
                (OWN, 0.2, 1.0),
                ("by what they have seen", 0.16, pytest.approx(0.8)),
                ("by their features alone", 0.15, pytest.approx(0.75)),
                (POPULARS, 0.1, pytest.approx(0.5)),
            ],
        ),
        # What isn't known is left out. Of trained users alone the other tables tell.
        ({TRAINED: 0.2, **OTHERS}, []),
        ({POPULAR: 0.1}, [(POPULARS, 0.1, None)]),
    ],
)
def test_each_kind_of_user_is_held_against_the_trained_ones(metrics, rows):
    assert [*map(astuple, cold_rows(metrics))] == rows


@pytest.mark.parametrize(
    ("metrics", "rows"),
    [
        (
            {SERVED: 0.1, EXACT: 0.125, "test_auc": 0.5},
            [("as served, by annoy", 0.1, pytest.approx(0.8)), (BY_EXACT, 0.125, 1.0)],
        ),
        ({SERVED: 0.0, EXACT: 0.0}, [("as served, by annoy", 0.0, None), (BY_EXACT, 0.0, None)]),
        ({SERVED: 0.1}, []),
        ({EXACT: 0.1}, []),
    ],
)
def test_what_is_served_is_held_against_exact_search(metrics, rows):
    assert [*map(astuple, served_rows(metrics, "annoy"))] == rows
