"""How much of the ranking is looked at; what is popular itself is in test_all_questions.py."""

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.attributes import Attributes, TextColumn
from retriever.answering.questions import Options, ValueCondition
from retriever.errors import NotPublishedError
from tests import retrievable

POPULAR = Options(unknown_ids="popular", explain=True)


def snapshot(count, **changes):
    """Item r is the r-th most popular one, and every other one is "x"."""
    kinds = [["x"] if row % 2 == 0 else [] for row in range(count)]
    rows = np.arange(count, dtype=np.int32)
    published = {"popularity": count - rows, "popular_items": rows, **changes}
    attributes = Attributes.build([TextColumn("kind", kinds)], count)
    vectors = np.ones((count, 3))
    return retrievable.snapshot(vectors, vectors[:1], attributes=attributes, **published)


@pytest.mark.parametrize("every", [1, 2], ids=["all", "filtered"])
def test_only_as_much_of_a_long_ranking_is_looked_at_as_it_takes_and_nothing_is_explained(every):
    conditions = [ValueCondition("kind", "any", ["x"])] if every == 2 else []
    answer = retrievable.recommend(snapshot(9000), "nobody", replace(POPULAR, conditions=conditions))
    assert answer.rows.tolist() == [*range(0, 10 * every, every)]
    assert (answer.candidates, answer.filtered) == (4096, 4096 - 4096 // every)
    assert [(list(own.contributions), own.bias) for own in answer.explanations] == [([], 0)] * 10


@pytest.mark.parametrize("missing", ["popularity", "popular_items"])
def test_a_version_that_does_not_know_what_is_popular_says_so(missing):
    own = snapshot(5, **{missing: None})
    with pytest.raises(NotPublishedError, match="popularity data"):
        retrievable.recommend(own, "nobody", POPULAR)
    # A known user doesn't need it.
    assert retrievable.recommend(own, "user-0", Options(unknown_ids="popular"))
