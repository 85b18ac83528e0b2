from dataclasses import replace

import pytest

from lightfm_retriever.publication.index_facts import WayFacts
from tests import publications

FACTS = replace(publications.index_facts(dimensions=4, file="similar.annoy"), recall_at_10=0.96)


def way(recall):
    return WayFacts(recall_at_10=recall, query_microseconds=1.0, effort=2.0, depths=[])


@pytest.mark.parametrize(
    ("ways", "worst", "by"),
    [({}, 0.96, None), ({"a": 0.97}, 0.96, None), ({"a": 0.97, "b": 0.95}, 0.95, "b")],
)
def test_the_worst_recall_is_that_of_any_way_of_asking(ways, worst, by):
    facts = replace(FACTS, ways={name: way(recall) for name, recall in ways.items()})
    assert (facts.worst_recall_at_10, facts.worst_way) == (worst, by)


def test_each_recall_has_the_name_of_its_question_and_the_usual_one_comes_first():
    facts = replace(FACTS, ways={"session": way(0.95), "features": way(0.99)})
    others = {"session": 0.95, "features": 0.99}
    assert list(facts.recalls("recommend").items()) == [("known", 0.96), *others.items()]
    assert next(iter(facts.recalls("similar"))) == "item"
