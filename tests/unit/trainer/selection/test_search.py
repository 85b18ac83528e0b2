"""A search is bounded by its budget, and chooses the same model from the same data."""

import itertools

import pytest

from tests.unit.trainer.models.blocks import planted
from tests.unit.trainer.selection.planned import Plan, dataset, register
from trainer import models
from trainer.errors import TrainerError
from trainer.models.protocol import Fitting
from trainer.progress import Silent
from trainer.selection.search import select
from trainer.selection.trial import Trying


def search(of=None, *, budget=1000.0, fitting=None, clock=lambda: 0.0):
    return select(
        of or dataset(),
        budget_seconds=budget,
        fitting=fitting or Fitting(seed=1),
        reporter=Silent(),
        how=Trying(clock=clock),
    )


def tried(found):
    return [(own.model, own.settings["step"], own.state) for own in found.trials]


def reasons(found):
    return {own.model: own.reason for own in found.trials if own.state == "skipped"}


def test_the_cheapest_family_comes_first_and_the_best_goes_on(monkeypatch):
    slow = Plan([0.5, 0.6], estimate=3.0, candidates=2)
    fast = Plan([0.4, 0.45], estimate=1.0, candidates=2)
    register(monkeypatch, slow=slow, fast=fast)
    found = search()
    # One of each family, the cheapest first; then by turns, the best family first.
    assert tried(found) == [
        ("fast", 0, "complete"),
        ("slow", 0, "complete"),
        ("slow", 1, "complete"),
        ("fast", 1, "complete"),
    ]
    assert found.chosen.model == "slow"
    assert found.chosen.settings["step"] == 1
    assert found.chosen.ndcg_at_10 == pytest.approx(0.6)
    [doubt] = found.warnings
    assert "was chosen by only 10 users with validation interactions" in doubt


def test_a_family_that_is_far_behind_is_tried_once(monkeypatch):
    register(monkeypatch, good=Plan([0.8, 0.7], candidates=2), bad=Plan([0.3, 0.9], candidates=2))
    assert [(model, step) for model, step, _ in tried(search())] == [
        ("good", 0),
        ("bad", 0),
        ("good", 1),
    ]


def test_variations_of_the_best_go_on_while_they_are_better(monkeypatch):
    plan = Plan([0.4, 0.5, 0.6, 0.3], variations={0: [1], 1: [2, 0], 2: [1, 3]})
    register(monkeypatch, one=plan)
    found = search()
    # A candidate isn't tried twice.
    assert plan.fits == [0, 1, 2, 3]
    assert found.chosen.settings["step"] == 2


def test_a_variation_has_all_epochs_again(monkeypatch):
    values = [[0.5, *[0.1] * 19], [0.1] * 19 + [0.9]]
    plan = Plan(values, variations={0: [1]})
    register(monkeypatch, one=plan)
    found = search()
    assert found.trials[0].settings["epochs"] == 2
    assert plan.fits == [0, 1]


def test_equal_values_go_to_the_first(monkeypatch):
    register(monkeypatch, b=Plan([0.5]), a=Plan([0.5]))
    assert search().chosen.model == "b"


def test_estimates_decide_what_the_budget_allows(monkeypatch):
    fast, slow, huge = (Plan([own], estimate=of) for own, of in ((0.3, 1.0), (0.5, 29.5), (0.9, 80.0)))
    register(monkeypatch, huge=huge, slow=slow, fast=fast)
    found = search(budget=100.0)
    assert [own.state for own in found.trials] == ["complete", "complete", "skipped"]
    assert reasons(found) == {
        "huge": (
            "two fits of 80 s each are estimated, to validate and to publish, and 30 s of 60% of "
            "--budget 100s are left"
        )
    }
    assert huge.fits == []
    assert found.chosen.model == "slow"
    # The clock has no part in it.
    assert search(budget=100.0, clock=itertools.count().__next__).trials[-1].state == "skipped"


def test_families_that_cannot_be_tried_say_why(monkeypatch):
    register(
        monkeypatch,
        large=Plan([0.9], trouble="the matrix is too large"),
        missing=Plan([0.9], package="missing_package"),
        plain=Plan([0.9], uses_weights=False),
        usual=Plan([0.2]),
    )
    found = search(fitting=Fitting(seed=1, sample_weights=True))
    assert found.chosen.model == "usual"
    assert reasons(found) == {
        "large": "the matrix is too large",
        "missing": "the package 'missing-package' of the extra 'models' is missing",
        "plain": "it doesn't learn from weights, and --sample-weights is set",
    }


def test_a_candidate_that_fails_is_one_of_the_results(monkeypatch):
    register(monkeypatch, broken=Plan([None, 0.9], candidates=2), usual=Plan([0.2]))
    found = search()
    assert found.trials[0].state == "failed"
    assert "training diverged in epoch 3" in found.trials[0].reason
    assert found.trials[0].ndcg_at_10 is None
    assert found.chosen.model == "usual"


def test_the_clock_ends_a_search_that_takes_longer_than_estimated(monkeypatch):
    now = [0.0]

    def passes():
        now[0] += 80.0

    plans = {name: Plan([0.5, 0.6], candidates=2, on_fit=passes) for name in ("a", "b")}
    register(monkeypatch, **plans)
    found = search(budget=100.0, clock=lambda: now[0])
    assert tried(found)[0] == ("a", 0, "complete")
    assert {own.state for own in found.trials[1:]} == {"skipped"}
    assert set(reasons(found).values()) == {"75% of the budget of 100 s was used up"}
    assert found.trials[0].seconds == 80.0
    warning, _ = found.warnings
    assert "the clock ended the search" in warning
    assert "raise --budget" in warning


def test_a_budget_that_is_too_short_for_any_fit_is_an_error_with_the_estimates(monkeypatch):
    register(monkeypatch, a=Plan([0.5], estimate=30.0), b=Plan([0.5], estimate=0.25))
    with pytest.raises(TrainerError) as caught:
        search(budget=0.125)
    message = str(caught.value)
    for part in (
        "within --budget 0.125s",
        "b: a fit is estimated at 0.25 s",
        "a: a fit is",
        "Raise --",
    ):
        assert part in message


def test_without_a_validation_interaction_no_model_can_be_chosen():
    with pytest.raises(TrainerError, match="no user has a positive interaction for validation"):
        search(planted())


@pytest.mark.timeout(60)
def test_the_families_of_this_project_are_compared_reproducibly():
    first, again = (search(planted(split="random", split_share=0.3)) for _ in range(2))
    assert [own.settings for own in first.trials] == [own.settings for own in again.trials]
    assert [own.ndcg_at_10 for own in first.trials] == [own.ndcg_at_10 for own in again.trials]
    assert first.best == again.best
    assert {own.model for own in first.trials} == {*models.NAMES}
    assert first.chosen.ndcg_at_10 > 0.5
    assert first.chosen.ndcg_at_10 == max(own.ndcg_at_10 or 0 for own in first.trials)
    # The settings of a trial make its family's settings again.
    for own in first.trials:
        models.family(own.model).settings(**own.settings)
