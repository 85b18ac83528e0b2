"""The effort of each way of asking, with curves of recall and time in place of an index."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests import publications
from trainer.index.measure import Measurement
from trainer.index.ways import exact_instead, with_ways

EXACT = 1000.0
FACTS = publications.index_facts(dimensions=4, file="recommend.annoy")
FACTS = replace(FACTS, trials=[replace(FACTS.trials[0], query_microseconds=EXACT)], target_recall=0.95)


class Asked:
    """Questions of one way: `needed` is the relative effort that finds all of ten; it takes `each` µs.

    For more results, it needs as much more effort as there are more results.
    """

    def __init__(self, needed, *, each=10.0, most=1.0, depths=(), count=1):
        self.needed, self.each, self.most, self.depths = needed, each, most, depths
        self.count, self.efforts = count, []

    def __len__(self):
        return self.count

    def ask(self, _, effort, results=10, relative=1.0):
        assert effort == CHOICE.effort
        self.efforts.append(relative)
        found = min(self.most, relative * 10 / results / self.needed)
        return Measurement(found, self.each * relative)


def choice(*, reaches=True, effort="search_k"):
    trial = SimpleNamespace(query_microseconds=12.5)
    built = SimpleNamespace(effort=effort)
    return SimpleNamespace(built=built, effort=7, trial=trial, reaches=lambda _: reaches)


CHOICE = choice()


def found(asked, of=CHOICE, facts=FACTS):
    return with_ways(facts, of, {"session": lambda: asked}).ways["session"]


def test_a_way_without_a_question_is_not_measured():
    asked = Asked(1.0, count=0)
    assert with_ways(FACTS, CHOICE, {"items": lambda: asked}).ways == {}
    assert asked.efforts == []


def test_a_way_that_reaches_the_target_keeps_the_tuned_effort():
    asked = Asked(1.0)
    way = found(asked)
    assert (way.effort, way.recall_at_10, way.query_microseconds) == (1.0, 1.0, 10.0)
    assert asked.efforts == [1.0]


@pytest.mark.parametrize("needed", [1.2, 1.7, 2.5, 6.0, 13.0])
def test_another_way_gets_little_more_than_the_least_effort_that_reaches_it(needed):
    way = found(Asked(needed))
    # Half a percent more than the target, because the questions are a sample.
    assert way.recall_at_10 >= 0.955
    # Two refinements of a doubling leave at most a fourth root of two.
    assert 0.955 * needed <= way.effort <= 0.955 * needed * 2**0.25 + 1e-3
    assert way.query_microseconds == pytest.approx(10 * way.effort, rel=1e-2)


def test_where_the_effort_takes_longer_than_exact_search_all_items_are_scored():
    way = found(Asked(8.0, each=300.0))
    assert (way.effort, way.recall_at_10, way.query_microseconds) == (None, 1.0, EXACT)
    assert way.depths == []
    # So they are if no effort reaches the target.
    asked = Asked(1.0, most=0.9)
    assert found(asked).effort is None
    assert max(asked.efforts) == 64.0


def test_a_target_that_no_effort_reaches_is_missed_rather_than_waited_for():
    far = [replace(FACTS.trials[0], query_microseconds=1e6)]
    way = found(Asked(1.0, most=0.9), facts=replace(FACTS, trials=far))
    assert (way.effort, way.recall_at_10) == (64.0, 0.9)
    assert exact_instead(1e6, 640.0) is False


def test_more_results_get_more_effort_relative_to_the_tuned_one_of_the_usual_way():
    way = found(Asked(2.0, depths=(30, 100)))
    assert [(depth.results, depth.recall >= 0.95) for depth in way.depths] == [(30, True), (100, True)]
    # Thirty results need 5.7 and a hundred 19 times the effort of the usual way for ten.
    assert [depth.effort / way.effort for depth in way.depths] == pytest.approx([3.0, 12.0], rel=1e-3)
    # As long as they take less time than exact search.
    [deep] = found(Asked(2.0, each=90.0, depths=(30, 100))).depths
    assert deep.results == 30


def test_an_index_that_misses_the_target_anyway_gets_no_further_effort():
    asked = Asked(4.0)
    assert found(asked, choice(reaches=False)).recall_at_10 == 0.25
    assert asked.efforts == [1.0]


def test_exact_search_isnt_asked():
    way = with_ways(FACTS, choice(effort=None), {"session": None}).ways["session"]
    assert (way.recall_at_10, way.query_microseconds, way.effort) == (1.0, 12.5, 1.0)


@pytest.mark.parametrize(
    ("exact", "took", "instead"),
    [(10_000, 1, True), (10_001, 1, False), (30_000, 10_000, True), (30_001, 10_000, False)],
)
def test_exact_search_replaces_what_misses_the_target_unless_that_is_felt(exact, took, instead):
    assert exact_instead(exact, took) == instead
