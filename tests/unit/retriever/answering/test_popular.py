"""What is popular; under filters, exclusions and on any page it is in test_all_questions.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.attributes import Attributes, TextColumn
from retriever.answering.questions import Options, ValueCondition
from retriever.errors import NotPublishedError
from tests import retrievable

# By bytes, capitals come first.
IDS = ["b", "a", "C", "é", "z"]
COUNTS = [3, 3, 3, 0, 9]
POPULAR = Options(unknown_ids="popular", explain=True)


def snapshot(counts=COUNTS, item_ids=IDS, **changes):
    ranking = sorted(range(len(counts)), key=lambda row: (-counts[row], item_ids[row].encode()))
    published = {
        "popularity": np.array(counts, dtype=np.int32),
        "popular_items": np.array(ranking, dtype=np.int32),
        **changes,
    }
    vectors = np.ones((len(counts), 3))
    return retrievable.snapshot(vectors, vectors[:1], item_ids=item_ids, **published)


# All items match it: so few that they are looked at instead of the ranking.
ALL = [ValueCondition("kind", "any", ["x"])]


@pytest.mark.parametrize("conditions", [[], ALL], ids=["all", "filtered"])
def test_equal_counts_come_in_the_byte_order_of_their_ids_and_nothing_explains_them(conditions):
    own = snapshot(attributes=Attributes.build([TextColumn("kind", [["x"]] * 5)], 5))
    answer = retrievable.recommend(own, "nobody", replace(POPULAR, conditions=conditions))
    assert [IDS[row] for row in answer.rows] == ["z", "C", "a", "b", "é"]
    assert answer.scores.tolist() == [9, 3, 3, 3, 0]
    assert (answer.source, answer.exact) == ("popular", True)
    assert list(answer.unknown) == ["nobody"]
    assert [(list(own.contributions), own.bias) for own in answer.explanations] == [([], 0)] * 5


@pytest.mark.parametrize(("conditions", "every"), [([], 1), (ALL, 2)], ids=["all", "filtered"])
def test_only_as_much_of_a_long_ranking_is_looked_at_as_it_takes(conditions, every):
    kinds = [["x"] if row % 2 == 0 else [] for row in range(9000)]
    attributes = Attributes.build([TextColumn("kind", kinds)], 9000)
    own = snapshot([*range(9000, 0, -1)], [*map(str, range(9000))], attributes=attributes)
    answer = retrievable.recommend(own, "nobody", replace(POPULAR, conditions=conditions))
    assert answer.rows.tolist() == [*range(0, 10 * every, every)]
    assert (answer.candidates, answer.filtered) == (4096, 4096 - 4096 // every)


@pytest.mark.parametrize("missing", ["popularity", "popular_items"])
def test_a_version_that_does_not_know_what_is_popular_says_so(missing):
    own = snapshot(**{missing: None})
    with pytest.raises(NotPublishedError, match="what is popular"):
        retrievable.recommend(own, "nobody", POPULAR)
    # A known user doesn't need it.
    assert retrievable.recommend(own, "user-0", Options(unknown_ids="popular"))
