"""What is told out of a version's metrics."""

from dataclasses import astuple

import pytest

from trainer.evaluation.metric_rows import POPULAR, TRAINED, cold_rows, is_main, table_rows

FOLDED = "test_precision_at_10_folded_in"
FEATURES = "test_precision_at_10_features_only"
OTHERS = {"test_precision_at_10": 0.3, "test_auc": 0.5, "evaluated_users": 9.0}
OWN, POPULARS = "by their own vectors", "by the most popular items"


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
        # What isn't known is left out. Of trained users alone the other tables tell.
        ({TRAINED: 0.2, **OTHERS}, []),
        ({POPULAR: 0.1}, [(POPULARS, 0.1, None)]),
        ({POPULAR: 0.1, TRAINED: 0.0}, [(OWN, 0.0, None), (POPULARS, 0.1, None)]),
    ],
)
def test_each_kind_of_answer_is_held_against_the_best_there_is(metrics, rows):
    assert [astuple(own) for own in cold_rows(metrics)] == rows


def test_a_table_has_a_row_for_each_kind_that_was_measured_and_no_other():
    metrics = {
        "test_ndcg_at_10_unseen": 0.4,
        "test_ndcg_at_5_unseen": 0.5,
        "test_auc_unseen": 0.9,
        "test_hit_rate_at_10_served": 0.8,
        "test_novelty_at_10_unseen": 3.0,
        **OTHERS,
    }
    rows = {row.title: row.values for row in table_rows(metrics, "annoy")}
    assert rows == {
        "unseen items": {"ndcg": 0.4, "auc": 0.9},
        "all items": {"precision": 0.3, "auc": 0.5},
        "as served, by annoy": {"hit_rate": 0.8},
    }
    assert table_rows({"evaluated_users": 0.0}, "exact") == []


def test_a_list_for_people_has_the_main_metrics_and_what_it_does_not_know():
    main = (
        *("test_ndcg_at_10_unseen", "test_recall_at_10_unseen", "test_auc", "train_precision_at_10"),
        *("test_ndcg_at_10_served", "test_precision_at_10_exact", "evaluated_users", "anything"),
    )
    other = ("test_ndcg_at_5_unseen", "test_hit_rate_at_50_unseen", "test_recall_at_10_served")
    assert [name for name in (*main, *other) if is_main(name)] == [*main]
