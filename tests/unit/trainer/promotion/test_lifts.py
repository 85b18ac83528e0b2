"""A version is held against simple models on the same test users."""

import pytest

from lightfm_retriever.publication.facts.evaluation import SimpleModelFacts
from trainer.errors import OptionError
from trainer.promotion.gates import Gates
from trainer.promotion.lifts import NAME, check_lifts


def simple(name, ndcg, own=0.3):
    return SimpleModelFacts(
        name=name, users=900, ndcg_at_10=ndcg, model_ndcg_at_10=own, error=0.01, items=50
    )


def judged(required, *found, family="als"):
    return [*check_lifts(required, found, family)]


def test_the_ratio_of_the_two_decides():
    found = simple("popular", 0.15), simple("item-knn", 0.25)
    passed, failed = judged({"popular": 2.0, "item-knn": 1.3}, *found)
    assert (passed.name, passed.passed, passed.measured, passed.required) == (NAME, True, 2.0, 2.0)
    assert failed.measured == pytest.approx(1.2)
    assert not failed.passed
    for part in ("0.3000", "item-knn 0.2500", "900 users", "1.20 times", "at least 1.3 times"):
        assert part in failed.text


def test_nothing_is_judged_that_nobody_asked_for():
    assert judged({}, simple("popular", 0.5)) == []


def test_a_simple_model_without_any_hit_is_beaten_by_any_hit():
    [better] = judged({"popular": 5.0}, simple("popular", 0.0))
    [equal] = judged({"popular": 5.0}, simple("popular", 0.0, own=0.0))
    assert (better.passed, equal.passed) == (True, False)


def test_what_could_not_be_measured_fails_with_a_way_out():
    [missing] = judged({"ease": 1.0})
    assert (missing.passed, missing.measured) == (False, None)
    assert "isn't known" in missing.text
    assert "--split" in missing.text


@pytest.mark.parametrize(("ratio", "passed"), [(0.9, True), (1.0, True), (1.1, False)])
def test_a_version_is_as_good_as_itself(ratio, passed):
    [own] = judged({"ease": ratio}, family="ease")
    assert (own.passed, own.measured) == (passed, 1.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"popular": 0.0}, "a ratio above 0"), ({"best": 1.0}, "one of popular, item-knn, ease")],
)
def test_a_lift_that_cannot_be_judged_is_refused(given, told):
    with pytest.raises(OptionError, match=told):
        Gates(min_lift_over=given)
