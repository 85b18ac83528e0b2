"""The README's figures are from the last measurement, and its quality is that of today's code."""

import pytest

from tests.documents import figures


def test_the_readme_has_the_figures_that_were_measured():
    page = figures.README.read_text("utf-8")
    assert figures.with_table(page, figures.read()) == page, "run 'make figures'"


def test_the_quality_is_that_of_a_run_of_today(demo_volume):
    metrics = figures.metrics_of(demo_volume)
    recorded = figures.read()
    assert metrics["test_precision_at_10_unseen"] == pytest.approx(recorded.precision, rel=0.02)
    assert metrics["test_precision_at_10_popular"] == pytest.approx(recorded.popular, rel=0.02)
