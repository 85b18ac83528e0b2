"""What is told out of a version's metrics."""

from dataclasses import astuple

import pytest

from trainer.evaluation.metric_rows import EXACT, POPULAR, SERVED, TRAINED, cold_rows, served_rows

FOLDED = "test_precision_at_10_folded_in"
FEATURES = "test_precision_at_10_features_only"
OTHERS = {"test_precision_at_10": 0.3, "test_auc": 0.5, "evaluated_users": 9.0}
OWN, POPULARS = "by their own vectors", "by the most popular items"
BY_ANNOY, BY_EXACT = "as served, by annoy", "by exact search"


@pytest.mark.parametrize(
    ("metrics", "rows"),
    [
        (
            {POPULAR: 0.1, FEATURES: 0.15, FOLDED: 0.16, TRAINED: 0.2, **OTHERS},
            [
                (OWN, 0.2, 1.0),
                ("by their seen items", 0.16, pytest.approx(0.8)),
                ("by their features alone", 0.15, pytest.approx(0.75)),
                (POPULARS, 0.1, pytest.approx(0.5)),
            ],
        ),
        ({SERVED: 0.1, EXACT: 0.125, **OTHERS}, [(BY_ANNOY, 0.1, 0.8), (BY_EXACT, 0.125, 1.0)]),
        # What isn't known is left out. Of trained users alone the other tables tell.
        ({TRAINED: 0.2, SERVED: 0.1, **OTHERS}, []),
        ({POPULAR: 0.1, EXACT: 0.1}, [(POPULARS, 0.1, None)]),
        ({SERVED: 0.0, EXACT: 0.0}, [(BY_ANNOY, 0.0, None), (BY_EXACT, 0.0, None)]),
    ],
)
def test_each_kind_of_answer_is_held_against_the_best_there_is(metrics, rows):
    assert [astuple(own) for own in [*cold_rows(metrics), *served_rows(metrics, "annoy")]] == rows
